#include "network.h"

#include <algorithm>
#include <string>
#include <utility>

namespace neural_lsh::cuda {
namespace {

std::size_t sizeOf(const NlshShape& shape) {
  return shape.channels * shape.height * shape.width;
}

/// What leaves it is what entered.
bool doesNothing(const NlshLayer& layer) {
  return layer.type == NLSH_FLATTEN || (layer.type == NLSH_ACTIVATION && layer.activation == NLSH_IDENTITY);
}

bool isRelu(const NlshLayer& layer) {
  return layer.type == NLSH_ACTIVATION && layer.activation == NLSH_RELU;
}

/// Whether layer `i` is a linear layer with a ReLU behind it, which it does too.
bool hasRelu(std::span<const NlshLayer> layers, std::size_t i) {
  return layers[i].type == NLSH_LINEAR && i + 1 < layers.size() && isRelu(layers[i + 1]);
}

void checkTrainable(std::span<const NlshLayer> layers) {
  bool learns = false;
  for (const NlshLayer& layer : layers) {
    if (layer.type < NLSH_LINEAR || layer.type > NLSH_ACTIVATION)
      throw badArgument("layers", "the device has no such layer yet; engine 'native' trains it");
    if (learns && layer.type == NLSH_ACTIVATION && layer.activation == NLSH_STEP)
      throw badArgument("layers", "step has no gradient to train by; use sigmoid or relu");
    learns |= layer.parameters > 0;
  }
}

std::size_t buffersOf(std::span<const NlshLayer> layers) {
  std::size_t count = 0;
  for (const NlshLayer& layer : layers) count += layer.buffers;
  return count;
}

}  // namespace

Network::Network(std::span<const NlshLayer> layers, std::size_t maxRows, LayerContext context)
    : layout_(layers),
      parameters_(layout_.deviceSize()),
      gradient_(layout_.deviceSize()),
      buffers_(buffersOf(layers)) {
  checkTrainable(layers);
  if (layout_.deviceSize() > 0) fillZeros(gradient_.data(), gradient_.size(), context.stream);
  context.stream.synchronize();  // should anything fail from here on, the memory is free to go
  if (std::ranges::any_of(layers, [](const NlshLayer& layer) { return layer.type == NLSH_CONV2D; }))
    context.dnn = makeDnn(context.stream);
  allocateValues(layers, maxRows);
  addLayers(layers, maxRows, context);
}

void Network::allocateValues(std::span<const NlshLayer> layers, std::size_t maxRows) {
  const auto allocate = [&](std::size_t columns) { return memory_.emplace_back(maxRows * columns).data(); };
  std::size_t widest = sizeOf(layers.front().in);
  values_.push_back(allocate(widest));
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::size_t columns = sizeOf(layers[i].out);
    widest = std::max(widest, columns);
    const bool isPassedOver = doesNothing(layers[i]) || (i > 0 && hasRelu(layers, i - 1));
    values_.push_back(isPassedOver ? values_.back() : allocate(columns));
  }
  outputGradient_ = allocate(widest);
  spareGradient_ = allocate(widest);
}

void Network::addLayers(std::span<const NlshLayer> layers, std::size_t maxRows, const LayerContext& context) {
  // The gradients take turns, from the last layer on: which is whose depends on how many there are.
  std::vector<std::size_t> working;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!doesNothing(layers[i]) && !(i > 0 && hasRelu(layers, i - 1))) working.push_back(i);
  }
  const auto learns = [&](std::size_t i) { return layers[i].parameters > 0; };
  firstTrained_ = static_cast<std::size_t>(std::ranges::find_if(working, learns) - working.begin());
  Linear* before = nullptr;
  for (std::size_t number = 0; number < working.size(); ++number) {
    const std::size_t i = working[number];
    const bool isEven = (working.size() - 1 - number) % 2 == 0;
    float* const behind = isEven ? outputGradient_ : spareGradient_;
    float* const front = isEven ? spareGradient_ : outputGradient_;
    const bool hasBias = layout_.hasBias(i);
    const Place place{.maxRows = maxRows,
                      .in = values_[i],
                      .out = values_[i + 1],
                      .outGradient = behind,
                      .inGradient = number > firstTrained_ ? front : nullptr,
                      .weight = parameters_.data() + layout_.weightOf(i),
                      .bias = hasBias ? parameters_.data() + layout_.biasOf(i) : nullptr,
                      .weightGradient = gradient_.data() + layout_.weightOf(i),
                      .biasGradient = hasBias ? gradient_.data() + layout_.biasOf(i) : nullptr,
                      .buffers = buffers_.data() + layers[i].buffer_offset};
    if (layers[i].type != NLSH_LINEAR) {
      layers_.push_back(makeLayer(context, layers[i], i, place));
      before = nullptr;
      continue;
    }
    const bool relu = hasRelu(layers, i);
    auto linear = std::make_unique<Linear>(context, layers[i], place, relu, before);
    before = relu ? linear.get() : nullptr;
    layers_.push_back(std::move(linear));
  }
}

void Network::forward(std::size_t rows, bool training) {
  for (const auto& layer : layers_) layer->forward(rows, training);
}

void Network::backward(std::size_t rows) {
  for (std::size_t i = layers_.size(); i-- > firstTrained_;) layers_[i]->backward(rows);
}

}  // namespace neural_lsh::cuda
