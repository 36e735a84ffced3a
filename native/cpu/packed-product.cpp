#include "packed-product.h"

#include <algorithm>

namespace neural_lsh::cpu {

void packRows(const float* data, std::size_t stride, std::size_t count, std::size_t depth, std::size_t width,
              const float* shift, float* out) {
  for (std::size_t i = 0; i < count; i += width, out += depth * width) {
    const std::size_t vectors = std::min(width, count - i);
    kernels().packRows(data + i * stride, stride, vectors, depth, width, out);
    if (shift == nullptr) continue;
    for (std::size_t p = 0; p < depth; ++p) {
      for (std::size_t v = 0; v < vectors; ++v) out[p * width + v] -= shift[p];
    }
  }
}

void packColumns(const float* data, std::size_t stride, std::size_t count, std::size_t depth,
                 std::size_t width, float* out) {
  constexpr std::size_t fewRows = 8;  // whose cache lines wait in the L1 cache for the next panel
  for (std::size_t p = 0; p < depth; p += fewRows) {
    for (std::size_t i = 0; i < count; i += width) {
      kernels().packColumns(data + p * stride + i, stride, std::min(width, count - i),
                            std::min(fewRows, depth - p), width, out + i * depth + p * width);
    }
  }
}

void multiplyPacked(std::size_t rows, std::size_t columns, std::size_t depth, const float* packedA,
                    const float* packedB, float* c, std::size_t strideC, bool accumulate) {
  const std::size_t width = kernels().tileColumns;
  const TileRows a = TileRows::packed(packedA, depth);
  for (std::size_t j = 0; j < columns; j += width) {
    multiplyPanel(rows, std::min(width, columns - j), depth, a, packedB + j * depth, width, c + j, strideC,
                  accumulate);
  }
}

void multiplyPanel(std::size_t rows, std::size_t columns, std::size_t depth, const TileRows& a,
                   const float* b, std::size_t strideB, float* c, std::size_t strideC, bool accumulate,
                   const float* next) {
  const Kernels& kernel = kernels();
  constexpr std::size_t cacheLine = 16;  // in floats
  const std::size_t numbers = next == nullptr ? 0 : depth * kernel.tileColumns;
  std::size_t fetched = 0;
  const float* tile = a.data;
  for (std::size_t i = 0; i < rows; i += kernel.tileRows, tile += a.tile) {
    // A share for each tile, so that the fetching never waits.
    for (const std::size_t end = numbers * std::min(i + kernel.tileRows, rows) / rows; fetched < end;
         fetched += cacheLine) {
      __builtin_prefetch(next + fetched, 0, 2);
    }
    kernel.sgemmTile(std::min(kernel.tileRows, rows - i), columns, depth, tile, a.stride, b, strideB,
                     c + i * strideC, strideC, accumulate);
  }
}

}  // namespace neural_lsh::cpu
