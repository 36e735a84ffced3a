#include "child-routers.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <utility>

#include "../chunks.h"
#include "../kernels/kernels.h"
#include "element-wise.h"

namespace neural_lsh::cpu {

ChildRouters::ChildRouters(const Classifier& classifier, bool bytes)
    : groups_(classifier.network.outputs()), network_(classifier.children->network, 0) {
  if (!bytes) return;
  for (std::size_t group = 0; group < groups_; ++group) {
    const auto dense = denseLayers(classifier.child(group));
    if (!dense) return;
    std::vector<QuantizedLayer>& layers = layers_.emplace_back();
    for (const DenseLayer& layer : *dense) layers.emplace_back(layer);
  }
}

std::size_t ChildRouters::paddedBins() const {
  constexpr std::size_t lanes = ByteWeights::blockOutputs;
  return (bins() + lanes - 1) / lanes * lanes;
}

void ChildRouters::logProbabilities(const ByteRows& inputs, std::size_t row, std::size_t group,
                                    Scratch& scratch, float* out) const {
  const std::vector<QuantizedLayer>& layers = layers_[group];
  const ByteRows* bytes = &inputs;
  for (const QuantizedLayer& layer : layers) {
    const bool isLast = &layer == &layers.back();
    float* const to = isLast ? out : scratch.out.require(layer.outputs());
    layer.apply(*bytes, row, 1, 0, layer.blocks(), to, 0);
    if (isLast) break;
    std::swap(scratch.in, scratch.out);
    scratch.bytes.quantize(to, layer.outputs(), 1, layer.outputs());
    bytes = &scratch.bytes;
    row = 0;
  }
  float* const weights = scratch.out.require(bins());
  std::copy_n(out, bins(), weights);
  const float largest = largestOf(weights, bins());
  const float shift = largest + std::log(kernels().exponentials(weights, bins(), largest));
  for (std::size_t i = 0; i < bins(); ++i) out[i] -= shift;
}

void ChildRouters::logProbabilities(const ChildNetworks& children, const float* inputs, std::size_t rows,
                                    std::size_t group, float* out, std::size_t threads) const {
  const NetworkDescription& network = network_.description();
  network_.infer(children.parameters.data() + group * network.parameters(),
                 children.buffers.data() + group * network.buffers(), inputs, rows, out, threads);
  forChunks(rows, chunkRows(bins()), threads, [&](std::size_t begin, std::size_t end) {
    logSoftmaxRows(out + begin * bins(), end - begin, bins());
  });
}

void logSoftmaxRows(float* values, std::size_t rows, std::size_t columns) {
  for (float* row = values; row != values + rows * columns; row += columns) {
    const float largest = largestOf(row, columns);
    float sum = 0;
    for (std::size_t i = 0; i < columns; ++i) sum += std::exp(row[i] - largest);
    const float shift = largest + std::log(sum);
    for (std::size_t i = 0; i < columns; ++i) row[i] -= shift;
  }
}

}  // namespace neural_lsh::cpu
