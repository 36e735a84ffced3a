#include "quantized-network.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <numeric>

namespace neural_lsh::cpu {
namespace {

/// x' = x * scale + shift of each feature.
struct Affine {
  std::vector<double> scale, shift;
};

Affine batchNormOf(const LayerDescription& layer, const Classifier& classifier) {
  const std::size_t channels = layer.in.channels;
  const float* const gain = classifier.parameters.data() + layer.parameterOffset;
  const float* const mean = classifier.buffers.data() + layer.bufferOffset;
  Affine affine{std::vector<double>(channels), std::vector<double>(channels)};
  for (std::size_t c = 0; c < channels; ++c) {
    affine.scale[c] = gain[c] / std::sqrt(mean[channels + c] + layer.epsilon);
    affine.shift[c] = gain[channels + c] - mean[c] * affine.scale[c];
  }
  return affine;
}

DenseLayer linearOf(const LayerDescription& layer, const Classifier& classifier) {
  const std::size_t inputs = layer.in.size(), outputs = layer.outputs;
  const float* const weights = classifier.parameters.data() + layer.parameterOffset;
  const float* const biases = weights + inputs * outputs;
  DenseLayer dense{inputs, outputs, {weights, biases}, std::vector<float>(outputs), false};
  if (layer.bias) std::copy_n(biases, outputs, dense.biases.begin());
  return dense;
}

/// The layer of what the affine map makes of its inputs.
void foldInput(DenseLayer& layer, const Affine& affine) {
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    float* const row = layer.weights.data() + o * layer.inputs;
    double bias = layer.biases[o];
    for (std::size_t i = 0; i < layer.inputs; ++i) {
      bias += row[i] * affine.shift[i];
      row[i] = static_cast<float>(row[i] * affine.scale[i]);
    }
    layer.biases[o] = static_cast<float>(bias);
  }
}

/// The affine map of what the layer makes.
void foldOutput(DenseLayer& layer, const Affine& affine) {
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    float* const row = layer.weights.data() + o * layer.inputs;
    for (std::size_t i = 0; i < layer.inputs; ++i) row[i] = static_cast<float>(row[i] * affine.scale[o]);
    layer.biases[o] = static_cast<float>(layer.biases[o] * affine.scale[o] + affine.shift[o]);
  }
}

/// What all outputs share does not change their softmax, but would take up the bytes' range.
void centerOutputs(DenseLayer& layer) {
  std::vector<double> mean(layer.inputs);
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    for (std::size_t i = 0; i < layer.inputs; ++i) mean[i] += layer.weights[o * layer.inputs + i];
  }
  for (double& value : mean) value /= static_cast<double>(layer.outputs);
  const double bias =
      std::reduce(layer.biases.begin(), layer.biases.end(), 0.0) / static_cast<double>(layer.outputs);
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    float* const row = layer.weights.data() + o * layer.inputs;
    for (std::size_t i = 0; i < layer.inputs; ++i) row[i] = static_cast<float>(row[i] - mean[i]);
    layer.biases[o] = static_cast<float>(layer.biases[o] - bias);
  }
}

}  // namespace

