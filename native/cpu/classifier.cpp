#include "classifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "../core/aligned-buffer.h"
#include "chunks.h"
#include "network.h"

namespace neural_lsh::cpu {

std::size_t ClassifierShape::widest() const {
  return *std::max_element(widths.begin(), widths.end());
}

std::size_t ClassifierShape::weightOffset(std::size_t layer) const {
  return layer == 0 ? 0 : biasOffset(layer - 1) + widths[layer];
}

std::size_t ClassifierShape::biasOffset(std::size_t layer) const {
  return weightOffset(layer) + widths[layer] * widths[layer + 1];
}

std::size_t ClassifierShape::multiplyAdds() const {
  std::size_t sum = 0;
  for (std::size_t layer = 0; layer < layers(); ++layer) sum += widths[layer] * widths[layer + 1];
  return sum;
}

void InputTransform::apply(const float* row, float* out) const {
  for (std::size_t i = 0; i < mean.size(); ++i) out[i] = (row[i] - mean[i]) * scale;
}

void classifierLogits(const Classifier& classifier, const float* inputs, std::size_t rows, float* out,
                      std::size_t threads) {
  constexpr std::size_t blockRows = 1024;  // what a block's layers pass on stays in the caches
  const ClassifierShape& shape = classifier.shape;
  thread_local AlignedBuffer<float> buffers[2];
  for (std::size_t first = 0; first < rows; first += blockRows) {
    const std::size_t count = std::min(blockRows, rows - first);
    float* in = buffers[0].require(count * shape.widest());
    float* spare = buffers[1].require(count * shape.widest());
    forChunks(count, chunkRows(shape.inputs()), threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) {
        classifier.input.apply(inputs + (first + row) * shape.inputs(), in + row * shape.inputs());
      }
    });
    for (std::size_t layer = 0; layer < shape.layers(); ++layer) {
      float* const target = layer + 1 == shape.layers() ? out + first * shape.outputs() : spare;
      layerForward(shape, layer, classifier.parameters.data(), in, count, target, threads);
      std::swap(in, spare);
    }
  }
}

void softmaxRows(float* values, std::size_t rows, std::size_t columns) {
  for (float* row = values; row != values + rows * columns; row += columns) {
    const float largest = *std::max_element(row, row + columns);
    float sum = 0;
    for (std::size_t i = 0; i < columns; ++i) sum += row[i] = std::exp(row[i] - largest);
    for (std::size_t i = 0; i < columns; ++i) row[i] /= sum;
  }
}

}  // namespace neural_lsh::cpu
