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
#include "expect.h"

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
  gatherInputs(trial.set, trial.atWork, {mean.data(), scale.data(), true, 0.3}, nullptr,
               floatsAt(out.data(), trial.dimensions), stream);
  std::vector<float> expected(trial.rows * trial.dimensions);
  for (std::size_t i = 0; i < trial.rows; ++i)
    transformRow(OneLane(), {mean.before().data(), scale.before().data(), true, 0.3},
                 trial.vectors.before().data() + trial.row(i) * trial.dimensions, trial.dimensions, 11 + i,
                 floatsAt(expected.data() + i * trial.dimensions, trial.dimensions));
  expectNear(expected, out.now(), "inputs");
}

void judgement(const Stream& stream, std::int32_t type, std::size_t bins) {
  constexpr std::size_t rows = Trial::rows, probes = 2;
  Trial trial(stream, bins);
  OnDevice<double> weights(stream, std::vector<double>(bins, 1.5)), losses(stream, std::vector<double>(rows));
  OnDevice<float> logits(stream, numbers(rows * bins, -3, 3)),
      logarithms(stream, numbers(rows * bins, -9, 0)), gradient(stream, std::vector<float>(rows * bins)),
      shares(stream, std::vector<float>(rows * bins));
  OnDevice<std::int32_t> targets(stream, std::vector<std::int32_t>(rows * trial.set.targetSize()));
  OnDevice<std::uint32_t> hits(stream, std::vector<std::uint32_t>(rows)),
      found(stream, std::vector<std::uint32_t>(rows));
  OnDevice<Sums> sums(stream, {Sums{}});
  const Judgement how{{type, 0.1, weights.data()},
                      logits.data(),
                      logarithms.data(),
                      bins,
                      targets.data(),
                      shares.data(),
                      losses.data(),
                      hits.data(),
                      found.data()};
  fillTargets(trial.set, trial.atWork, targets.data(), stream);
  countNeighbors(trial.set, how, trial.atWork, probes, stream);
  addNormalizer(trial.set, how, rows, sums.data(), stream);
  judge(trial.set, how, trial.atWork, floatsAt(gradient.data(), bins), sums.data(), stream);
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
    std::vector<float> used(logarithms.before().begin() + static_cast<std::ptrdiff_t>(i * bins),
                            logarithms.before().begin() + static_cast<std::ptrdiff_t>((i + 1) * bins));
    expectedSums[0] += rowLoss(OneLane(), rule, {row, used.data(), bins}, {target.data(), target.size()},
                               scale, floatsAt(expected.data() + i * bins, bins), dense.data());
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
  OnDevice<Bf16> shortValues(stream, std::vector<Bf16>(count));
  const OptimizerRule rule = optimizerRuleOf(options);
  stepOptimizer(rule, options.clip_norm, batch.data(),
                {count, values.data(), shortValues.data(), gradient.data(), first.data(), second.data(),
                 squares.data()},
                stream);
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
  std::vector<Bf16> rounded;
  for (const float value : values.now()) rounded.push_back(toBf16(value));
  expectNear(rounded, shortValues.now(), "its parameters as bf16");
}

void batchNorm(const Stream& stream, const Channels& shape) {
  const std::size_t size = shape.rows * shape.stride, count = shape.channels;
  OnDevice<float> weight(stream, numbers(count, 0.5F, 2)), bias(stream, numbers(count, 0.5F, 2)),
      mean(stream, numbers(count, 0, 1)), variance(stream, numbers(count, 0, 1)),
      in(stream, numbers(size, -1, 3)), outGradient(stream, numbers(size, -1, 1)),
      out(stream, std::vector<float>(size)), inGradient(stream, std::vector<float>(size)),
      weightGradient(stream, std::vector<float>(count)), biasGradient(stream, std::vector<float>(count));
  DeviceArray<ChannelFactors> factors(count);
  const ChannelParameters parameters{weight.data(), bias.data(), mean.data(), variance.data()};
  normalizeBatch({0.1, 1e-5}, shape, true, parameters, in.data(), factors.data(),
                 floatsAt(out.data(), shape.stride), stream);
  normalizationGradients(shape, parameters, in.data(), outGradient.data(), factors.data(),
                         weightGradient.data(), biasGradient.data(),
                         floatsAt(inGradient.data(), shape.stride), stream);
  std::vector<float> right(size), back(size), means = mean.before(), variances = variance.before(),
                                              weights(count), biases(count);
  for (std::size_t c = 0; c < count; ++c) {
    ChannelFactors channel = normalizerOfBatch(OneLane(), {0.1, 1e-5}, shape, c, in.before().data(),
                                               weight.before()[c], bias.before()[c], means[c], variances[c]);
    leadBack(OneLane(), shape, c, in.before().data(), outGradient.before().data(), weight.before()[c],
             channel, weights[c], biases[c]);
    for (std::size_t i = 0; i < shape.count(); ++i) {
      const std::size_t at = shape.at(c, i);
      const float difference = in.before()[at] - channel.center;
      right[at] = difference * channel.scale + channel.shift;
      back[at] = outGradient.before()[at] * channel.scale + difference * channel.slope + channel.constant;
    }
  }
  expectNear(right, out.now(), "batch norm");
  expectNear(means, mean.now(), "batch norm's running means");
  expectNear(variances, variance.now(), "batch norm's running variances");
  expectNear(weights, weightGradient.now(), "the gradient of batch norm's weights");
  expectNear(biases, biasGradient.now(), "the gradient of batch norm's biases");
  expectNear(back, inGradient.now(), "batch norm's gradient");
}

