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
  for (std::size_t i = 0; i < count; i += width, out += depth * width) {
    kernels().packColumns(data + i, stride, std::min(width, count - i), depth, width, out);
  }
}

void multiplyPacked(std::size_t rows, std::size_t columns, std::size_t depth, const float* packedA,
                    const float* packedB, float* c, std::size_t strideC, bool accumulate) {
  const std::size_t width = kernels().tileColumns;
  for (std::size_t j = 0; j < columns; j += width) {
    multiplyPanel(rows, std::min(width, columns - j), depth, packedA, packedB + j * depth, width, c + j,
                  strideC, accumulate);
  }
}

void multiplyPanel(std::size_t rows, std::size_t columns, std::size_t depth, const float* packedA,
                   const float* b, std::size_t strideB, float* c, std::size_t strideC, bool accumulate) {
  const Kernels& kernel = kernels();
  for (std::size_t i = 0; i < rows; i += kernel.tileRows) {
    kernel.sgemmTile(std::min(kernel.tileRows, rows - i), columns, depth, packedA + i * depth, b, strideB,
                     c + i * strideC, strideC, accumulate);
  }
}

}  // namespace neural_lsh::cpu
