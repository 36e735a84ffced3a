#include "classifier.h"

#include <algorithm>
#include <utility>

#include "../../core/aligned-buffer.h"
#include "../chunks.h"
#include "../kernels/kernels.h"
#include "element-wise.h"

namespace neural_lsh::cpu {

Router::Router(Classifier classifier)
    : classifier_(std::move(classifier)), network_(classifier_.network, 0) {}

void Router::logits(const float* inputs, std::size_t rows, float* out, std::size_t threads) const {
  // What a block's layers pass on stays in the caches, or at least in bounds.
  const std::size_t widest = classifier_.network.widest();
  const std::size_t blockRows = std::clamp<std::size_t>((std::size_t{1} << 22) / widest, 1, 1024);
  const std::size_t columns = classifier_.network.inputs(), bins = classifier_.network.outputs();
  const auto inverse = static_cast<float>(1 / classifier_.temperature);
  thread_local AlignedBuffer<float> buffer;
  for (std::size_t first = 0; first < rows; first += blockRows) {
    const std::size_t count = std::min(blockRows, rows - first);
    float* const in = buffer.require(count * columns);
    float* const block = out + first * bins;
    forChunks(count, chunkRows(columns), threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) {
        classifier_.input.apply(inputs + (first + row) * columns, in + row * columns);
      }
    });
    network_.infer(classifier_.parameters.data(), classifier_.buffers.data(), in, count, block, threads);
    if (inverse == 1.0F) continue;
    for (std::size_t i = 0; i < count * bins; ++i) block[i] *= inverse;
  }
}

void softmaxRows(float* values, std::size_t rows, std::size_t columns) {
  for (float* row = values; row != values + rows * columns; row += columns) {
    const float sum = kernels().exponentials(row, columns, largestOf(row, columns));
    for (std::size_t i = 0; i < columns; ++i) row[i] /= sum;
  }
}

}  // namespace neural_lsh::cpu
