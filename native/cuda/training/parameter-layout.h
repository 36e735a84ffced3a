// Where a network's flat numbers lie on the device: each weight and each bias begins where cuBLASLt and cuDNN
// like it best, and so does each row of a linear layer's weight, whatever its width. What is between them is
// 0, and stays so: its gradient is.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "../alignment.h"
#include "../interface.h"

namespace neural_lsh::cuda {

/// Two parts a layer, each of which may be empty.
class PaddedLayout {
 public:
  static constexpr std::size_t alignment = 128;  // in numbers: 256 bytes of the shortest

  /// Weight and bias.
  static PaddedLayout ofParameters(std::span<const NlshLayer> layers) {
    PaddedLayout layout;
    for (const NlshLayer& layer : layers) {
      const std::size_t biases = biasesOf(layer), weights = layer.parameters - biases;
      const std::size_t columns = layer.type == NLSH_LINEAR ? layer.in.channels : weights;
      layout.add(layer.parameter_offset, weights, columns);
      layout.add(layer.parameter_offset + weights, biases, biases);
    }
    return layout;
  }
  /// Running mean and running variance.
  static PaddedLayout ofBuffers(std::span<const NlshLayer> layers) {
    PaddedLayout layout;
    for (const NlshLayer& layer : layers) {
      const std::size_t half = layer.buffers / 2;
      layout.add(layer.buffer_offset, half, half);
      layout.add(layer.buffer_offset + half, half, half);
    }
    return layout;
  }

  /// Numbers there and here.
  std::size_t deviceSize() const { return deviceSize_; }
  std::size_t hostSize() const { return hostSize_; }
  /// On the device.
  std::size_t firstOf(std::size_t layer) const { return parts_[2 * layer].there; }
  std::size_t secondOf(std::size_t layer) const { return parts_[2 * layer + 1].there; }
  bool hasSecond(std::size_t layer) const { return parts_[2 * layer + 1].rows > 0; }
  /// From the beginning of the layer's first part to the end of its second.
  std::size_t extentOf(std::size_t layer) const {
    const std::size_t end = 2 * layer + 2 < parts_.size() ? parts_[2 * layer + 2].there : deviceSize_;
    return end - firstOf(layer);
  }

  void toDevice(const float* flat, float* padded) const {
    for (const Part& part : parts_) {
      for (std::size_t row = 0; row < part.rows; ++row)
        std::copy_n(flat + part.here + row * part.columns, part.columns,
                    padded + part.there + row * part.stride);
    }
  }
  void toHost(const float* padded, float* flat) const {
    for (const Part& part : parts_) {
      for (std::size_t row = 0; row < part.rows; ++row)
        std::copy_n(padded + part.there + row * part.stride, part.columns,
                    flat + part.here + row * part.columns);
    }
  }

 private:
  struct Part {
    std::size_t here, there, rows, columns, stride;
  };

  static std::size_t biasesOf(const NlshLayer& layer) {
    const bool isProduct = layer.type == NLSH_LINEAR || layer.type == NLSH_CONV2D;
    if (isProduct ? layer.bias != 0 : layer.type == NLSH_BATCH_NORM) return layer.out.channels;
    return 0;
  }

  void add(std::size_t here, std::size_t count, std::size_t columns) {
    const std::size_t rows = count == 0 ? 0 : count / columns;
    const std::size_t stride = rows > 1 ? roundUpToOperands(columns) : columns;
    parts_.push_back({here, deviceSize_, rows, columns, stride});
    deviceSize_ += roundUp(rows * stride, alignment);
    hostSize_ += count;
  }

  std::vector<Part> parts_;
  std::size_t deviceSize_ = 0, hostSize_ = 0;
};

}  // namespace neural_lsh::cuda
