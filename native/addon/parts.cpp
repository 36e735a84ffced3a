#include "parts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "../cpu/classifier/calibration.h"
#include "../cpu/classifier/network.h"
#include "arguments.h"
#include "descriptions.h"

namespace neural_lsh::addon {
namespace {

template <typename Real>
std::span<Real> reals(const Napi::Object& object, const char* name);
template <>
std::span<float> reals(const Napi::Object& object, const char* name) {
  return floats(object, name);
}
template <>
std::span<double> reals(const Napi::Object& object, const char* name) {
  return doubles(object, name);
}

/// In the precision of the array under `name`: body(Real{}).
template <typename Body>
Napi::Value inPrecisionOf(const Napi::Object& request, const char* name, const Body& body) {
  const Napi::Value value = request.Get(name);
  const bool isFloat =
      value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  try {
    return isFloat ? body(float{}) : body(double{});
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw toError(request.Env(), std::current_exception());
  }
}

template <typename Real>
void set(Napi::Object result, const char* name, std::span<const Real> values) {
  std::copy(values.begin(), values.end(), output<Real>(result, name, values.size()).begin());
}

/// Targets of a batch: one label a row, or a dense row of shares.
template <typename Real>
std::vector<std::vector<cpu::Target<Real>>> readTargets(const Napi::Object& request, std::size_t rows,
                                                        std::size_t outputs) {
  std::vector<std::vector<cpu::Target<Real>>> targets(rows);
  if (has(request, "labels")) {
    const auto labels = integers(request, "labels");
    require(request.Env(), labels.size() == rows, "labels", "must have one entry a row");
    for (std::size_t row = 0; row < rows; ++row) {
      const auto label = static_cast<std::size_t>(labels[row]);
      require(request.Env(), label < outputs, "labels", "must be below the outputs");
      targets[row].push_back({label, Real{1}});
    }
    return targets;
  }
  const auto shares = reals<Real>(request, "targets");
  require(request.Env(), shares.size() == rows * outputs, "targets", "must be rows x outputs");
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i] != 0) targets[i / outputs].push_back({i % outputs, shares[i]});
  }
  return targets;
}

/// Mean loss of a batch; `values` become its gradient.
template <typename Real>
double batchLoss(const cpu::Loss& loss, const std::vector<std::vector<cpu::Target<Real>>>& targets,
                 std::size_t outputs, Real* values) {
  double normalizer = 0, sum = 0;
  for (const auto& target : targets) normalizer += cpu::rowNormalizer<Real>(loss, outputs, target);
  for (const auto& target : targets) {
    sum += cpu::rowLoss<Real>(loss, {values, outputs}, target, static_cast<Real>(1 / normalizer));
    values += outputs;
  }
  return sum / normalizer;
}

/// networkPass({ network, parameters, buffers, inputs, targets | labels, loss, seed, training, precision? })
/// -> { outputs, loss, and in training gradient, inputGradient, buffers }, in double or float as the arrays
/// are.
Napi::Value networkPass(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  return inPrecisionOf(request, "parameters", [&]<typename Real>(Real) -> Napi::Value {
    const Napi::Env env = request.Env();
    const cpu::NetworkDescription description = readNetwork(request);
    const auto parameters = reals<Real>(request, "parameters"), inputs = reals<Real>(request, "inputs"),
               given = reals<Real>(request, "buffers");
    require(env, parameters.size() == description.parameters(), "parameters", "must fit the network");
    require(env, given.size() == description.buffers(), "buffers", "must fit the network");
    const std::size_t rows = inputs.size() / description.inputs(), outputs = description.outputs();
    require(env, rows > 0 && inputs.size() == rows * description.inputs(), "inputs", "must be whole rows");
    const bool training = request.Get("training").ToBoolean();
    const auto targets = readTargets<Real>(request, rows, outputs);
    std::vector<Real> buffers(given.begin(), given.end());
    const auto precision = request.Has("precision") ? readPrecision(request) : cpu::Precision::single;
    cpu::Network<Real> network(description, rows, precision);
    const auto result = Napi::Object::New(env);
    if (training) {
      std::copy(inputs.begin(), inputs.end(), network.inputs());
      network.forward(parameters.data(), buffers.data(), rows, count(request, "seed"), 0);
    } else {
      network.infer(parameters.data(), buffers.data(), inputs.data(), rows, network.outputs(), 0);
    }
    set<Real>(result, "outputs", {network.outputs(), rows * outputs});
    result.Set("loss", batchLoss(readLoss(request), targets, outputs, network.outputs()));
    if (!training) return result;
    const auto gradient = output<Real>(result, "gradient", parameters.size());
    const auto inputGradient = output<Real>(result, "inputGradient", inputs.size());
    network.backward(parameters.data(), rows, gradient.data(), inputGradient.data(), 0);
    set<Real>(result, "buffers", buffers);
    return result;
  });
}

Napi::Value backendPass(const Napi::CallbackInfo& info) {
  return backendPassOn(info, cpu::cpuBackendOf(cpu::Precision::single));
}

