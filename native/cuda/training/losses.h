// The losses of cpu/classifier/losses.cpp, a row by lanes that work on it together.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../interface.h"
#include "rows.h"

namespace neural_lsh::cuda {

struct LossRule {
  std::int32_t type;
  double labelSmoothing;
  const double* classWeights;  // bins, or null

  NLSH_BOTH double weight(std::size_t bin) const { return classWeights ? classWeights[bin] : 1.0; }
};

/// The bins of a row's target, each with the same share; a bin may stand in several.
struct RowTarget {
  const std::int32_t* bins;
  std::size_t count;

  NLSH_BOTH float share() const { return 1.0F / static_cast<float>(count); }
};

/// What the sum of the rows' losses is to be divided by: a row's part of it.
NLSH_BOTH inline double rowNormalizer(const LossRule& rule, std::size_t bins, const RowTarget& target) {
  if (rule.type != NLSH_CROSS_ENTROPY) return static_cast<double>(bins);
  return target.count == 1 ? rule.weight(static_cast<std::size_t>(target.bins[0])) : 1.0;
}

/// body(bin) for each entry of the target whose bin is this lane's.
template <typename Lanes, typename Body>
NLSH_BOTH void forOwnedEntries(const Lanes& lanes, const RowTarget& target, const Body& body) {
  for (std::size_t i = 0; i < target.count; ++i) {
    const auto bin = static_cast<std::size_t>(target.bins[i]);
    if (owns(lanes, bin)) body(bin);
  }
}

/// The target as a number for each bin.
template <typename Lanes>
NLSH_BOTH void fillShares(const Lanes& lanes, const RowTarget& target, std::size_t bins, float* shares) {
  const float share = target.share();
  forOwned(lanes, bins, [&](std::size_t bin) { shares[bin] = 0; });
  forOwnedEntries(lanes, target, [&](std::size_t bin) { shares[bin] += share; });
}

/// A row that leaves the network.
struct RowOutputs {
  const float* logits;
  float* logProbabilities;  // their log-softmax, which may be used up; null where the loss needs none
  std::size_t bins;
};

/// sum_c a_c (-log p_c) with a_c = weight_c ((1 - smoothing) share_c + smoothing / bins), whose gradient is
/// (sum of a) p - a.
template <typename Lanes>
NLSH_BOTH double crossEntropy(const Lanes& lanes, const LossRule& rule, const RowOutputs& row,
                              const RowTarget& target, float gradientScale, const Numbers& gradient) {
  float* const values = row.logProbabilities;  // which become the gradient
  const double smoothed = rule.labelSmoothing / static_cast<double>(row.bins);
  const double share = (1 - rule.labelSmoothing) * static_cast<double>(target.share());
  double total = 0, loss = 0;  // sums of a, and of a (-log p)
  const auto add = [&](double part, std::size_t bin) {
    total += part;
    loss -= part * values[bin];
  };
  forOwnedEntries(lanes, target, [&](std::size_t bin) { add(rule.weight(bin) * share, bin); });
  if (smoothed > 0)
    forOwned(lanes, row.bins, [&](std::size_t bin) { add(rule.weight(bin) * smoothed, bin); });
  total = lanes.sum(total);

  const auto scale = static_cast<float>(gradientScale * total);
  forOwned(lanes, row.bins, [&](std::size_t bin) {
    values[bin] = std::exp(values[bin]) * scale;
    if (smoothed > 0) values[bin] -= static_cast<float>(rule.weight(bin) * smoothed) * gradientScale;
  });
  forOwnedEntries(lanes, target, [&](std::size_t bin) {
    values[bin] -= static_cast<float>(rule.weight(bin) * share) * gradientScale;
  });
  forOwned(lanes, row.bins, [&](std::size_t bin) { gradient.put(bin, values[bin]); });
  return lanes.sum(loss);
}

/// log(1 + exp(x)) of a bin that is not in the target, log(1 + exp(-x)) of one that is.
template <typename Lanes>
NLSH_BOTH double binaryCrossEntropy(const Lanes& lanes, const LossRule& rule, const RowOutputs& row,
                                    const RowTarget& target, float gradientScale, const Numbers& gradient,
                                    float* shares) {
  fillShares(lanes, target, row.bins, shares);
  double sum = 0;
  forOwned(lanes, row.bins, [&](std::size_t bin) {
    const float inTarget = shares[bin] > 0 ? 1 : 0;
    const float x = row.logits[bin], small = std::exp(-std::abs(x));
    const float probability = (x >= 0 ? 1 : small) / (1 + small);
    const float wrong = inTarget > 0 ? -x : x;
    const double weight = rule.weight(bin);
    sum += weight * ((wrong < 0 ? 0 : wrong) + std::log(1.0 + small));
    gradient.put(bin, static_cast<float>(weight) * (probability - inTarget) * gradientScale);
  });
  return lanes.sum(sum);
}

/// Distance of the probabilities from the shares, squared or absolute.
template <typename Lanes>
NLSH_BOTH double probabilityError(const Lanes& lanes, const LossRule& rule, const RowOutputs& row,
                                  const RowTarget& target, float gradientScale, const Numbers& gradient,
                                  float* shares) {
  const bool squared = rule.type == NLSH_MEAN_SQUARED_ERROR;
  float* const probabilities = row.logProbabilities;
  fillShares(lanes, target, row.bins, shares);
  const auto slope = [&](std::size_t bin, float difference) {
    const auto sign = static_cast<float>((difference > 0) - (difference < 0));
    return static_cast<float>(rule.weight(bin)) * (squared ? 2 * difference : sign);
  };
  double sum = 0, mean = 0;  // of the errors, and of their slopes over the probabilities
  forOwned(lanes, row.bins, [&](std::size_t bin) {
    const float probability = probabilities[bin] = std::exp(probabilities[bin]);
    const float difference = probability - shares[bin];
    sum += rule.weight(bin) * (squared ? difference * difference : std::abs(difference));
    mean += probability * slope(bin, difference);
  });
  mean = lanes.sum(mean);
  forOwned(lanes, row.bins, [&](std::size_t bin) {
    const float probability = probabilities[bin];
    const float difference = slope(bin, probability - shares[bin]) - static_cast<float>(mean);
    gradient.put(bin, probability * difference * gradientScale);
  });
  return lanes.sum(sum);
}

/// Whether rowLoss needs a number a bin for the target's shares, and whether the logits' log-softmax.
inline bool needsShares(std::int32_t lossType) {
  return lossType != NLSH_CROSS_ENTROPY;
}
inline bool needsProbabilities(std::int32_t lossType) {
  return lossType != NLSH_BINARY_CROSS_ENTROPY;
}

/// Loss of one row before the division by the normalizer, the same for all lanes; `gradient` becomes its
/// gradient with respect to the logits times gradientScale.
template <typename Lanes>
NLSH_BOTH double rowLoss(const Lanes& lanes, const LossRule& rule, const RowOutputs& row,
                         const RowTarget& target, float gradientScale, const Numbers& gradient,
                         float* shares) {
  switch (rule.type) {
    case NLSH_CROSS_ENTROPY:
      return crossEntropy(lanes, rule, row, target, gradientScale, gradient);
    case NLSH_BINARY_CROSS_ENTROPY:
      return binaryCrossEntropy(lanes, rule, row, target, gradientScale, gradient, shares);
    default:
      return probabilityError(lanes, rule, row, target, gradientScale, gradient, shares);
  }
}

}  // namespace neural_lsh::cuda
