// What lanes do together with a row or a channel in training: four of them must come to what one does alone,
// but for the rounding of sums.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "../../../native/cuda/training/channels.h"
#include "../../../native/cuda/training/losses.h"
#include "../../../native/cuda/training/rows.h"
#include "threads-as-lanes.h"

namespace neural_lsh::cuda {
namespace {

std::mt19937 randomBits(1);

std::vector<float> numbers(std::size_t count, float from, float to) {
  std::vector<float> values(count);
  for (float& value : values) value = std::uniform_real_distribution<float>(from, to)(randomBits);
  return values;
}

using Results = std::vector<double>;

void expectNear(const Results& expected, const Results& found, const char* what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error = std::abs(expected[i] - found[i]);
    if (found.size() == expected.size() && error <= 1e-6 * (std::abs(expected[i]) + 1e-3)) continue;
    std::fprintf(stderr, "%s, number %zu: %.9g, not %.9g\n", what, i, found[i], expected[i]);
    std::exit(1);
  }
}

/// body(lanes, results): what it leaves in `results`, written by all lanes, is to be the same.
template <typename Body>
void alike(const char* what, std::size_t size, const Body& body) {
  std::vector<float> alone(size), together(size);
  Results one, four;
  body(OneLane(), alone.data(), one);
  onLanes([&](const ThreadLanes& lanes) {
    Results results;
    body(lanes, together.data(), results);
    lanes.synchronize();
    if (lanes.index() == 3) four = results;  // any: scalars are the same for all
  });
  one.insert(one.end(), alone.begin(), alone.end());
  four.insert(four.end(), together.begin(), together.end());
  expectNear(one, four, what);
}

void losses(std::size_t bins, std::size_t entries) {
  std::vector<double> weights(bins);
  for (double& weight : weights) weight = std::uniform_real_distribution<double>(0, 2)(randomBits);
  std::vector<std::int32_t> target(entries);
  for (std::int32_t& bin : target) bin = static_cast<std::int32_t>(randomBits() % bins);
  const std::vector<float> logits = numbers(bins, -4, 4);
  for (const std::int32_t type :
       {NLSH_CROSS_ENTROPY, NLSH_BINARY_CROSS_ENTROPY, NLSH_MEAN_SQUARED_ERROR, NLSH_MEAN_ABSOLUTE_ERROR}) {
    for (const double smoothing : {0.0, 0.1}) {
      std::vector<float> shares(bins), logarithms(bins);
      const LossRule rule{type, smoothing, smoothing > 0 ? weights.data() : nullptr};
      alike("loss", bins, [&](const auto& lanes, float* gradient, Results& results) {
        forOwned(lanes, bins, [&](std::size_t bin) { logarithms[bin] = logits[bin] - 4; });
        const RowOutputs row{logits.data(), logarithms.data(), bins};
        results = {rowLoss(lanes, rule, row, {target.data(), entries}, 0.25F, floatsAt(gradient, bins),
                           shares.data())};
      });
    }
  }
}

void rows(std::size_t count) {
  const std::vector<float> values = numbers(count, -2, 2), other = numbers(count, -1, 1);
  std::vector<float> ties = values;
  ties[0] = ties[count - 1] = ties[count / 2] = 3;
  alike("rank", 0, [&](const auto& lanes, float*, Results& results) {
    for (std::size_t i = 0; i < count; ++i)
      results.push_back(static_cast<double>(rankOf(lanes, ties.data(), count, i)));
    if (results[0] != 0 || (count > 2 && results[count - 1] != 2)) std::exit(1);
  });
  for (const bool unitLength : {false, true}) {
    for (const double noise : {0.0, 0.5}) {
      const InputRule rule{other.data(), values.data(), unitLength, noise};
      alike("input", count, [&](const auto& lanes, float* out, Results&) {
        transformRow(lanes, rule, values.data(), count, 77, floatsAt(out, count));
      });
    }
  }
}

void channels(const Channels& shape) {
  const std::size_t size = shape.rows * shape.stride;
  const std::vector<float> in = numbers(size, -1, 3), gradient = numbers(size, -1, 1);
  for (std::size_t channel = 0; channel < shape.channels; ++channel) {
    alike("batch norm", 6, [&](const auto& lanes, float* shared, Results& results) {
      float &runningMean = shared[0], &runningVariance = shared[1];
      ChannelFactors factors = normalizerOfBatch(lanes, {0.1, 1e-5}, shape, channel, in.data(), 1.5F, 0.5F,
                                                 runningMean, runningVariance);
      results = {factors.center, factors.scale, factors.shift, factors.inverseDeviation};
      leadBack(lanes, shape, channel, in.data(), gradient.data(), 1.5F, factors, shared[2], shared[3]);
      if (lanes.index() != 0) return;
      shared[4] = factors.slope;
      shared[5] = factors.constant;
    });
  }
}

}  // namespace
}  // namespace neural_lsh::cuda

int main() {
  using namespace neural_lsh::cuda;
  for (const std::size_t bins : {2, 3, 4, 5, 16, 257})
    for (const std::size_t entries : {1, 2, 51}) losses(bins, entries);
  for (const std::size_t count : {1, 2, 3, 4, 7, 100}) rows(count);
  channels({1, 3, 1, 3});
  channels({5, 2, 6, 12});
  channels({40, 3, 1, 16});
  std::puts("the training is right");
}
