#include "sgemm.h"

#include <algorithm>

#include "../core/aligned-buffer.h"
#include "../core/thread-pool.h"
#include "chunks.h"
#include "packed-product.h"
#include "split-product.h"

namespace neural_lsh::cpu {
namespace {

// Below this many multiply-adds waking another thread costs more than it saves.
constexpr std::size_t parallelThreshold = std::size_t{1} << 19;

// Numbers of B that stay in the last cache while they are multiplied.
constexpr std::size_t cachedNumbers = std::size_t{1} << 19;

// Rows of C that a thread works on at once: each panel of B goes through its caches once for all of them.
constexpr std::size_t partRows = 512;

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
      rows_ = std::min(roundUp(divideUp(m, partRows), threads), divideUp(tiles_, 2));
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

/// Vectors [first, first + count) of an operand, numbers [p, p + depth) of each; they are rows in memory if
/// it is transposed as said.
void pack(const Operand<float>& x, Transpose ifRows, std::size_t first, std::size_t count, std::size_t p,
          std::size_t depth, std::size_t width, float* out) {
  if (x.transpose == ifRows) {
    packRows(x.data + first * x.stride + p, x.stride, count, depth, width, nullptr, out);
  } else {
    packColumns(x.data + p * x.stride + first, x.stride, count, depth, width, out);
  }
}

/// B in panels: depth block after depth block, panel after panel.
struct Panels {
  Panels(std::size_t columns, std::size_t k)
      : n(columns),
        depth(k),
        width(kernels().tileColumns),
        size(width * depth.size),
        count(divideUp(columns, width)) {}

  std::size_t offset(std::size_t panel, std::size_t block) const { return (block * count + panel) * size; }
  std::size_t columns(std::size_t panel) const { return std::min(width, n - panel * width); }

  void pack(const Operand<float>& b, std::size_t column, std::size_t columns, std::size_t block,
            float* out) const {
    cpu::pack(b, Transpose::yes, column, columns, depth.begin(block), depth.depth(block), width, out);
  }

  /// All panels of depth blocks [first, last).
  void packAll(const Operand<float>& b, std::size_t first, std::size_t last, std::size_t threads,
               float* out) const {
    forChunks(count, chunkRows((last - first) * size), threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t panel = begin; panel < end; ++panel) {
        for (std::size_t block = first; block < last; ++block) {
          pack(b, panel * width, columns(panel), block, out + offset(panel, block - first));
        }
      }
    });
  }

  std::size_t n;
  DepthBlocks depth;
  std::size_t width, size, count;
};

/// Whether as they lie in memory the rows of a panel would fight for the same places of a cache.
bool collides(const Operand<float>& b) {
  constexpr std::size_t page = 1024;  // in floats
  return b.stride % page == 0;
}

/// Rows of A are read as they lie in memory; of a transposed A each thread packs those that it multiplies.
/// Panels of B are read as they lie, too. If it is transposed, they are packed instead, one by one, each
/// multiplied while it is in the L1 cache. Where A has many rows, such panels, and those whose rows collide,
/// are packed once for all threads, some depth blocks at a time, unless they come packed.
class Multiplication {
 public:
  Multiplication(const Product& product, std::size_t threads, const float* packedB = nullptr)
      : product_(product),
        threads_(threads),
        panels_(product.n, product.k),
        shared_(packedB != nullptr ||
                (product.m > blockRows && (product.b.transpose == Transpose::yes || collides(product.b)))),
        grid_(product.m, product.n, shared_ ? panels_.width : cacheLine, threads),
        sharedB_(packedB) {}

  void run() {
    const std::size_t blocks = panels_.depth.count;
    if (!shared_ || sharedB_ != nullptr) return multiplyBlocks(0, blocks);
    const std::size_t blockNumbers = panels_.offset(0, 1);
    const std::size_t step = std::max<std::size_t>(1, cachedNumbers / blockNumbers);
    thread_local AlignedBuffer<float> buffer;
    float* const packed = buffer.require(std::min(step, blocks) * blockNumbers);
    sharedB_ = packed;
    for (std::size_t first = 0; first < blocks; first += step) {
      const std::size_t last = std::min(first + step, blocks);
      panels_.packAll(product_.b, first, last, threads_, packed);
      multiplyBlocks(first, last);
    }
  }

 private:
  void multiplyBlocks(std::size_t first, std::size_t last) {
    first_ = first;
    parallelFor(grid_.size(), threads_, [&](std::size_t i) { multiply(grid_[i], first, last); });
  }

  void multiply(const Rectangle& part, std::size_t first, std::size_t last) const {
    const std::size_t width = panels_.width;
    for (std::size_t block = first; block < last; ++block) {
      const TileRows rows = rowsOf(part, block);
      for (std::size_t j = 0; j < part.columns; j += width) {
        const std::size_t column = part.column + j, columns = std::min(width, part.columns - j);
        const Panel panel = panelOf(column, columns, block);
        const bool more = shared_ && j + width < part.columns;
        multiplyPanel(part.rows, columns, panels_.depth.depth(block), rows, panel.data, panel.stride,
                      product_.c + part.row * product_.strideC + column, product_.strideC,
                      product_.accumulate || block > 0,
                      more ? sharedPanel(column / width + 1, block) : nullptr);
      }
    }
  }

