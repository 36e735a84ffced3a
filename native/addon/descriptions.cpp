#include "descriptions.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "arguments.h"

namespace neural_lsh::addon {
namespace {

Napi::Object object(const Napi::Object& parent, const char* name) {
  const Napi::Value value = parent.Get(name);
  require(parent.Env(), value.IsObject(), name, "must be an object");
  return value.As<Napi::Object>();
}

bool boolean(const Napi::Object& parent, const char* name) {
  const Napi::Value value = parent.Get(name);
  require(parent.Env(), value.IsBoolean(), name, "must be a boolean");
  return value.As<Napi::Boolean>();
}

/// The value of property `name` where it is there, else what is there already.
void readIfThere(const Napi::Object& parent, const char* name, double& value) {
  if (has(parent, name)) value = number(parent, name);
}
void readIfThere(const Napi::Object& parent, const char* name, std::size_t& value) {
  if (has(parent, name)) value = count(parent, name);
}
void readIfThere(const Napi::Object& parent, const char* name, bool& value) {
  if (has(parent, name)) value = boolean(parent, name);
}

std::vector<double> numbers(const Napi::Object& parent, const char* name) {
  const Napi::Value value = parent.Get(name);
  require(parent.Env(), value.IsArray(), name, "must be an array of numbers");
  const auto array = value.As<Napi::Array>();
  std::vector<double> result;
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value element = array.Get(i);
    require(parent.Env(), element.IsNumber(), name, "must be an array of numbers");
    result.push_back(element.As<Napi::Number>().DoubleValue());
  }
  return result;
}

template <typename T>
struct Named {
  std::string_view name;
  T value;
};

/// What the string under `name` stands for.
template <typename T, std::size_t size>
T choice(const Napi::Object& parent, const char* name, const Named<T> (&choices)[size]) {
  const std::string given = text(parent, name);
  const auto found = std::find_if(std::begin(choices), std::end(choices),
                                  [&](const auto& one) { return one.name == given; });
  require(parent.Env(), found != std::end(choices), name,
          "is '" + given + "', which the engine does not know");
  return found->value;
}

struct LayerKind {
  cpu::LayerType type;
  cpu::Activation activation = cpu::Activation::identity;
};

constexpr Named<LayerKind> layerKinds[] = {
    {"linear", {cpu::LayerType::linear}},
    {"conv2d", {cpu::LayerType::conv2d}},
    {"max-pool2d", {cpu::LayerType::maxPool2d}},
    {"average-pool2d", {cpu::LayerType::averagePool2d}},
    {"batch-norm", {cpu::LayerType::batchNorm}},
    {"dropout", {cpu::LayerType::dropout}},
    {"flatten", {cpu::LayerType::flatten}},
    {"tree-leaves", {cpu::LayerType::treeLeaves}},
    {"sign-codes", {cpu::LayerType::signCodes}},
    {"cross-polytope", {cpu::LayerType::crossPolytope}},
    {"identity", {cpu::LayerType::activation, cpu::Activation::identity}},
    {"step", {cpu::LayerType::activation, cpu::Activation::step}},
    {"sigmoid", {cpu::LayerType::activation, cpu::Activation::sigmoid}},
    {"tanh", {cpu::LayerType::activation, cpu::Activation::tanh}},
    {"relu", {cpu::LayerType::activation, cpu::Activation::relu}},
    {"relu6", {cpu::LayerType::activation, cpu::Activation::relu6}},
    {"leaky-relu", {cpu::LayerType::activation, cpu::Activation::leakyRelu}},
    {"elu", {cpu::LayerType::activation, cpu::Activation::elu}},
    {"selu", {cpu::LayerType::activation, cpu::Activation::selu}},
    {"softplus", {cpu::LayerType::activation, cpu::Activation::softplus}},
    {"gelu", {cpu::LayerType::activation, cpu::Activation::gelu}},
    {"softmax", {cpu::LayerType::activation, cpu::Activation::softmax}}};

constexpr Named<cpu::MarginRule> marginRules[] = {{"squared-margin", cpu::MarginRule::squaredMargin},
                                                  {"log-sigmoid", cpu::MarginRule::logSigmoid}};

constexpr Named<cpu::InitializationType> initializations[] = {
    {"uniform", cpu::InitializationType::uniform},
    {"xavier-uniform", cpu::InitializationType::xavierUniform},
    {"xavier-normal", cpu::InitializationType::xavierNormal},
    {"he-uniform", cpu::InitializationType::heUniform},
    {"he-normal", cpu::InitializationType::heNormal},
    {"lecun-normal", cpu::InitializationType::lecunNormal},
    {"constant", cpu::InitializationType::constant}};

constexpr Named<cpu::InputType> inputTypes[] = {{"none", cpu::InputType::none},
                                                {"center", cpu::InputType::center},
                                                {"standardize", cpu::InputType::standardize},
                                                {"normalize", cpu::InputType::normalize}};

constexpr Named<cpu::LossType> losses[] = {{"cross-entropy", cpu::LossType::crossEntropy},
                                           {"binary-cross-entropy", cpu::LossType::binaryCrossEntropy},
                                           {"mean-squared-error", cpu::LossType::meanSquaredError},
                                           {"mean-absolute-error", cpu::LossType::meanAbsoluteError}};

constexpr Named<cpu::OptimizerType> optimizers[] = {
    {"sgd", cpu::OptimizerType::sgd},         {"adagrad", cpu::OptimizerType::adagrad},
    {"rmsprop", cpu::OptimizerType::rmsprop}, {"adadelta", cpu::OptimizerType::adadelta},
    {"adam", cpu::OptimizerType::adam},       {"adamw", cpu::OptimizerType::adamw},
    {"adamax", cpu::OptimizerType::adamax},   {"nadam", cpu::OptimizerType::nadam}};

constexpr Named<cpu::ScheduleType> schedules[] = {
    {"constant", cpu::ScheduleType::constant},    {"step", cpu::ScheduleType::step},
    {"multi-step", cpu::ScheduleType::multiStep}, {"exponential", cpu::ScheduleType::exponential},
    {"cosine", cpu::ScheduleType::cosine},        {"plateau", cpu::ScheduleType::plateau}};

constexpr Named<cpu::Monitor> monitors[] = {{"validation-loss", cpu::Monitor::loss},
                                            {"neighbor-accuracy", cpu::Monitor::neighborAccuracy}};

cpu::LayerDescription readLayer(const Napi::Object& source) {
  cpu::LayerDescription layer;
  const LayerKind kind = choice(source, "type", layerKinds);
  layer.type = kind.type;
  layer.activation = kind.activation;
  readIfThere(source, layer.type == cpu::LayerType::conv2d ? "channels" : "outputs", layer.outputs);
  readIfThere(source, "bias", layer.bias);
  readIfThere(source, "kernel", layer.kernel);
  readIfThere(source, "stride", layer.stride);
  readIfThere(source, "padding", layer.padding);
  readIfThere(source, "rate", layer.rate);
  readIfThere(source, "slope", layer.slope);
  readIfThere(source, "alpha", layer.alpha);
  readIfThere(source, "momentum", layer.momentum);
  readIfThere(source, "epsilon", layer.epsilon);
  readIfThere(source, "bits", layer.bits);
  if (layer.type == cpu::LayerType::treeLeaves) {
    layer.outputs = count(source, "leaves");
    layer.marginRule = choice(source, "rule", marginRules);
  }
  if (layer.type == cpu::LayerType::crossPolytope) layer.polytopes = counts(source, "dimensions");
  return layer;
}

std::vector<float> copied(const Napi::Object& parent, const char* name) {
  const auto values = floats(parent, name);
  return {values.begin(), values.end()};
}

cpu::TrainingState readState(const Napi::Object& source) {
  cpu::TrainingState state;
  state.epochs = count(source, "epochs");
  state.steps = count(source, "steps");
  state.slots = copied(source, "slots");
  state.parameters = copied(source, "parameters");
  state.buffers = copied(source, "buffers");
  const Napi::Object plateau = object(source, "plateau");
  state.plateau = {number(plateau, "lowestLoss"), count(plateau, "staleEpochs"), number(plateau, "factor")};
  state.bestValue = number(source, "bestValue");
  state.bestEpoch = count(source, "bestEpoch");
  return state;
}

cpu::StartingPoint readStart(const Napi::Object& source) {
  cpu::StartingPoint start;
  start.parameters = floats(source, "parameters");
  if (has(source, "buffers")) start.buffers = floats(source, "buffers");
  if (has(source, "input")) start.input = readInputTransform(object(source, "input"));
  if (has(source, "state")) start.state = readState(object(source, "state"));
  return start;
}

void setFloats(Napi::Object parent, const char* name, std::span<const float> values) {
  std::copy(values.begin(), values.end(), output<float>(parent, name, values.size()).begin());
}

Napi::Object epochObject(Napi::Env env, const cpu::EpochReport& report) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("epoch", static_cast<double>(report.epoch));
  object.Set("learningRate", report.learningRate);
  object.Set("trainingLoss", report.trainingLoss);
  object.Set("trainingAccuracy", report.trainingAccuracy);
  object.Set("validationLoss", report.validationLoss);
  object.Set("validationAccuracy", report.validationAccuracy);
  object.Set("neighborAccuracy", report.neighborAccuracy);
  object.Set("seconds", report.seconds);
  return object;
}

