#include "sgemm.h"

#include <algorithm>

#include "../core/aligned-buffer.h"
#include "../core/thread-pool.h"
#include "chunks.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

// Below this many multiply-adds waking another thread costs more than it saves.
constexpr std::size_t parallelThreshold = std::size_t{1} << 19;

// Numbers of B that stay in the last cache while they are multiplied.
constexpr std::size_t cachedNumbers = std::size_t{1} << 19;

constexpr std::size_t cacheLine = 16;  // in floats

constexpr std::size_t divideUp(std::size_t value, std::size_t divisor) {
  return (value + divisor - 1) / divisor;
}

struct Rectangle {
  std::size_t row, rows, column, columns;
};

/// C cut up into rectangles of like size, at least one for each thread where it is large enough.
class Grid {
 public:
  /// Columns are cut at multiples of `grain`, rows between tiles.
  Grid(std::size_t m, std::size_t n, std::size_t grain, std::size_t threads)
      : m_(m), n_(n), grain_(grain), tiles_(divideUp(m, kernels().tileRows)), grains_(divideUp(n, grain)) {
    if (m > blockRows) {
      rows_ = std::min(roundUp(divideUp(m, blockRows), threads), divideUp(tiles_, 2));
      columns_ = std::min(divideUp(threads, rows_), grains_);
    } else {
      columns_ = std::min(threads, grains_);
      rows_ = std::min(divideUp(threads, columns_), tiles_);
    }
  }

  std::size_t size() const { return rows_ * columns_; }

  Rectangle operator[](std::size_t index) const {
    const std::size_t i = index / columns_, j = index % columns_;
    const auto cut = [](std::size_t part, std::size_t parts, std::size_t count, std::size_t size,
                        std::size_t end) { return std::min(part * count / parts * size, end); };
    const std::size_t tileRows = kernels().tileRows;
    const std::size_t row = cut(i, rows_, tiles_, tileRows, m_),
                      column = cut(j, columns_, grains_, grain_, n_);
    return {row, cut(i + 1, rows_, tiles_, tileRows, m_) - row, column,
            cut(j + 1, columns_, grains_, grain_, n_) - column};
  }

 private:
  std::size_t m_, n_, grain_, tiles_, grains_;
  std::size_t rows_, columns_;
};

/// Of B: `stride` floats from row to row.
struct Panel {
  const float* data;
  std::size_t stride;
};

struct Product {
  std::size_t m, n, k;
  Operand<float> a, b;
  float* c;
  std::size_t strideC;
  bool accumulate;
};

/// Each thread packs the rows of A that it multiplies. Panels of B are read as they lie in memory. If it is
/// transposed, they are packed instead, one by one, each multiplied while it is in the L1 cache. Where A has
/// many rows, panels are used many times: they are packed once for all threads, some depth blocks at a time
/// (as they lie, rows a power of two apart would fight for the same places of a cache).
class Multiplication {
 public:
  Multiplication(const Product& product, std::size_t threads)
      : product_(product),
        threads_(threads),
        depth_(product.k),
        panelSize_(kernels().tileColumns * depth_.size),
        panels_(divideUp(product.n, kernels().tileColumns)),
        shared_(product.m > blockRows),
        grid_(product.m, product.n, shared_ ? kernels().tileColumns : cacheLine, threads) {}

  void run() {
    const std::size_t step =
        shared_ ? std::max<std::size_t>(1, cachedNumbers / (panels_ * panelSize_)) : depth_.count;
    thread_local AlignedBuffer<float> buffer;
    if (shared_) sharedB_ = buffer.require(step * panels_ * panelSize_);
    for (first_ = 0; first_ < depth_.count; first_ = last_) {
      last_ = std::min(first_ + step, depth_.count);
      if (shared_) sharePanels();
      parallelFor(grid_.size(), threads_, [&](std::size_t i) { multiply(grid_[i]); });
    }
  }

 private:
  float* sharedPanel(std::size_t panel, std::size_t block) const {
    return sharedB_ + ((block - first_) * panels_ + panel) * panelSize_;
  }

  void sharePanels() const {
    const std::size_t width = kernels().tileColumns;
    forChunks(panels_, chunkRows((last_ - first_) * panelSize_), threads_,
              [&](std::size_t begin, std::size_t end) {
                for (std::size_t panel = begin; panel < end; ++panel) {
                  const std::size_t column = panel * width, columns = std::min(width, product_.n - column);
                  for (std::size_t block = first_; block < last_; ++block) {
                    packB(column, columns, block, sharedPanel(panel, block));
                  }
                }
              });
  }

  void multiply(const Rectangle& part) const {
    const std::size_t width = kernels().tileColumns;
    thread_local AlignedBuffer<float> bufferA, bufferB;
    float* const packedA = bufferA.require(roundUp(part.rows, kernels().tileRows) * depth_.size);
    float* const ownPanel = bufferB.require(panelSize_);
    for (std::size_t block = first_; block < last_; ++block) {
      packA(part.row, part.rows, block, packedA);
      for (std::size_t j = 0; j < part.columns; j += width) {
        const std::size_t column = part.column + j, columns = std::min(width, part.columns - j);
        const Panel panel = panelOf(column, columns, block, ownPanel);
        const bool more = shared_ && j + width < part.columns;
        multiplyPanel(part.rows, columns, depth_.depth(block), packedA, panel.data, panel.stride,
                      product_.c + part.row * product_.strideC + column, product_.strideC,
                      product_.accumulate || block > 0,
                      more ? sharedPanel(column / width + 1, block) : nullptr);
      }
    }
  }

  /// Where a panel of B lies; if nowhere yet, it is packed into `own`.
  Panel panelOf(std::size_t column, std::size_t columns, std::size_t block, float* own) const {
    const std::size_t width = kernels().tileColumns;
    if (shared_) return {sharedPanel(column / width, block), width};
    const Operand<float>& b = product_.b;
    if (b.transpose == Transpose::no && columns == width) {
      return {b.data + depth_.begin(block) * b.stride + column, b.stride};
    }
    packB(column, columns, block, own);
    return {own, width};
  }

  void packA(std::size_t row, std::size_t rows, std::size_t block, float* out) const {
    pack(product_.a, Transpose::no, row, rows, block, kernels().tileRows, out);
  }
  void packB(std::size_t column, std::size_t columns, std::size_t block, float* out) const {
    pack(product_.b, Transpose::yes, column, columns, block, kernels().tileColumns, out);
  }

  /// Vectors [first, first + count) of one depth block; they are rows in memory if x is transposed as said.
  void pack(const Operand<float>& x, Transpose ifRows, std::size_t first, std::size_t count,
            std::size_t block, std::size_t width, float* out) const {
    const std::size_t p = depth_.begin(block), depth = depth_.depth(block);
    if (x.transpose == ifRows) {
      packRows(x.data + first * x.stride + p, x.stride, count, depth, width, nullptr, out);
    } else {
      packColumns(x.data + p * x.stride + first, x.stride, count, depth, width, out);
    }
  }

  const Product product_;
  const std::size_t threads_;
  const DepthBlocks depth_;
  const std::size_t panelSize_, panels_;
  const bool shared_;
  const Grid grid_;
  float* sharedB_ = nullptr;
  std::size_t first_ = 0, last_ = 0;  // the depth blocks at work
};

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
  Multiplication({m, n, k, a, b, c, strideC, accumulate}, threads).run();
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
