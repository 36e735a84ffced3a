#include "calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "../chunks.h"

namespace neural_lsh::cpu {
namespace {

/// Of the summed cross-entropy by the inverse temperature. The cross-entropy is convex in it.
struct Derivatives {
  double slope = 0;
  double curvature = 0;

  Derivatives& operator+=(const Derivatives& other) {
    slope += other.slope;
    curvature += other.curvature;
    return *this;
  }
};

/// A row's part: with p = softmax(inverse * logits), p's mean of the logits less the shares', and p's
/// variance of the logits, all counted from the largest logit.
Derivatives rowDerivatives(const float* logits, const float* shares, std::size_t bins, double inverse) {
  const double largest = *std::max_element(logits, logits + bins);
  double sum = 0, first = 0, second = 0, total = 0, target = 0;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    const double x = logits[bin] - largest, e = std::exp(inverse * x);
    sum += e;
    first += e * x;
    second += e * x * x;
    total += shares[bin];
    target += shares[bin] * x;
  }
  const double mean = first / sum;
  return {total * mean - target, total * (second / sum - mean * mean)};
}

/// Over all rows, in chunks whose sums are added in order.
Derivatives derivatives(const CalibrationSet& set, double inverse, const Job& job) {
  constexpr std::size_t exponentialCost = 8;  // in element-wise operations
  const std::size_t rows = set.logits.size() / set.bins, grain = chunkRows(set.bins * exponentialCost);
  std::vector<Derivatives> sums((rows + grain - 1) / grain);
  forChunks(rows, grain, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    for (std::size_t i = begin * set.bins; i < end * set.bins; i += set.bins) {
      sums[begin / grain] += rowDerivatives(&set.logits[i], &set.shares[i], set.bins, inverse);
    }
  });
  return std::accumulate(sums.begin(), sums.end(), Derivatives{},
                         [](Derivatives sum, const Derivatives& part) { return sum += part; });
}

}  // namespace

// Newton's method for the slope's root, with a bisection (of the logarithm) wherever a step leaves the
// bracket or is not half as long as the last one.
double fitTemperature(const CalibrationSet& set, const Job& job) {
  double low = 1e-9, high = 1e9, inverse = 1, step = high;
  while (step > 1e-5 * inverse) {
    const auto [slope, curvature] = derivatives(set, inverse, job);
    if (slope == 0) break;
    (slope > 0 ? high : low) = inverse;
    double next = inverse - slope / curvature;
    const bool good = next > low && next < high && std::abs(next - inverse) <= step / 2;
    if (!good) next = std::sqrt(low * high);
    step = std::abs(next - inverse);
    inverse = next;
  }
  return 1 / inverse;
}

double expectedCalibrationError(const CalibrationSet& set, double temperature) {
  constexpr std::size_t intervals = 15;
  std::array<double, intervals> gaps{};  // summed accuracy - confidence
  for (std::size_t i = 0; i < set.logits.size(); i += set.bins) {
    const auto logits = set.logits.subspan(i, set.bins);
    const auto best = std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp((static_cast<double>(logit) - *best) / temperature);
    const double confidence = 1 / sum;
    const auto interval = static_cast<std::size_t>(std::ceil(confidence * intervals)) - 1;
    gaps[std::min(interval, intervals - 1)] +=
        set.shares[i + static_cast<std::size_t>(best - logits.begin())] - confidence;
  }
  double error = 0;
  for (const double gap : gaps) error += std::abs(gap);
  return error / static_cast<double>(set.logits.size() / set.bins);
}

}  // namespace neural_lsh::cpu
