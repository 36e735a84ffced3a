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
  Network(std::span<const NlshLayer> layers, std::size_t maxRows, LayerContext context);

  /// What enters, rows x inputs; what leaves; and the loss's gradient with respect to that, which is to be
  /// written before `backward`.
  float* inputs() { return values_.front(); }
  const float* outputs() const { return values_.back(); }
  float* outputGradient() { return outputGradient_; }

  void forward(std::size_t rows, bool training);
  void backward(std::size_t rows);

  const ParameterLayout& layout() const { return layout_; }
  /// Of the layout's deviceSize each.
  float* parameters() { return parameters_.data(); }
  const float* gradient() const { return gradient_.data(); }
  float* buffers() { return buffers_.data(); }
  std::size_t bufferCount() const { return buffers_.size(); }

 private:
  void allocateValues(std::span<const NlshLayer> layers, std::size_t maxRows);
  void addLayers(std::span<const NlshLayer> layers, std::size_t maxRows, const LayerContext& context);

  ParameterLayout layout_;
  DeviceArray<float> parameters_, gradient_, buffers_;
  std::vector<DeviceArray<float>> memory_;
  std::vector<float*> values_;  // what enters each layer, and what leaves the last
  float* outputGradient_ = nullptr;
  float* spareGradient_ = nullptr;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::size_t firstTrained_ = 0;  // of layers_: in front of it nobody wants a gradient
};

}  // namespace neural_lsh::cuda