Napi::Object stateObject(Napi::Env env, const cpu::TrainingState& state) {
  Napi::Object object = Napi::Object::New(env), plateau = Napi::Object::New(env);
  object.Set("epochs", static_cast<double>(state.epochs));
  object.Set("steps", static_cast<double>(state.steps));
  setFloats(object, "slots", state.slots);
  setFloats(object, "parameters", state.parameters);
  setFloats(object, "buffers", state.buffers);
  plateau.Set("lowestLoss", state.plateau.lowestLoss);
  plateau.Set("staleEpochs", static_cast<double>(state.plateau.staleEpochs));
  plateau.Set("factor", state.plateau.factor);
  object.Set("plateau", plateau);
  object.Set("bestValue", state.bestValue);
  object.Set("bestEpoch", static_cast<double>(state.bestEpoch));
  return object;
}

/// The layers under `name`.
cpu::NetworkDescription readLayers(const Napi::Object& network, const char* name) {
  const Napi::Env env = network.Env();
  const auto shape = counts(network, "inputShape");
  require(env, shape.size() == 3, "network.inputShape", "must be channels, height and width");
  const Napi::Value layers = network.Get(name);
  require(env, layers.IsArray(), "network.layers", "must be an array");
  std::vector<cpu::LayerDescription> descriptions;
  for (std::uint32_t i = 0; i < layers.As<Napi::Array>().Length(); ++i) {
    const Napi::Value layer = layers.As<Napi::Array>().Get(i);
    require(env, layer.IsObject(), "network.layers", "must be objects");
    descriptions.push_back(readLayer(layer.As<Napi::Object>()));
  }
  try {
    return cpu::describeNetwork({shape[0], shape[1], shape[2]}, std::move(descriptions));
  } catch (...) {
    throw toError(env, std::current_exception());
  }
}

}  // namespace

