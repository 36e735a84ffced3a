#include "packed-product.h"

#include <algorithm>

namespace neural_lsh::cpu {

void packRows(const float* data, std::size_t stride, std::size_t count, std::size_t depth, std::size_t width,
              const float* shift, float* out) {
  const Kernels& kernel = kernels();
  for (std::size_t i = 0; i < count; i += width, out += depth * width) {
    const std::size_t vectors = std::min(width, count - i);
    if (vectors < width) std::fill_n(out, depth * width, 0.0F);
    kernel.transpose(data + i * stride, stride, vectors, depth, out, width);
    if (shift == nullptr) continue;
    for (std::size_t p = 0; p < depth; ++p) {
      for (std::size_t v = 0; v < vectors; ++v) out[p * width + v] -= shift[p];
    }
  }
}

void packColumns(const float* data, std::size_t stride, std::size_t count, std::size_t depth,
                 std::size_t width, float* out) {
  for (std::size_t i = 0; i < count; i += width) {
    const std::size_t vectors = std::min(width, count - i);
    for (std::size_t p = 0; p < depth; ++p, out += width) {
      std::copy_n(data + p * stride + i, vectors, out);
      std::fill(out + vectors, out + width, 0.0F);
    }
  }
}

void multiplyPacked(std::size_t rows, std::size_t columns, std::size_t depth, const float* packedA,
                    const float* packedB, float* c, std::size_t strideC, bool accumulate) {
  const Kernels& kernel = kernels();
  const std::size_t tileRows = kernel.tileRows, tileColumns = kernel.tileColumns;
  alignas(64) float edge[512];  // the largest register tile is 14 x 32
  for (std::size_t j = 0; j < columns; j += tileColumns) {
    const float* b = packedB + j * depth;
    const std::size_t width = std::min(tileColumns, columns - j);
    for (std::size_t i = 0; i < rows; i += tileRows) {
      const float* a = packedA + i * depth;
      const std::size_t height = std::min(tileRows, rows - i);
      float* target = c + i * strideC + j;
      if (height == tileRows && width == tileColumns) {
        kernel.sgemmTile(depth, a, b, target, strideC, accumulate);
        continue;
      }
      kernel.sgemmTile(depth, a, b, edge, tileColumns, false);
      for (std::size_t r = 0; r < height; ++r) {
        for (std::size_t s = 0; s < width; ++s) {
          float& value = target[r * strideC + s];
          value = accumulate ? value + edge[r * tileColumns + s] : edge[r * tileColumns + s];
        }
      }
    }
  }
}

}  // namespace neural_lsh::cpu
