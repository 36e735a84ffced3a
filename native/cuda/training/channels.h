// Batch norm over rows that are images, channels x height x width, channel by channel, as
// cpu/classifier/layers.cpp has it, for the batches that cuDNN does not take (batch-norm.cpp). Every sum has
// its order.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../qualifiers.h"
#include "rows.h"

namespace neural_lsh::cuda {

/// A batch of images, of which one channel is looked at.
struct Channels {
  std::size_t rows, channels, pixels;
  std::size_t stride;  // from row to row

  NLSH_BOTH std::size_t count() const { return rows * pixels; }
  /// Where number `i` of a channel's rows x pixels lies.
  NLSH_BOTH std::size_t at(std::size_t channel, std::size_t i) const {
    return i / pixels * stride + channel * pixels + i % pixels;
  }
};

struct BatchNormRule {
  double momentum, epsilon;
};

/// Of each channel one.
struct ChannelParameters {
  const float *weight, *bias;
  float *runningMean, *runningVariance;
};

/// What normalizes a channel: (x - center) * scale + shift; and what leads back:
/// gradient * scale + (x - center) * slope + constant.
struct ChannelFactors {
  float center, scale, shift;
  float slope, constant;
  double inverseDeviation;
};

/// Of a batch in training; updates the running mean and the running, unbiased, variance.
template <typename Lanes>
NLSH_BOTH ChannelFactors normalizerOfBatch(const Lanes& lanes, const BatchNormRule& rule,
                                           const Channels& shape, std::size_t channel, const float* in,
                                           float weight, float bias, float& runningMean,
                                           float& runningVariance) {
  const std::size_t numbers = shape.count();
  const auto count = static_cast<double>(numbers);
  double sum = 0, squares = 0;
  forOwned(lanes, numbers, [&](std::size_t i) { sum += in[shape.at(channel, i)]; });
  const double mean = lanes.sum(sum) / count;
  forOwned(lanes, numbers, [&](std::size_t i) {
    const double difference = in[shape.at(channel, i)] - mean;
    squares += difference * difference;
  });
  squares = lanes.sum(squares);
  const double variance = squares / count, unbiased = numbers > 1 ? squares / (count - 1) : variance;
  if (lanes.index() == 0) {
    runningMean = static_cast<float>((1 - rule.momentum) * runningMean + rule.momentum * mean);
    runningVariance = static_cast<float>((1 - rule.momentum) * runningVariance + rule.momentum * unbiased);
  }
  const double inverse = 1 / std::sqrt(variance + rule.epsilon);
  return {static_cast<float>(mean), static_cast<float>(weight * inverse), bias, 0, 0, inverse};
}

/// In use.
NLSH_BOTH inline ChannelFactors normalizerInUse(const BatchNormRule& rule, float weight, float bias,
                                                float runningMean, float runningVariance) {
  return {runningMean, weight / std::sqrt(runningVariance + static_cast<float>(rule.epsilon)), bias, 0, 0, 0};
}

/// Fills in how the gradient leads back, and gives the gradients of weight and bias.
template <typename Lanes>
NLSH_BOTH void leadBack(const Lanes& lanes, const Channels& shape, std::size_t channel, const float* in,
                        const float* outGradient, float weight, ChannelFactors& factors,
                        float& weightGradient, float& biasGradient) {
  const std::size_t numbers = shape.count();
  const auto count = static_cast<double>(numbers);
  double gradients = 0, products = 0;
  forOwned(lanes, numbers, [&](std::size_t i) {
    const std::size_t at = shape.at(channel, i);
    gradients += outGradient[at];
    products += static_cast<double>(outGradient[at]) * (in[at] - factors.center);
  });
  gradients = lanes.sum(gradients);
  products = lanes.sum(products);
  if (lanes.index() != 0) return;
  const double inverse = factors.inverseDeviation, scale = weight * inverse;
  weightGradient = static_cast<float>(products * inverse);
  biasGradient = static_cast<float>(gradients);
  factors.slope = static_cast<float>(-scale * inverse * inverse * products / count);
  factors.constant = static_cast<float>(-scale * gradients / count);
}

}  // namespace neural_lsh::cuda
