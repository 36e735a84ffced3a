#include "losses.h"

#include <algorithm>
#include <cmath>

#include "../../core/aligned-buffer.h"
#include "../kernels/kernels.h"
#include "element-wise.h"

namespace neural_lsh::cpu {
namespace {

double classWeight(const Loss& loss, std::size_t bin) {
  return loss.classWeights.empty() ? 1.0 : loss.classWeights[bin];
}

/// values = exp(values - largest); returns their sum. NaN stays NaN.
double exponentials(std::span<float> values, float largest) {
  return kernels().exponentials(values.data(), values.size(), largest);
}
double exponentials(std::span<double> values, double largest) {
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - largest);
  return sum;
}

void multiplyBy(float factor, std::span<float> values) {
  kernels().scale(values.data(), values.size(), factor);
}
void multiplyBy(double factor, std::span<double> values) {
  for (double& value : values) value *= factor;
}

/// The target as a number for each bin; valid until the thread's next call.
template <typename Real>
std::span<const Real> denseShares(std::size_t outputs, std::span<const Target<Real>> target) {
  thread_local AlignedBuffer<Real> buffer;
  Real* const shares = buffer.require(outputs);
  std::fill_n(shares, outputs, Real{0});
  for (const auto& [bin, share] : target) shares[bin] += share;
  return {shares, outputs};
}

/// sum_c a_c (-log p_c) with a_c = weight_c ((1 - smoothing) share_c + smoothing / outputs), whose gradient
/// is (sum of a) p - a. Without smoothing only the target's entries are looked at, besides the exponentials.
template <typename Real>
double crossEntropy(const Loss& loss, std::span<Real> outputs, std::span<const Target<Real>> target,
                    Real gradientScale) {
  const Real largest = largestOf(outputs.data(), outputs.size());
  const double smoothed = loss.labelSmoothing / static_cast<double>(outputs.size());
  const auto sharePart = [&](const Target<Real>& entry) {
    return classWeight(loss, entry.bin) * (1 - loss.labelSmoothing) * static_cast<double>(entry.share);
  };
  double total = 0, below = 0;  // sums of a and of a (largest - output)
  const auto add = [&](double part, Real output) {
    total += part;
    below += part * (static_cast<double>(largest) - output);
  };
  for (const Target<Real>& entry : target) add(sharePart(entry), outputs[entry.bin]);
  for (std::size_t bin = 0; bin < outputs.size() && smoothed > 0; ++bin) {
    add(classWeight(loss, bin) * smoothed, outputs[bin]);
  }

  const double sum = exponentials(outputs, largest);
  const auto scale = static_cast<Real>(gradientScale * total / sum);
  multiplyBy(scale, outputs);
  for (std::size_t bin = 0; bin < outputs.size() && smoothed > 0; ++bin) {
    outputs[bin] -= static_cast<Real>(classWeight(loss, bin) * smoothed) * gradientScale;
  }
  for (const Target<Real>& entry : target) {
    outputs[entry.bin] -= static_cast<Real>(sharePart(entry)) * gradientScale;
  }
  return total * std::log(sum) + below;
}

/// log(1 + exp(x)) of a bin that is not in the target, log(1 + exp(-x)) of one that is. The logarithm is
/// taken in double: there it is exact enough for a mean, and faster than log1p.
template <typename Real>
double binaryCrossEntropy(const Loss& loss, std::span<Real> outputs, std::span<const Target<Real>> target,
                          Real gradientScale) {
  const std::span<const Real> shares = denseShares(outputs.size(), target);
  double sum = 0;
  for (std::size_t bin = 0; bin < outputs.size(); ++bin) {
    const bool inTarget = shares[bin] > 0;
    const Real x = outputs[bin], small = std::exp(-std::abs(x));
    const Real probability = (x >= 0 ? Real{1} : small) / (1 + small);
    const double weight = classWeight(loss, bin);
    sum += weight * (std::max(inTarget ? -x : x, Real{0}) + std::log(1.0 + small));
    outputs[bin] = static_cast<Real>(weight) * (probability - (inTarget ? 1 : 0)) * gradientScale;
  }
  return sum;
}

/// Distance of the probabilities from the shares, squared or absolute.
template <typename Real>
double probabilityError(const Loss& loss, std::span<Real> outputs, std::span<const Target<Real>> target,
                        Real gradientScale) {
  const bool squared = loss.type == LossType::meanSquaredError;
  const std::span<const Real> shares = denseShares(outputs.size(), target);
  const Real largest = largestOf(outputs.data(), outputs.size());
  const auto scale = static_cast<Real>(1 / exponentials(outputs, largest));
  const auto slope = [&](std::size_t bin, Real difference) {
    const auto weight = static_cast<Real>(classWeight(loss, bin));
    return weight * (squared ? 2 * difference : Real(difference > 0) - Real(difference < 0));
  };
  double sum = 0, mean = 0;  // of the errors, and of their slopes over the probabilities
  for (std::size_t bin = 0; bin < outputs.size(); ++bin) {
    const Real probability = outputs[bin] *= scale, difference = probability - shares[bin];
    sum += classWeight(loss, bin) * (squared ? difference * difference : std::abs(difference));
    mean += probability * slope(bin, difference);
  }
  for (std::size_t bin = 0; bin < outputs.size(); ++bin) {
    const Real probability = outputs[bin];
    outputs[bin] =
        probability * (slope(bin, probability - shares[bin]) - static_cast<Real>(mean)) * gradientScale;
  }
  return sum;
}

}  // namespace

template <typename Real>
double rowNormalizer(const Loss& loss, std::size_t outputs, std::span<const Target<Real>> target) {
  if (loss.type != LossType::crossEntropy) return static_cast<double>(outputs);
  return target.size() == 1 ? classWeight(loss, target[0].bin) : 1.0;
}

template <typename Real>
double rowLoss(const Loss& loss, std::span<Real> outputs, std::span<const Target<Real>> target,
               Real gradientScale) {
  switch (loss.type) {
    case LossType::crossEntropy:
      return crossEntropy(loss, outputs, target, gradientScale);
    case LossType::binaryCrossEntropy:
      return binaryCrossEntropy(loss, outputs, target, gradientScale);
    default:
      return probabilityError(loss, outputs, target, gradientScale);
  }
}

double guessingLoss(const Loss& loss, std::size_t outputs) {
  const auto bins = static_cast<double>(outputs);
  const double weight = loss.classWeights.empty() ? 1.0 : std::max(1.0, std::ranges::max(loss.classWeights));
  switch (loss.type) {
    case LossType::crossEntropy:
      return weight * std::log(bins);
    case LossType::binaryCrossEntropy:
      return weight * std::log(2.0);
    case LossType::meanSquaredError:
      return weight * (1 - 1 / bins) / bins;
    default:
      return weight * 2 * (1 - 1 / bins) / bins;
  }
}

template double rowNormalizer(const Loss&, std::size_t, std::span<const Target<float>>);
template double rowNormalizer(const Loss&, std::size_t, std::span<const Target<double>>);
template double rowLoss(const Loss&, std::span<float>, std::span<const Target<float>>, float);
template double rowLoss(const Loss&, std::span<double>, std::span<const Target<double>>, double);

}  // namespace neural_lsh::cpu
