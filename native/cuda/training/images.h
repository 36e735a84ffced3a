// Pooling and batch norm over rows that are images, channels x height x width, number by number or channel by
// channel, as cpu/classifier/convolution.cpp and layers.cpp have them. Gradients are gathered, not scattered:
// nothing is added by several threads, and every sum has its order.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../qualifiers.h"
#include "rows.h"

namespace neural_lsh::cuda {

/// Square windows over planes, a plane being one channel of one image.
struct Windows {
  std::int32_t inHeight, inWidth, outHeight, outWidth, kernel, stride, padding;

  NLSH_BOTH std::size_t inPixels() const { return static_cast<std::size_t>(inHeight) * inWidth; }
  NLSH_BOTH std::size_t outPixels() const { return static_cast<std::size_t>(outHeight) * outWidth; }
  /// Of a pixel in its window's average.
  NLSH_BOTH float share() const {
    return 1.0F / static_cast<float>(static_cast<std::size_t>(kernel) * kernel);
  }
};

/// Half-open.
struct Span {
  std::int32_t begin, end;
};

/// The part of window number `window` along an axis of `size` pixels that lies on the image.
NLSH_BOTH inline Span pixelsOf(const Windows& windows, std::int32_t window, std::int32_t size) {
  const std::int32_t first = window * windows.stride - windows.padding, last = first + windows.kernel;
  return {first < 0 ? 0 : first, last > size ? size : last};
}

/// The windows along an axis, `count` of them, that cover a pixel.
NLSH_BOTH inline Span windowsOver(const Windows& windows, std::int32_t pixel, std::int32_t count) {
  const std::int32_t padded = pixel + windows.padding, before = padded - windows.kernel + 1;
  const std::int32_t first = before <= 0 ? 0 : (before + windows.stride - 1) / windows.stride;
  const std::int32_t last = padded / windows.stride + 1;
  return {first, last > count ? count : last};
}

/// body(pixel) for each pixel of window number `window` of a plane.
template <typename Body>
NLSH_BOTH void forPixels(const Windows& windows, std::size_t window, const Body& body) {
  const auto y = static_cast<std::int32_t>(window / windows.outWidth);
  const auto x = static_cast<std::int32_t>(window % windows.outWidth);
  const Span lines = pixelsOf(windows, y, windows.inHeight), columns = pixelsOf(windows, x, windows.inWidth);
  for (std::int32_t line = lines.begin; line < lines.end; ++line) {
    for (std::int32_t column = columns.begin; column < columns.end; ++column)
      body(line * windows.inWidth + column);
  }
}

/// body(window) for each window of a plane that covers pixel number `pixel`.
template <typename Body>
NLSH_BOTH void forWindows(const Windows& windows, std::size_t pixel, const Body& body) {
  const auto y = static_cast<std::int32_t>(pixel / windows.inWidth);
  const auto x = static_cast<std::int32_t>(pixel % windows.inWidth);
  const Span lines = windowsOver(windows, y, windows.outHeight);
  const Span columns = windowsOver(windows, x, windows.outWidth);
  for (std::int32_t line = lines.begin; line < lines.end; ++line) {
    for (std::int32_t column = columns.begin; column < columns.end; ++column)
      body(line * windows.outWidth + column);
  }
}

/// The pixel with the window's largest number, the first of equal ones; NaN is larger than any number.
NLSH_BOTH inline std::int32_t winnerOf(const Windows& windows, const float* plane, std::size_t window) {
  std::int32_t winner = -1;
  forPixels(windows, window, [&](std::int32_t pixel) {
    const float value = plane[pixel];
    if (winner < 0 || value > plane[winner] || value != value) winner = pixel;
  });
  return winner;
}

NLSH_BOTH inline float maxPoolGradient(const Windows& windows, const std::int32_t* winners,
                                       const float* outGradient, std::size_t pixel) {
  float sum = 0;
  forWindows(windows, pixel, [&](std::int32_t window) {
    if (static_cast<std::size_t>(winners[window]) == pixel) sum += outGradient[window];
  });
  return sum;
}

/// The padding counts as zeros.
NLSH_BOTH inline float averageOf(const Windows& windows, const float* plane, std::size_t window) {
  const float share = windows.share();
  float sum = 0;
  forPixels(windows, window, [&](std::int32_t pixel) { sum += share * plane[pixel]; });
  return sum;
}

NLSH_BOTH inline float averagePoolGradient(const Windows& windows, const float* outGradient,
                                           std::size_t pixel) {
  const float share = windows.share();
  float sum = 0;
  forWindows(windows, pixel, [&](std::int32_t window) { sum += share * outGradient[window]; });
  return sum;
}

/// A batch of images, of which one channel is looked at.
struct Channels {
  std::size_t rows, channels, pixels;

  NLSH_BOTH std::size_t count() const { return rows * pixels; }
  /// Where number `i` of a channel's rows x pixels lies.
  NLSH_BOTH std::size_t at(std::size_t channel, std::size_t i) const {
    return (i / pixels * channels + channel) * pixels + i % pixels;
  }
};

struct BatchNormRule {
  double momentum, epsilon;
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
