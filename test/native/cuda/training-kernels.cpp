// The training's kernels on an emulated device (emulation/emulator.h), whose blocks have as many threads as a
// real one's: they must come to what a single lane does.
#define __CUDACC__
#include "emulation/emulator.h"
// What is tested, in one piece.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "../../../native/cuda/device.cpp"
#include "../../../native/cuda/status.cpp"
#include "../../../native/cuda/training/kernels.cu"

namespace neural_lsh::cuda {

alignas(16) thread_local std::byte dynamicSharedMemory[96 << 10];

namespace {

std::mt19937 randomBits(1);

template <typename T>
class OnDevice {
 public:
  OnDevice(const Stream& stream, std::vector<T> values)
      : stream_(stream), values_(std::move(values)), there_(values_.size()) {
    copyToDevice(there_.data(), values_.data(), values_.size(), stream_);
    stream_.synchronize();
  }

  T* data() { return there_.data(); }
  const std::vector<T>& before() const { return values_; }
  std::vector<T> now() {
    std::vector<T> values(values_.size());
    copyToHost(values.data(), there_.data(), values.size(), stream_);
    stream_.synchronize();
    return values;
  }

 private:
  const Stream& stream_;
  std::vector<T> values_;
  DeviceArray<T> there_;
};

std::vector<float> numbers(std::size_t count, float from, float to) {
  std::vector<float> values(count);
  for (float& value : values) value = std::uniform_real_distribution<float>(from, to)(randomBits);
  return values;
}

std::vector<std::int32_t> below(std::size_t count, std::size_t end) {
  std::vector<std::int32_t> values(count);
  for (std::int32_t& value : values) value = static_cast<std::int32_t>(randomBits() % end);
  return values;
}

template <typename T>
void expectNear(const std::vector<T>& expected, const std::vector<T>& found, const char* what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double right = static_cast<double>(expected[i]),
                 error = std::abs(right - static_cast<double>(found[i]));
    if (error <= 1e-5 * (std::abs(right) + 0.1)) continue;
    std::fprintf(stderr, "%s, number %zu: %.9g, not %.9g\n", what, i, static_cast<double>(found[i]), right);
    std::exit(1);
  }
}

/// A set of vectors and a batch of its rows, from the second of the row numbers on.
struct Trial {
  static constexpr std::size_t points = 40, perRow = 6, softLabels = 4, dimensions = 9, rows = 5;

  Trial(const Stream& stream, std::size_t bins)
      : bins(bins),
        vectors(stream, numbers(points * dimensions, -1, 1)),
        labels(stream, below(points, bins)),
        neighbors(stream, below(points * perRow, points)),
        rowNumbers(stream, below(rows + 1, points)),
        batch(stream, {{11, 12, 1, {}}}),
        set{vectors.data(), dimensions, labels.data(), neighbors.data(), perRow, softLabels, bins},
        atWork{rowNumbers.data(), batch.data(), rows} {}

  std::size_t row(std::size_t i) const { return static_cast<std::size_t>(rowNumbers.before()[i + 1]); }
  std::vector<std::int32_t> target(std::size_t i) const {
    std::vector<std::int32_t> bins;
    for (std::size_t s = 0; s < softLabels; ++s)
      bins.push_back(labels.before()[static_cast<std::size_t>(neighbors.before()[row(i) * perRow + s])]);
    bins.push_back(labels.before()[row(i)]);
    return bins;
  }