  const float* sharedPanel(std::size_t panel, std::size_t block) const {
    return sharedB_ + panels_.offset(panel, block - first_);
  }

  /// Valid until the thread's next call.
  TileRows rowsOf(const Rectangle& part, std::size_t block) const {
    const Operand<float>& a = product_.a;
    const std::size_t begin = panels_.depth.begin(block), depth = panels_.depth.depth(block);
    if (a.transpose == Transpose::no)
      return TileRows::inPlace(a.data + part.row * a.stride + begin, a.stride);
    thread_local AlignedBuffer<float> buffer;
    float* const packed = buffer.require(roundUp(part.rows, kernels().tileRows) * depth);
    pack(a, Transpose::no, part.row, part.rows, begin, depth, kernels().tileRows, packed);
    return TileRows::packed(packed, depth);
  }

  /// Where a panel of B lies; valid until the thread's next call.
  Panel panelOf(std::size_t column, std::size_t columns, std::size_t block) const {
    if (shared_) return {sharedPanel(column / panels_.width, block), panels_.width};
    const Operand<float>& b = product_.b;
    if (b.transpose == Transpose::no && columns == panels_.width) {
      return {b.data + panels_.depth.begin(block) * b.stride + column, b.stride};
    }
    thread_local AlignedBuffer<float> buffer;
    float* const packed = buffer.require(panels_.size);
    panels_.pack(b, column, columns, block, packed);
    return {packed, panels_.width};
  }

  const Product product_;
  const std::size_t threads_;
  const Panels panels_;
  const bool shared_;
  const Grid grid_;
  const float* sharedB_;
  std::size_t first_ = 0;  // of the depth blocks that are shared now
};

Operand<float> transposed(const Operand<float>& x) {
  return {x.data, x.stride, x.transpose == Transpose::no ? Transpose::yes : Transpose::no};
}

/// Few rows times a B whose vectors lie as rows: with the roles changed those are read as they lie, and only
/// the few are packed. C is transposed in the end.
bool betterTransposed(const Product& product) {
  return product.b.transpose == Transpose::yes && product.a.transpose == Transpose::no &&
         product.m <= blockRows && product.m < product.n;
}

void multiplyTransposed(const Product& product, std::size_t threads) {
  const auto& [m, n, k, a, b, c, strideC, accumulate] = product;
  thread_local AlignedBuffer<float> buffer;
  float* const result = buffer.require(n * m);
  if (accumulate) kernels().transpose(c, strideC, m, n, result, m);
  Multiplication({n, m, k, transposed(b), transposed(a), result, m, accumulate}, threads).run();
  kernels().transpose(result, m, n, m, c, strideC);
}

std::size_t threadsFor(std::size_t multiplyAdds, std::size_t threads) {
  if (multiplyAdds < parallelThreshold) return 1;
  return threads == 0 ? hardwareThreads() : threads;
}

void fillWithZeros(std::size_t m, std::size_t n, float* c, std::size_t strideC) {
  for (std::size_t i = 0; i < m; ++i) std::fill_n(c + i * strideC, n, 0.0F);
}

}  // namespace

void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<float> a, Operand<float> b, float* c,
          std::size_t strideC, bool accumulate, std::size_t threads, Precision precision) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!accumulate) fillWithZeros(m, n, c, strideC);
    return;
  }
  threads = threadsFor(m * n * k, threads);
  if (precision == Precision::split && worthSplitting(m, n, k)) {
    thread_local AlignedBuffer<std::uint32_t> buffer;
    std::uint32_t* const packed = buffer.require(splitFactorWords(n, k));
    packSplitFactor(n, k, b, threads, packed);
    return multiplySplit(m, n, k, a, packed, c, strideC, accumulate, threads);
  }
  const Product product{m, n, k, a, b, c, strideC, accumulate};
  if (betterTransposed(product)) {
    multiplyTransposed(product, threads);
  } else {
    Multiplication(product, threads).run();
  }
}

void Factor<float>::pack(std::size_t n, std::size_t k, Operand<float> b, std::size_t threads,
                         Precision precision) {
  n_ = n;
  k_ = k;
  split_ = precision == Precision::split && worthSplitting(n, n, k);
  if (split_) return packSplitFactor(n, k, b, threads, words_.require(splitFactorWords(n, k)));
  const Panels panels(n, k);
  panels.packAll(b, 0, panels.depth.count, threads, panels_.require(panels.offset(0, panels.depth.count)));
}

void Factor<float>::multiply(std::size_t m, Operand<float> a, float* c, std::size_t strideC, bool accumulate,
                             std::size_t threads) const {
  threads = threadsFor(m * n_ * k_, threads);
  if (split_) return multiplySplit(m, n_, k_, a, words_.data(), c, strideC, accumulate, threads);
  Multiplication({m, n_, k_, a, {}, c, strideC, accumulate}, threads, panels_.data()).run();
}

void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<double> a, Operand<double> b, double* c,
          std::size_t strideC, bool accumulate, std::size_t, Precision) {
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