/// optimizerSteps({ optimizer, regularization, parameters, gradients, learningRates }) -> { parameters }:
/// those after each step; gradients and result are steps x parameters.
Napi::Value optimizerSteps(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  return inPrecisionOf(request, "parameters", [&]<typename Real>(Real) -> Napi::Value {
    const auto start = reals<Real>(request, "parameters"), gradients = reals<Real>(request, "gradients");
    const auto rates = doubles(request, "learningRates");
    require(request.Env(), gradients.size() == rates.size() * start.size(), "gradients",
            "must be steps x parameters");
    std::vector<Real> parameters(start.begin(), start.end());
    cpu::Optimizer<Real> optimizer(readOptimizer(request), parameters.size());
    const auto result = Napi::Object::New(request.Env());
    auto after = output<Real>(result, "parameters", gradients.size()).begin();
    for (std::size_t step = 0; step < rates.size(); ++step) {
      const auto part = gradients.subspan(step * parameters.size(), parameters.size());
      std::vector<Real> gradient(part.begin(), part.end());
      optimizer.step(rates[step], parameters.data(), gradient.data(), 0);
      after = std::copy(parameters.begin(), parameters.end(), after);
    }
    return result;
  });
}

/// scheduleFactors({ schedule, stepsPerEpoch, losses }) -> the factor of each step, losses.length epochs
/// long.
Napi::Value scheduleFactors(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const cpu::ScheduleOptions schedule = readSchedule(request);
  const auto losses = doubles(request, "losses");
  const std::size_t stepsPerEpoch = count(request, "stepsPerEpoch");
  const auto result = Napi::Object::New(info.Env());
  const auto factors = output<double>(result, "factors", losses.size() * stepsPerEpoch);
  cpu::PlateauState plateau;
  for (std::size_t step = 0; step < factors.size(); ++step) {
    factors[step] = cpu::scheduleFactor(schedule, plateau, step, stepsPerEpoch);
    if ((step + 1) % stepsPerEpoch == 0) cpu::observe(schedule, plateau, losses[step / stepsPerEpoch]);
  }
  return result.Get("factors");
}

/// initialParameters({ network, initialization, seed }) -> { parameters, buffers }
Napi::Value initialParameters(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const cpu::NetworkDescription network = readNetwork(request);
  const auto result = Napi::Object::New(info.Env());
  cpu::initializeParameters(network, readInitialization(request), count(request, "seed"),
                            output<float>(result, "parameters", network.parameters()));
  cpu::initializeBuffers(network, output<float>(result, "buffers", network.buffers()));
  return result;
}

/// calibrate({ logits, shares, bins }) -> { temperature, errorBefore, errorAfter }
Napi::Value calibrate(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const cpu::CalibrationSet set{floats(request, "logits"), floats(request, "shares"), count(request, "bins")};
  require(info.Env(),
          set.bins > 0 && set.logits.size() == set.shares.size() && !set.logits.empty() &&
              set.logits.size() % set.bins == 0,
          "logits", "must be rows x bins, as the shares");
  const double temperature = cpu::fitTemperature(set, Job{});
  const auto result = Napi::Object::New(info.Env());
  result.Set("temperature", temperature);
  result.Set("errorBefore", cpu::expectedCalibrationError(set, 1));
  result.Set("errorAfter", cpu::expectedCalibrationError(set, temperature));
  return result;
}

}  // namespace

Napi::Value backendPassOn(const Napi::CallbackInfo& info, const cpu::MakeTrainingBackend& makeBackend) {
  const auto request = info[0].As<Napi::Object>();
  const cpu::NetworkDescription network = readNetwork(request);
  const cpu::TrainingSet points = readTrainingSet(request);
  const auto parameters = floats(request, "parameters"), buffers = floats(request, "buffers");
  const auto rows = integers(request, "rows");
  bool isWhole = false;
  const std::uint64_t seed = request.Get("seed").As<Napi::BigInt>().Uint64Value(&isWhole);
  const cpu::InputTransform input{false, std::vector<float>(network.inputs(), 0),
                                  std::vector<float>(network.inputs(), 1)};
  const cpu::OptimizerOptions descent{.type = cpu::OptimizerType::sgd};
  // A power of 2 that leaves little of the parameters in what the step makes of them.
  constexpr float rate = 1 << 10;
  const auto result = Napi::Object::New(info.Env());
  try {
    const Job job;
    const auto backend =
        makeBackend({points, network, readLoss(request), descent, input, 0, rows.size(), 1}, job);
    backend->setWeights({{parameters.begin(), parameters.end()}, {buffers.begin(), buffers.end()}});
    backend->logitsOf(rows, output<float>(result, "outputs", rows.size() * points.bins).data());
    const cpu::MiniBatch batch{rows, rate, seed};
    result.Set("loss", backend->train({&batch, 1}).meanLoss());
    const cpu::Weights& after = backend->weights();
    std::ranges::transform(parameters, after.parameters,
                           output<float>(result, "gradient", parameters.size()).begin(),
                           [&](float before, float now) { return (before - now) / rate; });
    set<float>(result, "buffers", after.buffers);
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw toError(info.Env(), std::current_exception());
  }
  return result;
}

void exportParts(Napi::Env env, Napi::Object exports) {
  const std::pair<const char*, Napi::Value (*)(const Napi::CallbackInfo&)> functions[] = {
      {"networkPass", networkPass},
      {"backendPass", backendPass},
      {"optimizerSteps", optimizerSteps},
      {"scheduleFactors", scheduleFactors},
      {"initialParameters", initialParameters},
      {"calibrate", calibrate},
  };
  for (const auto& [name, function] : functions) exports.Set(name, Napi::Function::New(env, function, name));
}

}  // namespace neural_lsh::addon