  std::size_t bins;
  OnDevice<float> vectors;
  OnDevice<std::int32_t> labels, neighbors, rowNumbers;
  OnDevice<Batch> batch;
  DeviceSet set;
  RowsAtWork atWork;
};

void inputs(const Stream& stream) {
  Trial trial(stream, 3);
  OnDevice<float> mean(stream, numbers(trial.dimensions, -1, 1)),
      scale(stream, numbers(trial.dimensions, 1, 2));
  OnDevice<float> out(stream, std::vector<float>(trial.rows * trial.dimensions));
  gatherInputs(trial.set, trial.atWork, {mean.data(), scale.data(), true, 0.3}, nullptr, out.data(), stream);
  std::vector<float> expected(trial.rows * trial.dimensions);
  for (std::size_t i = 0; i < trial.rows; ++i)
    transformRow(OneLane(), {mean.before().data(), scale.before().data(), true, 0.3},
                 trial.vectors.before().data() + trial.row(i) * trial.dimensions, trial.dimensions, 11 + i,
                 expected.data() + i * trial.dimensions);
  expectNear(expected, out.now(), "inputs");
}

void judgement(const Stream& stream, std::int32_t type, std::size_t bins) {
  constexpr std::size_t rows = Trial::rows, probes = 2;
  Trial trial(stream, bins);
  OnDevice<double> weights(stream, std::vector<double>(bins, 1.5)), losses(stream, std::vector<double>(rows));
  OnDevice<float> logits(stream, numbers(rows * bins, -3, 3)),
      gradient(stream, std::vector<float>(rows * bins)), shares(stream, std::vector<float>(rows * bins));
  OnDevice<std::int32_t> targets(stream, std::vector<std::int32_t>(rows * trial.set.targetSize()));
  OnDevice<std::uint32_t> hits(stream, std::vector<std::uint32_t>(rows)),
      found(stream, std::vector<std::uint32_t>(rows));
  OnDevice<Sums> sums(stream, {Sums{}});
  const Judgement how{
      {type, 0.1, weights.data()}, targets.data(), shares.data(), losses.data(), hits.data(), found.data()};
  fillTargets(trial.set, trial.atWork, targets.data(), stream);
  countNeighbors(trial.set, how, trial.atWork, logits.data(), probes, stream);
  addNormalizer(trial.set, how, rows, sums.data(), stream);
  judge(trial.set, how, trial.atWork, logits.data(), gradient.data(), sums.data(), stream);
  addJudgement(how, rows, true, sums.data(), stream);

  const LossRule rule{type, 0.1, weights.before().data()};
  std::vector<float> expected(rows * bins), dense(bins);
  std::vector<double> expectedSums(4);
  for (std::size_t i = 0; i < rows; ++i)
    expectedSums[1] += rowNormalizer(rule, bins, {trial.target(i).data(), trial.set.targetSize()});
  const auto scale = static_cast<float>(1 / expectedSums[1]);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::vector<std::int32_t> target = trial.target(i);
    const float* const row = logits.before().data() + i * bins;
    expectedSums[0] += rowLoss(OneLane(), rule, row, bins, {target.data(), target.size()}, scale,
                               expected.data() + i * bins, dense.data());
    const auto rank = [&](std::int32_t bin) {
      return rankOf(OneLane(), row, bins, static_cast<std::size_t>(bin));
    };
    expectedSums[2] += rank(target.back()) == 0;
    for (std::size_t n = 0; n < trial.perRow; ++n) {
      const auto neighbor =
          static_cast<std::size_t>(trial.neighbors.before()[trial.row(i) * trial.perRow + n]);
      expectedSums[3] += rank(trial.labels.before()[neighbor]) < probes;
    }
  }
  const Sums now = sums.now()[0];
  expectNear(
      expectedSums,
      {now.loss, now.normalizer, static_cast<double>(now.hits), static_cast<double>(now.neighborsFound)},
      "sums");
  expectNear(expected, gradient.now(), "gradient");
}

void optimizerSteps(const Stream& stream, std::size_t count) {
  const NlshOptimizer options{NLSH_ADAM, 0, 0, 0.9, 0.999, 0.99, 1e-8, 0, 4e-3, 1e-4, 1e-3, 0.5};
  OnDevice<Batch> batch(stream, {{0, 0, 0, optimizerFactorsOf(options, 0.01, 3, 1)}});
  OnDevice<float> values(stream, numbers(count, -1, 1)), gradient(stream, numbers(count, -1, 1)),
      first(stream, numbers(count, -1, 1)), second(stream, numbers(count, 0, 1));
  OnDevice<double> squares(stream, std::vector<double>(normParts));
  const OptimizerRule rule = optimizerRuleOf(options);
  stepOptimizer(rule, options.clip_norm, batch.data(),
                {count, values.data(), gradient.data(), first.data(), second.data(), squares.data()}, stream);
  double norm = 0;
  for (const float value : gradient.before()) norm += static_cast<double>(value) * value;
  std::vector<float> expected;
  for (std::size_t i = 0; i < count; ++i) {
    Parameter parameter{values.before()[i], first.before()[i], second.before()[i]};
    updateParameter(rule, batch.before()[0].factors, clipFactorOf(options.clip_norm, norm),
                    gradient.before()[i], parameter);
    expected.push_back(parameter.value);
  }
  expectNear(expected, values.now(), "a step of the optimizer");
}

