// A network on the device: its layers, its weights, and what passes between them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "../device.h"
#include "../interface.h"
#include "layers.h"
#include "parameter-layout.h"

namespace neural_lsh::cuda {

class Network {
 public:
  /// For up to maxRows rows at once. Throws badArgument for layers that cannot be trained here.
  Network(std::span<const NlshLayer> layers, std::size_t maxRows, const LayerContext& context);

  /// What enters; what leaves, floats; and the loss's gradient with respect to that, which is to be written
  /// before `backward`.
  const Numbers& inputs() const { return values_.front(); }
  const Numbers& outputs() const { return values_.back(); }
  const Numbers& outputGradient() const { return gradients_.back(); }

  void forward(std::size_t rows, bool training);
  void backward(std::size_t rows);

  const PaddedLayout& parameterLayout() const { return parameterLayout_; }
  const PaddedLayout& bufferLayout() const { return bufferLayout_; }
  /// Of the layout's deviceSize each. Who writes the parameters writes, or calls for, what products read of
  /// them in mixed precision.
  float* parameters() { return parameters_.data(); }
  Bf16* shortParameters() { return shortParameters_.data(); }
  void shortenParameters(const Stream& stream);
  const float* gradient() const { return gradient_.data(); }
  float* buffers() { return buffers_.data(); }

 private:
  void planValues(std::span<const NlshLayer> layers, NumberType operands);
  void allocate(std::size_t maxRows);
  void addLayers(std::span<const NlshLayer> layers, std::size_t maxRows, const LayerContext& context);
  Place placeOf(std::size_t number, std::size_t layer, std::size_t maxRows);

  PaddedLayout parameterLayout_, bufferLayout_;
  DeviceArray<float> parameters_, gradient_, buffers_;
  DeviceArray<Bf16> shortParameters_;  // in mixed precision
  std::vector<std::size_t> working_;   // the layers that do something by themselves
  // What enters each of them, and what leaves the last; of the first of these nobody asks for the gradient.
  std::vector<Numbers> values_, gradients_;
  std::vector<DeviceArray<std::byte>> memory_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::size_t firstTrained_ = 0;  // of layers_: in front of it nobody wants a gradient
};

}  // namespace neural_lsh::cuda
