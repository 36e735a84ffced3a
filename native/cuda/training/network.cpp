#include "network.h"

#include <algorithm>
#include <utility>

namespace neural_lsh::cuda {
namespace {

std::size_t sizeOf(const NlshShape& shape) {
  return shape.channels * shape.height * shape.width;
}

/// By cuBLASLt or as a convolution.
bool isProduct(const NlshLayer& layer) {
  return layer.type == NLSH_LINEAR || layer.type == NLSH_CONV2D;
}

bool needsImages(const NlshLayer& layer) {
  return layer.type == NLSH_CONV2D || layer.type == NLSH_MAX_POOL2D || layer.type == NLSH_AVERAGE_POOL2D;
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

std::vector<std::size_t> workingOnes(std::span<const NlshLayer> layers) {
  std::vector<std::size_t> working;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!doesNothing(layers[i]) && !(i > 0 && hasRelu(layers, i - 1))) working.push_back(i);
  }
  return working;
}

}  // namespace

Network::Network(std::span<const NlshLayer> layers, std::size_t maxRows, const LayerContext& context)
    : parameterLayout_(PaddedLayout::ofParameters(layers)),
      bufferLayout_(PaddedLayout::ofBuffers(layers)),
      parameters_(parameterLayout_.deviceSize()),
      gradient_(parameterLayout_.deviceSize()),
      buffers_(bufferLayout_.deviceSize()),
      shortParameters_(context.operands == NumberType::bfloat16 ? parameterLayout_.deviceSize() : 0),
      working_(workingOnes(layers)) {
  checkTrainable(layers);
  fillZeros(gradient_.data(), gradient_.size(), context.stream);
  context.stream.synchronize();  // should anything fail from here on, the memory is free to go
  planValues(layers, context.operands);
  allocate(maxRows);
  addLayers(layers, maxRows, context);
}

/// Rows that a linear layer reads or writes begin where cuBLASLt likes it; those of images, and of what such
/// layers come from, lie close together. What the other layers write has the stride of what they read. Types
/// are what the reader wants, which of a gradient is the layer in front.
void Network::planValues(std::span<const NlshLayer> layers, NumberType operands) {
  const auto typeFor = [&](std::size_t reader) {
    return isProduct(layers[reader]) ? operands : NumberType::float32;
  };
  std::size_t firstPadded = 0;  // layer in front of which no row has to lie close to the next
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (needsImages(layers[i])) firstPadded = i + 1;
  }
  const auto strideOf = [&](const NlshShape& shape, bool padded) {
    return padded ? roundUpToOperands(sizeOf(shape)) : sizeOf(shape);
  };
  values_.push_back({nullptr, NumberType::float32, strideOf(layers.front().in, firstPadded == 0)});
  for (const std::size_t i : working_) {
    values_.back().type = typeFor(i);
    const bool keepsStride = !isProduct(layers[i]) && !needsImages(layers[i]);
    const std::size_t stride =
        keepsStride ? values_.back().stride : strideOf(layers[i].out, i >= firstPadded);
    values_.push_back({nullptr, NumberType::float32, stride});
  }
  gradients_ = values_;
  for (std::size_t number = 0; number < working_.size(); ++number)
    gradients_[number + 1].type = typeFor(working_[number]);
}

void Network::allocate(std::size_t maxRows) {
  const auto memory = [&](std::size_t bytes) { return memory_.emplace_back(bytes).data(); };
  std::size_t widest = 0;
  for (Numbers& value : values_) {
    value.data = memory(maxRows * value.stride * bytesOf(value.type));
    widest = std::max(widest, value.stride);
  }
  // The gradients take turns, from the last layer on.
  void* const turns[] = {memory(maxRows * widest * sizeof(float)), memory(maxRows * widest * sizeof(float))};
  for (std::size_t number = 0; number < gradients_.size(); ++number)
    gradients_[number].data = turns[(gradients_.size() - number) % 2];
}

Place Network::placeOf(std::size_t number, std::size_t layer, std::size_t maxRows) {
  const std::size_t first = parameterLayout_.firstOf(layer), second = parameterLayout_.secondOf(layer);
  const bool hasBias = parameterLayout_.hasSecond(layer), isShort = shortParameters_.size() > 0;
  Numbers inGradient = gradients_[number];
  if (number <= firstTrained_) inGradient.data = nullptr;
  return {.maxRows = maxRows,
          .in = values_[number],
          .out = values_[number + 1],
          .outGradient = gradients_[number + 1],
          .inGradient = inGradient,
          .weight = parameters_.data() + first,
          .bias = hasBias ? parameters_.data() + second : nullptr,
          .shortWeight = isShort ? shortParameters_.data() + first : nullptr,
          .shortBias = isShort && hasBias ? shortParameters_.data() + second : nullptr,
          .weightGradient = gradient_.data() + first,
          .biasGradient = hasBias ? gradient_.data() + second : nullptr,
          .extent = parameterLayout_.extentOf(layer),
          .runningMean = buffers_.data() + bufferLayout_.firstOf(layer),
          .runningVariance = buffers_.data() + bufferLayout_.secondOf(layer)};
}

void Network::addLayers(std::span<const NlshLayer> layers, std::size_t maxRows, const LayerContext& context) {
  const auto learns = [&](std::size_t i) { return layers[i].parameters > 0; };
  firstTrained_ = static_cast<std::size_t>(std::ranges::find_if(working_, learns) - working_.begin());
  Linear* before = nullptr;
  for (std::size_t number = 0; number < working_.size(); ++number) {
    const std::size_t i = working_[number];
    const Place place = placeOf(number, i, maxRows);
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

void Network::shortenParameters(const Stream& stream) {
  if (shortParameters_.size() == 0) return;
  convert(floatsAt(parameters_.data(), 0), parameters_.size(),
          {shortParameters_.data(), NumberType::bfloat16, 0}, stream);
}

void Network::forward(std::size_t rows, bool training) {
  for (const auto& layer : layers_) layer->forward(rows, training);
}

void Network::backward(std::size_t rows) {
  for (std::size_t i = layers_.size(); i-- > firstTrained_;) layers_[i]->backward(rows);
}

}  // namespace neural_lsh::cuda
