#include "split-product.h"

#include <algorithm>

#include "../core/aligned-buffer.h"
#include "chunks.h"
#include "kernels/split-products.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

// Rows of C that a thread works on at once and the steps of a sum that it takes at once: the packed rows of A
// stay in the L2 cache and a block of B in the L1 cache.
constexpr std::size_t partRows = 256, depthSteps = 4;

// Blocks that are packed by one thread at once.
constexpr std::size_t packedBlocks = 2;

constexpr std::size_t divideUp(std::size_t value, std::size_t divisor) {
  return (value + divisor - 1) / divisor;
}

/// Of numbers [p, ...) of vectors [i, ...) of an operand, which are rows in memory if it is transposed as
/// said.
SplitSource sourceOf(const Operand<float>& x, Transpose ifRows, std::size_t i, std::size_t p) {
  const bool rows = x.transpose == ifRows;
  return {x.data + (rows ? i * x.stride + p : p * x.stride + i), x.stride, !rows};
}

struct SplitProduct {
  const SplitKernels& kernel;
  std::size_t m, n, k;
  const Operand<float>& a;
  const std::uint32_t* b;
  float* c;
  std::size_t strideC;
  bool accumulate;

  std::size_t steps() const { return divideUp(k, kernel.step); }

  void multiplyRows(std::size_t begin, std::size_t end) const {
    const std::size_t blocks = divideUp(end - begin, kernel.vectors);
    thread_local AlignedBuffer<std::uint32_t> buffer;
    std::uint32_t* const left = buffer.require(blocks * depthSteps * kernel.stepWords);
    for (std::size_t first = 0; first < steps(); first += depthSteps) {
      const std::size_t some = std::min(depthSteps, steps() - first), words = some * kernel.stepWords;
      const std::size_t p = first * kernel.step;
      for (std::size_t block = 0; block < blocks; ++block) {
        const std::size_t row = begin + block * kernel.vectors;
        kernel.packLeft(sourceOf(a, Transpose::no, row, p), std::min(kernel.vectors, end - row),
                        std::min(k - p, some * kernel.step), left + block * words);
      }
      for (std::size_t column = 0; column < n; column += kernel.vectors) {
        const std::uint32_t* const right = b + (column / kernel.vectors * steps() + first) * kernel.stepWords;
        multiplyColumns(begin, end, column, some, left, right, accumulate || first > 0);
      }
    }
  }

  /// Blocks that C has whole are summed where they lie.
  void multiplyColumns(std::size_t begin, std::size_t end, std::size_t column, std::size_t someSteps,
                       const std::uint32_t* left, const std::uint32_t* right, bool add) const {
    const std::size_t width = kernel.vectors, words = someSteps * kernel.stepWords;
    const std::size_t whole = column + width <= n ? (end - begin) / width : 0;
    float* const target = c + begin * strideC + column;
    if (whole > 0) kernel.multiply(whole, someSteps, left, words, right, target, strideC, add);
    for (std::size_t i = whole * width; i < end - begin; i += width) {
      thread_local AlignedBuffer<float> buffer;
      float* const sums = buffer.require(width * width);
      kernel.multiply(1, someSteps, left + i / width * words, words, right, sums, width, false);
      for (std::size_t row = i; row < std::min(i + width, end - begin); ++row) {
        for (std::size_t j = 0; j < std::min(width, n - column); ++j) {
          float& sum = target[row * strideC + j];
          sum = (add ? sum : 0.0F) + sums[(row - i) * width + j];
        }
      }
    }
  }
};

}  // namespace

bool worthSplitting(std::size_t m, std::size_t n, std::size_t k) {
  constexpr std::size_t least = 64;  // what is packed is multiplied so many times
  return std::min({m, n, k}) >= least && splitKernels() != nullptr;
}

std::size_t splitFactorWords(std::size_t n, std::size_t k) {
  const SplitKernels& kernel = *splitKernels();
  return divideUp(n, kernel.vectors) * divideUp(k, kernel.step) * kernel.stepWords;
}

void packSplitFactor(std::size_t n, std::size_t k, const Operand<float>& b, std::size_t threads,
                     std::uint32_t* out) {
  const SplitKernels& kernel = *splitKernels();
  const std::size_t blockWords = splitFactorWords(1, k);
  forChunks(divideUp(n, kernel.vectors), packedBlocks, threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t block = begin; block < end; ++block) {
      const std::size_t column = block * kernel.vectors;
      kernel.packRight(sourceOf(b, Transpose::yes, column, 0), std::min(kernel.vectors, n - column), k,
                       out + block * blockWords);
    }
  });
}

void multiplySplit(std::size_t m, std::size_t n, std::size_t k, const Operand<float>& a,
                   const std::uint32_t* packedB, float* c, std::size_t strideC, bool accumulate,
                   std::size_t threads) {
  const SplitKernels& kernel = *splitKernels();
  const SplitProduct product{kernel, m, n, k, a, packedB, c, strideC, accumulate};
  const std::size_t blocks = divideUp(m, kernel.vectors);
  const std::size_t parts = std::min(roundUp(divideUp(m, partRows), threads), blocks);
  parallelFor(parts, threads, [&](std::size_t part) {
    const auto cut = [&](std::size_t i) { return std::min(i * blocks / parts * kernel.vectors, m); };
    product.multiplyRows(cut(part), cut(part + 1));
  });
}

}  // namespace neural_lsh::cpu