cpu::NetworkDescription readNetwork(const Napi::Object& request) {
  return readLayers(object(request, "network"), "layers");
}

cpu::Initialization readInitialization(const Napi::Object& request) {
  const Napi::Object source = object(request, "initialization");
  cpu::Initialization initialization{choice(source, "type", initializations)};
  readIfThere(source, "value", initialization.value);
  return initialization;
}

cpu::InputTransform readInputTransform(const Napi::Object& transform) {
  return {boolean(transform, "unitLength"), copied(transform, "mean"), copied(transform, "scale")};
}

/// Moves what the flat numbers have beyond those of the first level, and only that, to the children.
void splitNumbers(Napi::Env env, const char* argument, std::size_t ofParent, std::size_t ofChildren,
                  std::vector<float>& numbers, std::vector<float>& children) {
  require(env, numbers.size() == ofParent + ofChildren, argument, "must fit the network");
  const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(ofParent);
  children.assign(first, numbers.end());
  numbers.erase(first, numbers.end());
}

cpu::ChildNetworks readChildren(const Napi::Object& classifier, const cpu::NetworkDescription& parent) {
  const Napi::Env env = classifier.Env();
  cpu::ChildNetworks children{readLayers(object(classifier, "network"), "children"), {}, {}};
  const cpu::NetworkDescription& network = children.network;
  require(env, !cpu::isPartitionRule(parent.layers.back()) && !cpu::isPartitionRule(network.layers.back()),
          "classifier.network", "must have layers that are trained in both of its levels");
  require(env, network.outputs() <= 0x7fffffff / parent.outputs(), "classifier.network.children",
          "has too many outputs");
  return children;
}