void batchNorm(const Stream& stream, const Channels& shape) {
  const std::size_t size = shape.rows * shape.channels * shape.pixels;
  OnDevice<float> parameters(stream, numbers(2 * shape.channels, 0.5F, 2)),
      buffers(stream, numbers(2 * shape.channels, 0, 1)), in(stream, numbers(size, -1, 3)),
      outGradient(stream, numbers(size, -1, 1)), out(stream, std::vector<float>(size)),
      inGradient(stream, std::vector<float>(size)), gradient(stream, std::vector<float>(2 * shape.channels));
  DeviceArray<ChannelFactors> factors(shape.channels);
  normalizeBatch({0.1, 1e-5}, shape, true, parameters.data(), buffers.data(), in.data(), factors.data(),
                 out.data(), stream);
  normalizationGradients(shape, parameters.data(), in.data(), outGradient.data(), factors.data(),
                         gradient.data(), inGradient.data(), stream);
  std::vector<float> right(size), back(size), running = buffers.before(), weights(2 * shape.channels);
  for (std::size_t c = 0; c < shape.channels; ++c) {
    const float weight = parameters.before()[c], bias = parameters.before()[shape.channels + c];
    ChannelFactors channel = normalizerOfBatch(OneLane(), {0.1, 1e-5}, shape, c, in.before().data(), weight,
                                               bias, running[c], running[shape.channels + c]);
    leadBack(OneLane(), shape, c, in.before().data(), outGradient.before().data(), weight, channel,
             weights[c], weights[shape.channels + c]);
    for (std::size_t i = 0; i < shape.count(); ++i) {
      const std::size_t at = shape.at(c, i);
      const float difference = in.before()[at] - channel.center;
      right[at] = difference * channel.scale + channel.shift;
      back[at] = outGradient.before()[at] * channel.scale + difference * channel.slope + channel.constant;
    }
  }
  expectNear(right, out.now(), "batch norm");
  expectNear(running, buffers.now(), "batch norm's running statistics");
  expectNear(weights, gradient.now(), "the gradient of batch norm's weights");
  expectNear(back, inGradient.now(), "batch norm's gradient");
}

void columns(const Stream& stream, std::size_t rows, std::size_t count) {
  OnDevice<float> values(stream, numbers(rows * count, -1, 1)), sums(stream, std::vector<float>(count)),
      parts(stream, std::vector<float>(columnParts * count));
  sumColumns(values.data(), rows, count, parts.data(), sums.data(), stream);
  std::vector<float> expected(count);
  for (std::size_t i = 0; i < rows * count; ++i) expected[i % count] += values.before()[i];
  expectNear(expected, sums.now(), "sums of columns");
}

}  // namespace
}  // namespace neural_lsh::cuda

int main() {
  using namespace neural_lsh::cuda;
  const Stream stream;
  inputs(stream);
  for (const std::int32_t type :
       {NLSH_CROSS_ENTROPY, NLSH_BINARY_CROSS_ENTROPY, NLSH_MEAN_SQUARED_ERROR, NLSH_MEAN_ABSOLUTE_ERROR})
    for (const std::size_t bins : {3, 256, 700}) judgement(stream, type, bins);
  for (const std::size_t count : {1, 255, 1000, 70'000}) optimizerSteps(stream, count);
  batchNorm(stream, {1, 3, 1});
  batchNorm(stream, {50, 2, 12});
  columns(stream, 1, 5);
  columns(stream, 100, 300);
  std::puts("what the kernels do is right");
}