std::optional<std::vector<DenseLayer>> denseLayers(const Classifier& classifier) {
  std::vector<DenseLayer> layers;
  std::optional<Affine> waiting;  // for the next linear layer
  for (const LayerDescription& layer : classifier.network.layers) {
    switch (layer.type) {
      case LayerType::linear:
        if (layer.in.size() > ByteWeights::mostInputs) return std::nullopt;
        layers.push_back(linearOf(layer, classifier));
        if (waiting) foldInput(layers.back(), *waiting);
        waiting.reset();
        break;
      case LayerType::batchNorm:
        if (layer.in.pixels() > 1 || waiting) return std::nullopt;
        if (layers.empty() || layers.back().relu) {
          waiting = batchNormOf(layer, classifier);
        } else {
          foldOutput(layers.back(), batchNormOf(layer, classifier));
        }
        break;
      case LayerType::activation:
        if (layer.activation == Activation::identity) break;
        if (layer.activation != Activation::relu || layers.empty() || waiting) return std::nullopt;
        layers.back().relu = true;
        break;
      case LayerType::dropout:
      case LayerType::flatten:
        break;
      case LayerType::treeLeaves:
      case LayerType::signCodes:
      case LayerType::crossPolytope:
        if (&layer != &classifier.network.layers.back()) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
  }
  if (layers.empty() || waiting || layers.back().relu) return std::nullopt;
  if (isPartitionRule(classifier.network.layers.back())) return layers;

  DenseLayer& last = layers.back();
  centerOutputs(last);
  for (float& weight : last.weights) weight = static_cast<float>(weight / classifier.temperature);
  for (float& bias : last.biases) bias = static_cast<float>(bias / classifier.temperature);
  return layers;
}

void ByteRows::quantize(const float* rows, std::size_t stride, std::size_t count, std::size_t columns) {
  stride_ = (columns + rowAlignment - 1) / rowAlignment * rowAlignment;
  bytes_.require(count * stride_);
  ranges_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    ranges_[i] = routerKernels().quantize(rows + i * stride, columns, bytes_.data() + i * stride_);
  }
}

QuantizedLayer::QuantizedLayer(const DenseLayer& layer, std::span<const Id> order)
    : inputs_(layer.inputs), relu_(layer.relu) {
  constexpr std::size_t width = ByteWeights::blockOutputs, four = ByteWeights::quadInputs;
  const std::size_t quads = (inputs_ + four - 1) / four;
  outputs_ = (order.size() + width - 1) / width * width;
  weights_.require(outputs_ * quads * four + ByteWeights::padding);
  numbers_.require(3 * outputs_);
  std::fill_n(weights_.data(), weights_.size(), std::int8_t{0});
  std::fill_n(numbers_.data(), 2 * outputs_, 0.0F);
  float *const scales = numbers_.data(), *const sums = scales + outputs_, *const biases = sums + outputs_;
  std::fill_n(biases, outputs_, -FLT_MAX);
  for (std::size_t o = 0; o < order.size(); ++o) {
    if (order[o] < 0) continue;
    const std::span<const float> row = layer.row(static_cast<std::size_t>(order[o]));
    float largest = 0;
    for (const float weight : row) largest = std::max(largest, std::abs(weight));
    const float scale = largest / 127, inverse = scale > FLT_MIN ? 1 / scale : 0;
    std::int8_t* const block = weights_.data() + o / width * quads * width * four + o % width * four;
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < inputs_; ++i) {
      const auto byte = static_cast<std::int8_t>(std::clamp(std::round(row[i] * inverse), -127.0F, 127.0F));
      block[i / four * width * four + i % four] = byte;
      sum += byte;
    }
    scales[o] = scale;
    sums[o] = static_cast<float>(sum);
    biases[o] = layer.biases[static_cast<std::size_t>(order[o])];
  }
}

QuantizedLayer::QuantizedLayer(const DenseLayer& layer) {
  std::vector<Id> order(layer.outputs);
  std::iota(order.begin(), order.end(), 0);
  *this = QuantizedLayer(layer, order);
}

void QuantizedLayer::apply(const ByteRows& rows, std::size_t first, std::size_t count, std::size_t begin,
                           std::size_t end, float* out, std::size_t stride) const {
  constexpr std::size_t four = ByteWeights::quadInputs;
  const float* const numbers = numbers_.data();
  const ByteWeights weights{(inputs_ + four - 1) / four, weights_.data(),        numbers,
                            numbers + outputs_,          numbers + 2 * outputs_, relu_};
  routerKernels().multiply(weights, begin, end, rows.row(first), rows.stride(), rows.range(first), count, out,
                           stride);
}

}  // namespace neural_lsh::cpu
