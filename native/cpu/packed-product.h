// The two halves of a blocked matrix product: packing an operand into panels that the register tile reads
// front to back, and multiplying two packed blocks. gemm and the k-NN graph are both built from these.
#pragma once

#include <cstddef>

#include "kernels/kernels.h"

namespace neural_lsh::cpu {

/// The sum over k is split into equal blocks of at most this many: a panel of B stays in the L1 cache.
constexpr std::size_t maxDepth = 256;

/// Rows of A that are multiplied together: a packed block of them stays in the L2 cache.
constexpr std::size_t blockRows = 168;

/// Where the sum over k is split; the same for every thread count and every shape, so that results are too.
struct DepthBlocks {
  explicit DepthBlocks(std::size_t k)
      : total(k),
        count(k == 0 ? 0 : (k + maxDepth - 1) / maxDepth),
        size(count == 0 ? 0 : (k + count - 1) / count) {}

  std::size_t begin(std::size_t block) const { return block * size; }
  std::size_t depth(std::size_t block) const {
    return begin(block) + size <= total ? size : total - begin(block);
  }

  std::size_t total, count, size;
};

inline std::size_t roundUp(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Packs `count` vectors of an operand whose vectors are rows (element (i, p) at data[i * stride + p]) for p
/// in [0, depth) into panels of `width` vectors, each depth x width, zero-padded. With `shift` != nullptr
/// shift[p] is subtracted. `out` needs roundUp(count, width) * depth floats.
void packRows(const float* data, std::size_t stride, std::size_t count, std::size_t depth, std::size_t width,
              const float* shift, float* out);

/// The same for an operand whose vectors are columns (element (i, p) at data[p * stride + i]).
void packColumns(const float* data, std::size_t stride, std::size_t count, std::size_t depth,
                 std::size_t width, float* out);

/// C[rows x columns] (+)= A B for one depth block of packed operands.
void multiplyPacked(std::size_t rows, std::size_t columns, std::size_t depth, const float* packedA,
                    const float* packedB, float* c, std::size_t strideC, bool accumulate);

/// Rows of A: `stride` floats from row to row (0: packed), `tile` floats from tile to tile.
struct TileRows {
  const float* data;
  std::size_t stride, tile;

  static TileRows packed(const float* data, std::size_t depth) {
    return {data, 0, kernels().tileRows * depth};
  }
  /// As they lie in memory.
  static TileRows inPlace(const float* data, std::size_t stride) {
    return {data, stride, kernels().tileRows * stride};
  }
};

/// The same for one panel of B, at most kernels().tileColumns wide, with `strideB` floats from row to row: a
/// packed one, or columns of a matrix as they lie in memory if they are as many as fill a panel. A packed
/// panel that will be multiplied `next` is meanwhile brought into the L2 cache.
void multiplyPanel(std::size_t rows, std::size_t columns, std::size_t depth, const TileRows& a,
                   const float* b, std::size_t strideB, float* c, std::size_t strideC, bool accumulate,
                   const float* next = nullptr);

}  // namespace neural_lsh::cpu
