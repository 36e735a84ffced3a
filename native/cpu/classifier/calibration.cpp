#include "calibration.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace neural_lsh::cpu {
namespace {

/// Of the summed cross-entropy by the inverse temperature. The cross-entropy is convex in it.
struct Derivatives {
  double slope = 0;
  double curvature = 0;
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

Derivatives derivatives(const CalibrationSet& set, double inverse) {
  Derivatives sum;
  for (std::size_t i = 0; i < set.logits.size(); i += set.bins) {
    const Derivatives row = rowDerivatives(&set.logits[i], &set.shares[i], set.bins, inverse);
    sum.slope += row.slope;
    sum.curvature += row.curvature;
  }
  return sum;
}

}  // namespace

// Newton's method for the slope's root, with a bisection (of the logarithm) wherever a step leaves the
// bracket or is not half as long as the last one.
double fitTemperature(const CalibrationSet& set) {
  double low = 1.0 / 100, high = 100, inverse = 1, step = high;
  while (step > 1e-5 * inverse) {
    const auto [slope, curvature] = derivatives(set, inverse);
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