cpu::Classifier readClassifier(const Napi::Object& classifier) {
  const Napi::Env env = classifier.Env();
  cpu::Classifier result{readNetwork(classifier),           copied(classifier, "parameters"),
                         copied(classifier, "buffers"),     readInputTransform(object(classifier, "input")),
                         number(classifier, "temperature"), {}};
  cpu::ChildNetworks children;
  std::size_t groups = 0;
  if (has(object(classifier, "network"), "children")) {
    children = readChildren(classifier, result.network);
    groups = result.network.outputs();
  }
  splitNumbers(env, "classifier.parameters", result.network.parameters(),
               groups * children.network.parameters(), result.parameters, children.parameters);
  splitNumbers(env, "classifier.buffers", result.network.buffers(), groups * children.network.buffers(),
               result.buffers, children.buffers);
  if (groups > 0) result.children = std::move(children);
  const std::size_t inputs = result.network.inputs();
  require(env, result.input.mean.size() == inputs && result.input.scale.size() == inputs, "classifier.input",
          "must have one entry an input");
  return result;
}

cpu::Loss readLoss(const Napi::Object& request) {
  const Napi::Object source = object(request, "loss");
  cpu::Loss loss;
  loss.type = choice(source, "type", losses);
  readIfThere(source, "labelSmoothing", loss.labelSmoothing);
  if (source.Get("classWeights").IsArray()) loss.classWeights = numbers(source, "classWeights");
  return loss;
}

/// What rounds factors to 11 bits or less elsewhere may keep 16 of them here.
cpu::Precision readPrecision(const Napi::Object& request) {
  return text(request, "precision") == "fp32" ? cpu::Precision::single : cpu::Precision::split;
}

cpu::OptimizerOptions readOptimizer(const Napi::Object& request) {
  const Napi::Object source = object(request, "optimizer"), penalties = object(request, "regularization");
  cpu::OptimizerOptions options;
  options.type = choice(source, "type", optimizers);
  readIfThere(source, "momentum", options.momentum);
  readIfThere(source, "nesterov", options.nesterov);
  readIfThere(source, "beta1", options.beta1);
  readIfThere(source, "beta2", options.beta2);
  readIfThere(source, "decay", options.decay);
  readIfThere(source, "epsilon", options.epsilon);
  readIfThere(source, "weightDecay", options.weightDecay);
  readIfThere(source, "momentumDecay", options.momentumDecay);
  options.l1 = number(penalties, "l1");
  options.l2 = number(penalties, "l2");
  options.clipNorm = number(penalties, "clipNorm");
  return options;
}

cpu::ScheduleOptions readSchedule(const Napi::Object& request) {
  const Napi::Object source = object(request, "schedule");
  cpu::ScheduleOptions options;
  options.type = choice(source, "type", schedules);
  readIfThere(source, "factor", options.factor);
  readIfThere(source, "every", options.every);
  if (has(source, "milestones")) options.milestones = numbers(source, "milestones");
  readIfThere(source, "minimum", options.minimum);
  readIfThere(source, "epochs", options.epochs);
  readIfThere(source, "patience", options.patience);
  readIfThere(source, "warmup", options.warmup);
  return options;
}

