#include "sgemm.h"

#include <algorithm>

#include "../core/aligned-buffer.h"
#include "../core/thread-pool.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

// Below this many multiply-adds waking another thread costs more than it saves.
constexpr std::size_t parallelThreshold = std::size_t{1} << 19;

void packA(const Operand<float>& a, std::size_t row, std::size_t rows, const DepthBlocks& depth, float* out) {
  const std::size_t width = kernels().tileRows;
  for (std::size_t block = 0; block < depth.count; ++block) {
    const std::size_t p = depth.begin(block);
    float* target = out + p * roundUp(rows, width);
    if (a.transpose == Transpose::no) {
      packRows(a.data + row * a.stride + p, a.stride, rows, depth.depth(block), width, nullptr, target);
    } else {
      packColumns(a.data + p * a.stride + row, a.stride, rows, depth.depth(block), width, target);
    }
  }
}

/// Panels [first, last) of B, all depth blocks; the layout is that of the whole packed operand.
void packB(const Operand<float>& b, std::size_t first, std::size_t last, std::size_t n,
           const DepthBlocks& depth, float* out) {
  const std::size_t width = kernels().tileColumns;
  const std::size_t column = first * width, columns = std::min(last * width, n) - column;
  for (std::size_t block = 0; block < depth.count; ++block) {
    const std::size_t p = depth.begin(block);
    float* target = out + p * roundUp(n, width) + column * depth.depth(block);
    if (b.transpose == Transpose::yes) {
      packRows(b.data + column * b.stride + p, b.stride, columns, depth.depth(block), width, nullptr, target);
    } else {
      packColumns(b.data + p * b.stride + column, b.stride, columns, depth.depth(block), width, target);
    }
  }
}

}  // namespace

void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<float> a, Operand<float> b, float* c,
          std::size_t strideC, bool accumulate, std::size_t threads) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::size_t i = 0; i < m && !accumulate; ++i) std::fill_n(c + i * strideC, n, 0.0F);
    return;
  }
  threads = threads == 0 ? hardwareThreads() : threads;
  if (m * n * k < parallelThreshold) threads = 1;

  const std::size_t tileRows = kernels().tileRows, tileColumns = kernels().tileColumns;
  const DepthBlocks depth(k);
  const std::size_t panels = (n + tileColumns - 1) / tileColumns;

  thread_local AlignedBuffer<float> bufferB;
  float* const packedB = bufferB.require(panels * tileColumns * k);
  const std::size_t packChunks = std::min(panels, threads * 2);
  parallelFor(packChunks, threads, [&](std::size_t chunk) {
    packB(b, chunk * panels / packChunks, (chunk + 1) * panels / packChunks, n, depth, packedB);
  });

  // Rows are shared out first, in blocks of like size; where there are few of them, columns too.
  const std::size_t blocks = roundUp((m + blockRows - 1) / blockRows, threads);
  const std::size_t rowsPerTask =
      std::max(roundUp((m + blocks - 1) / blocks, tileRows), std::min(m, 4 * tileRows));
  const std::size_t rowTasks = (m + rowsPerTask - 1) / rowsPerTask;
  const std::size_t columnTasks =
      std::min(panels, rowTasks >= threads ? 1 : (threads + rowTasks - 1) / rowTasks);
  parallelFor(rowTasks * columnTasks, threads, [&](std::size_t task) {
    const std::size_t row = task / columnTasks * rowsPerTask, rows = std::min(rowsPerTask, m - row);
    const std::size_t part = task % columnTasks;
    const std::size_t column = part * panels / columnTasks * tileColumns;
    const std::size_t columns = std::min((part + 1) * panels / columnTasks * tileColumns, n) - column;
    thread_local AlignedBuffer<float> bufferA;
    float* const packedA = bufferA.require(roundUp(rows, tileRows) * k);
    packA(a, row, rows, depth, packedA);
    for (std::size_t block = 0; block < depth.count; ++block) {
      const std::size_t p = depth.begin(block);
      multiplyPacked(rows, columns, depth.depth(block), packedA + p * roundUp(rows, tileRows),
                     packedB + p * panels * tileColumns + column * depth.depth(block),
                     c + row * strideC + column, strideC, accumulate || block > 0);
    }
  });
}

void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<double> a, Operand<double> b, double* c,
          std::size_t strideC, bool accumulate, std::size_t) {
  const auto at = [](const Operand<double>& x, std::size_t i, std::size_t j) {
    return x.transpose == Transpose::no ? x.data[i * x.stride + j] : x.data[j * x.stride + i];
  };
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = accumulate ? c[i * strideC + j] : 0.0;
      for (std::size_t p = 0; p < k; ++p) sum += at(a, i, p) * at(b, p, j);
      c[i * strideC + j] = sum;
    }
  }
}

}  // namespace neural_lsh::cpu