/// Rows of numbers on the device that lie `stride` apart, of either type.
void stridedRows(const Stream& stream, std::size_t rows, std::size_t columns, std::size_t stride) {
  const std::size_t size = rows * stride;
  OnDevice<float> values(stream, numbers(size, -1, 1)), bias(stream, numbers(columns, -1, 1)),
      sums(stream, std::vector<float>(columns)), parts(stream, std::vector<float>(columnParts * columns));
  OnDevice<Bf16> brief(stream, std::vector<Bf16>(size)), dropped(stream, std::vector<Bf16>(size));
  OnDevice<Batch> batch(stream, {{11, 12, 1, {}}});
  const Numbers floats = floatsAt(values.data(), stride), shorts{brief.data(), NumberType::bfloat16, stride},
                kept{dropped.data(), NumberType::bfloat16, stride};
  sumColumns(floats, rows, columns, parts.data(), sums.data(), stream);
  convert(floats, size, shorts, stream);
  drop(droppingOf(0.5), batch.data(), 3, shorts, rows, columns, kept, stream);
  addBias(shorts, rows, columns, bias.data(), true, stream);
  std::vector<double> exactSums(columns);
  std::vector<float> expected, expectedKept, found, foundKept;
  const std::vector<Bf16> nowBrief = brief.now(), nowKept = dropped.now();
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t at = row * stride + column;
      const float value = values.before()[at], rounded = fromBf16(toBf16(value));
      const float sum = rounded + bias.before()[column];
      exactSums[column] += value;
      expected.push_back(fromBf16(toBf16(sum < 0 ? 0 : sum)));
      expectedKept.push_back(droppingOf(0.5).apply(outputOf(12, 3), row * columns + column, rounded));
      found.push_back(fromBf16(nowBrief[at]));
      foundKept.push_back(fromBf16(nowKept[at]));
    }
  }
  expectNear(std::vector<float>(exactSums.begin(), exactSums.end()), sums.now(), "sums of columns");
  expectNear(expected, found, "bias and ReLU in bf16");
  expectNear(expectedKept, foundKept, "dropout in bf16");
}

/// Against the definition: the nearest of the two bf16 numbers around it, of two as near the even one.
void roundingToBf16() {
  for (int trial = 0; trial < 100'000; ++trial) {
    const auto value = bitsAs<float>(static_cast<std::uint32_t>(randomBits()));
    const float rounded = fromBf16(toBf16(value));
    if (value != value || std::isinf(value)) {
      EXPECT(value != value ? rounded != rounded : rounded == value);
      continue;
    }
    const auto bits = static_cast<Bf16>(bitsAs<std::uint32_t>(value) >> 16);
    const double below = fromBf16(bits), above = bits % 0x8000 == 0x7F7F
                                                     ? std::copysign(0x1p128, value)
                                                     : fromBf16(static_cast<Bf16>(bits + 1));
    const double toBelow = std::abs(value - below), toAbove = std::abs(above - value);
    const bool isBelow = toBelow < toAbove || (toBelow == toAbove && bits % 2 == 0);
    EXPECT(isBelow ? rounded == below : rounded == above || std::isinf(rounded));
  }
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
  batchNorm(stream, {1, 3, 1, 16});
  batchNorm(stream, {50, 2, 12, 24});
  stridedRows(stream, 1, 5, 5);
  stridedRows(stream, 100, 300, 304);
  roundingToBf16();
  std::puts("what the kernels do is right");
}