cpu::TrainingOptions readTraining(const Napi::Object& request) {
  cpu::TrainingOptions options;
  options.network = readNetwork(request);
  options.initialization = readInitialization(request);
  options.input = choice(request, "input", inputTypes);
  options.loss = readLoss(request);
  const Napi::Value weights = object(request, "loss").Get("classWeights");
  options.balancedClasses = weights.IsString() && weights.As<Napi::String>().Utf8Value() == "balanced";
  options.optimizer = readOptimizer(request);
  options.learningRate = number(object(request, "optimizer"), "learningRate");
  options.schedule = readSchedule(request);
  options.inputNoise = number(object(request, "regularization"), "inputNoise");
  options.epochs = count(request, "epochs");
  options.batchSize = count(request, "batchSize");
  options.validationFraction = number(request, "validationFraction");
  if (has(request, "earlyStopping")) {
    const Napi::Object stopping = object(request, "earlyStopping");
    options.earlyStopping = {choice(stopping, "monitor", monitors), count(stopping, "patience")};
  }
  options.monitoredProbes = count(request, "monitoredProbes");
  options.calibrate = boolean(request, "calibrate");
  options.seed = count(request, "seed");
  if (has(request, "initial")) options.start = readStart(object(request, "initial"));
  return options;
}

cpu::TrainingSet readTrainingSet(const Napi::Object& request) {
  cpu::TrainingSet set{matrix(request, "vectors", count(request, "dimensions")),
                       integers(request, "labels"),
                       count(request, "bins"),
                       integers(request, "neighbors"),
                       count(request, "neighborsPerRow"),
                       count(request, "softLabels")};
  if (has(request, "heldOut")) set.heldOut = integers(request, "heldOut");
  const Napi::Env env = request.Env();
  require(env, set.labels.size() == set.vectors.rows, "labels", "must have one entry a vector");
  require(env, set.softLabels <= set.neighborsPerRow, "softLabels", "must not exceed the neighbors of a row");
  require(env,
          (set.softLabels == 0 && set.neighbors.empty()) ||
              set.neighbors.size() == set.vectors.rows * set.neighborsPerRow,
          "neighbors", "must have one row a vector");
  return set;
}

void setTrained(Napi::Object result, const cpu::TrainingResult& trained) {
  const Napi::Env env = result.Env();
  const cpu::Classifier& classifier = trained.classifier;
  setFloats(result, "parameters", classifier.parameters);
  setFloats(result, "buffers", classifier.buffers);
  Napi::Object input = Napi::Object::New(env);
  input.Set("unitLength", classifier.input.unitLength);
  setFloats(input, "mean", classifier.input.mean);
  setFloats(input, "scale", classifier.input.scale);
  result.Set("input", input);
  result.Set("temperature", classifier.temperature);
  Napi::Array history = Napi::Array::New(env, trained.history.size());
  for (std::uint32_t i = 0; i < trained.history.size(); ++i)
    history.Set(i, epochObject(env, trained.history[i]));
  result.Set("history", history);
  result.Set("bestEpoch", static_cast<double>(trained.bestEpoch));
  const auto heldOut = output<std::int32_t>(result, "heldOut", trained.heldOut.size());
  std::copy(trained.heldOut.begin(), trained.heldOut.end(), heldOut.begin());
  if (trained.calibration) {
    Napi::Object calibration = Napi::Object::New(env);
    calibration.Set("temperature", trained.calibration->temperature);
    calibration.Set("errorBefore", trained.calibration->errorBefore);
    calibration.Set("errorAfter", trained.calibration->errorAfter);
    result.Set("calibration", calibration);
  }
  result.Set("state", stateObject(env, trained.state));
}

}  // namespace neural_lsh::addon
