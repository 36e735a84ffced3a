// Where the flat parameters lie on the device: each weight and each bias begins where cuBLASLt likes it best.
// What is between them is 0, and stays so: its gradient is.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "../interface.h"

namespace neural_lsh::cuda {

class ParameterLayout {
 public:
  static constexpr std::size_t alignment = 64;  // in floats: 256 bytes

  explicit ParameterLayout(std::span<const NlshLayer> layers) {
    for (const NlshLayer& layer : layers) {
      const bool hasBias = layer.bias && (layer.type == NLSH_LINEAR || layer.type == NLSH_CONV2D);
      const std::size_t bias = hasBias ? layer.out.channels : 0;
      add(layer.parameter_offset, layer.parameters - bias);
      add(layer.parameter_offset + layer.parameters - bias, bias);
    }
  }

  /// Numbers there and here.
  std::size_t deviceSize() const { return deviceSize_; }
  std::size_t hostSize() const { return hostSize_; }
  /// On the device; batch norm's bias lies behind its weight.
  std::size_t weightOf(std::size_t layer) const { return parts_[2 * layer].there; }
  std::size_t biasOf(std::size_t layer) const { return parts_[2 * layer + 1].there; }
  bool hasBias(std::size_t layer) const { return parts_[2 * layer + 1].count > 0; }

  void toDevice(const float* flat, float* padded) const {
    for (const Part& part : parts_) std::copy_n(flat + part.here, part.count, padded + part.there);
  }
  void toHost(const float* padded, float* flat) const {
    for (const Part& part : parts_) std::copy_n(padded + part.there, part.count, flat + part.here);
  }

 private:
  struct Part {
    std::size_t here, there, count;
  };

  void add(std::size_t here, std::size_t count) {
    parts_.push_back({here, deviceSize_, count});
    deviceSize_ += (count + alignment - 1) / alignment * alignment;
    hostSize_ += count;
  }

  std::vector<Part> parts_;
  std::size_t deviceSize_ = 0, hostSize_ = 0;
};

}  // namespace neural_lsh::cuda
