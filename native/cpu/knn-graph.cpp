#include "knn-graph.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "../core/aligned-buffer.h"
#include "../core/thread-pool.h"
#include "chunks.h"
#include "distance-tiles.h"
#include "kernels/byte-products.h"
#include "kernels/float-products.h"
#include "kernels/kernels.h"
#include "nearest-lists.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

/// The float tiles keep a few more than k, so that their rounding almost never hides a true neighbor.
std::size_t listCapacity(std::size_t k, std::size_t available) {
  return std::min(available, k + std::max<std::size_t>(4, k / 8));
}

struct Neighbor {
  double distance;
  Id id;
  friend auto operator<=>(const Neighbor&, const Neighbor&) = default;
};

/// One problem in floats: `rows` against `columns`, which are the same set for a graph.
struct Problem {
  Metric metric;
  std::size_t k;
  const PanelKernels<float>& panels;
  ProductError rounding;
  std::vector<float> shift;
  TilePoints columns;
  TilePoints rows;
  double maxNorm;
  double maxTerm;
  bool isGraph;

  Problem(const Matrix& points, const Matrix& queries, Metric metricOfBoth, std::size_t neighbors, bool graph)
      : metric(metricOfBoth),
        k(neighbors),
        panels(coarseFloatPanels(points.columns)),
        rounding(productError(panels, points.columns)),
        shift(tileShift(points, metric)),
        columns(tilePoints(points, shift, metric)),
        rows(graph ? TilePoints{} : tilePoints(queries, shift, metric)),
        maxNorm(*std::max_element(columns.norms.begin(), columns.norms.end())),
        maxTerm(*std::max_element(columns.terms.begin(), columns.terms.end())),
        isGraph(graph) {}

  const TilePoints& queries() const { return isGraph ? columns : rows; }
  double error(std::size_t row) const {
    return tileError(rounding, columns.points.columns, metric, queries().norms[row], queries().terms[row],
                     maxNorm, maxTerm);
  }
};

/// A set of vectors as panels need it: their terms (panels.h), and how a range of them is packed.
template <typename Value>
struct PanelSet {
  std::size_t rows;
  std::span<const Value> terms;
  std::function<void(Range range, std::uint32_t* out)> pack;
};

/// All pairs of two sets, which are the same one for a graph: only those with row < column count there.
template <typename Value>
struct AllPairs {
  const PanelKernels<Value>& panels;
  std::size_t depth;
  Value scale;
  PanelSet<Value> rows, columns;
  bool isGraph;
};

/// Vectors of a block: a multiple of the panels' width. Two packed ones stay in the outer cache, and there
/// are enough blocks for many threads.
template <typename Value>
std::size_t rowsPerBlock(const AllPairs<Value>& pairs) {
  constexpr std::size_t blockBytes = std::size_t{6} << 20, maxRows = 1920, minBlocks = 16;
  const std::size_t width = pairs.panels.panelWidth;
  const std::size_t fitting = blockBytes / (pairs.panels.panelWords(pairs.depth) * sizeof(std::uint32_t));
  const std::size_t wanted = std::max(pairs.rows.rows, pairs.columns.rows) / minBlocks / width + 1;
  return std::clamp<std::size_t>(std::min(fitting, wanted), 1, maxRows / width) * width;
}

/// A range of a set in panels, with the largest distance that each of its lists still takes. What fills up
/// the last panel is too far from everything.
template <typename Value>
struct PanelBlock {
  PanelBlock(const AllPairs<Value>& pairs, const PanelSet<Value>& set, Range rowsOfSet)
      : range(rowsOfSet),
        words(pairs.panels.packedWords(range.size(), pairs.depth)),
        terms(roundUp(range.size(), pairs.panels.panelWidth), farTerm),
        limits(terms.size(), std::numeric_limits<Value>::lowest()) {
    set.pack(range, words.data());
    std::copy_n(set.terms.data() + range.begin, range.size(), terms.data());
  }

  TileSide<Value> side(std::size_t first) const { return {terms.data() + first, limits.data() + first}; }

  static constexpr Value farTerm = std::numeric_limits<Value>::has_infinity
                                       ? std::numeric_limits<Value>::infinity()
                                       : std::numeric_limits<Value>::max() / 2;
  Range range;
  AlignedBuffer<std::uint32_t> words;
  std::vector<Value> terms, limits;
};

/// Selects from all tiles of two blocks into the lists of the rows and, for a graph, of the columns too.
template <typename Value>
class BlockScan {
 public:
  BlockScan(const AllPairs<Value>& pairs, NearestLists<Value>& lists, PanelBlock<Value>& rows,
            PanelBlock<Value>& columns)
      : pairs_(pairs),
        lists_(lists),
        rows_(rows),
        columns_(columns),
        found_(pairs.panels.tileRows * pairs.panels.panelWidth) {}

  void run() {
    loadLimits(rows_);
    if (pairs_.isGraph) loadLimits(columns_);
    // Rows that stay in the inner cache while panels of columns pass by.
    constexpr std::size_t cachedBytes = std::size_t{1} << 18;
    const std::size_t width = pairs_.panels.panelWidth;
    const std::size_t panelBytes = pairs_.panels.panelWords(pairs_.depth) * sizeof(std::uint32_t);
    const std::size_t step = std::max<std::size_t>(1, cachedBytes / panelBytes) * width;
    for (std::size_t first = 0; first < rows_.range.size(); first += step) {
      const std::size_t end = std::min(first + step, rows_.range.size());
      for (std::size_t column = 0; column < columns_.range.size(); column += width) {
        scanPanel(first, end, column);
      }
    }
  }

 private:
  // So many pairs are worth taking the locks; before a list is full it takes everything.
  static constexpr std::size_t maxWaiting = 1024;

  void loadLimits(PanelBlock<Value>& block) const {
    const auto guard = lists_.lock(block.range.begin);
    std::copy(lists_.thresholds() + block.range.begin, lists_.thresholds() + block.range.end,
              block.limits.begin());
  }

  /// Rows [first, end) against the panel that begins at `column`.
  void scanPanel(std::size_t first, std::size_t end, std::size_t column) {
    const PanelKernels<Value>& panels = pairs_.panels;
    const std::size_t steps = panels.steps(pairs_.depth);
    const std::uint32_t* const panel = panels.rowsFrom(columns_.words.data(), column, pairs_.depth);
    const std::size_t endColumn = std::min(column + panels.panelWidth, columns_.range.size());
    for (std::size_t row = first; row < end; row += panels.tileRows) {
      if (pairs_.isGraph && columns_.range.begin + endColumn <= rows_.range.begin + row + 1) break;
      const std::size_t count =
          panels.select(steps, panels.rowsFrom(rows_.words.data(), row, pairs_.depth), panel, pairs_.scale,
                        rows_.side(row), columns_.side(column), found_.data());
      for (std::size_t i = 0; i < count; ++i) keep(found_[i], row, column);
      if (waiting_.size() >= maxWaiting) insert();
    }
    if (!waiting_.empty()) insert();
  }

  void keep(TilePair<Value> pair, std::size_t row, std::size_t column) {
    pair.row += static_cast<std::uint32_t>(row);
    pair.column += static_cast<std::uint32_t>(column);
    if (pair.row >= rows_.range.size() || pair.column >= columns_.range.size()) return;
    if (pairs_.isGraph && columns_.range.begin + pair.column <= rows_.range.begin + pair.row) return;
    waiting_.push_back(pair);
  }

  void insert() {
    insert(rows_, columns_, &TilePair<Value>::row, &TilePair<Value>::column);
    if (pairs_.isGraph) insert(columns_, rows_, &TilePair<Value>::column, &TilePair<Value>::row);
    waiting_.clear();
  }

  /// Into the lists of one side the ids of the other.
  void insert(PanelBlock<Value>& to, const PanelBlock<Value>& from, std::uint32_t TilePair<Value>::* target,
              std::uint32_t TilePair<Value>::* source) {
    const auto guard = lists_.lock(to.range.begin);
    for (const TilePair<Value>& pair : waiting_) {
      if (pair.distance > to.limits[pair.*target]) continue;
      const std::size_t row = to.range.begin + pair.*target;
      lists_.insert(row, pair.distance, static_cast<Id>(from.range.begin + pair.*source));
      to.limits[pair.*target] = lists_.thresholds()[row];
    }
  }

  const AllPairs<Value>& pairs_;
  NearestLists<Value>& lists_;
  PanelBlock<Value>& rows_;
  PanelBlock<Value>& columns_;
  std::vector<TilePair<Value>> found_, waiting_;
};

/// The nearest `capacity` columns of every row.
template <typename Value>
NearestLists<Value> collect(const AllPairs<Value>& pairs, std::size_t capacity, const Job& job) {
  const std::size_t size = rowsPerBlock(pairs);
  const auto block = [size](const PanelSet<Value>& set, std::size_t i) {
    return Range{i * size, std::min((i + 1) * size, set.rows)};
  };
  struct Task {
    std::size_t row, firstColumn, endColumn;  // blocks
  };
  constexpr std::size_t run = 4;  // blocks of columns for which one of rows is packed
  const std::size_t columnBlocks = (pairs.columns.rows + size - 1) / size;
  std::vector<Task> tasks;
  for (std::size_t r = 0; r * size < pairs.rows.rows; ++r) {
    for (std::size_t c = pairs.isGraph ? r : 0; c < columnBlocks; c += run)
      tasks.push_back({r, c, std::min(c + run, columnBlocks)});
  }
  NearestLists<Value> lists(pairs.rows.rows, capacity, size);
  std::atomic<std::size_t> done{0};
  parallelFor(tasks.size(), job.threads, [&](std::size_t i) {
    PanelBlock<Value> rows(pairs, pairs.rows, block(pairs.rows, tasks[i].row));
    for (std::size_t c = tasks[i].firstColumn; c < tasks[i].endColumn; ++c) {
      job.check();
      PanelBlock<Value> columns(pairs, pairs.columns, block(pairs.columns, c));
      BlockScan(pairs, lists, rows, columns).run();
    }
    job.progress(++done, tasks.size());
  });
  return lists;
}

/// Ranks a row's list exactly. Returns whether it certainly holds the k nearest.
bool rank(const Problem& problem, const NearestLists<float>& lists, std::size_t row,
          std::vector<Neighbor>& out) {
  const Matrix& points = problem.columns.points;
  const float* query = problem.queries().points.row(row);
  const std::span<const NearestKey> keys = lists.row(row);
  out.clear();
  for (const NearestKey key : keys) {
    out.push_back({exactDistance(problem.metric, query, points.row(static_cast<std::size_t>(keyId(key))),
                                 points.columns),
                   keyId(key)});
  }
  std::sort(out.begin(), out.end());
  const std::size_t available = points.rows - (problem.isGraph ? 1 : 0);
  if (keys.size() == available) return true;
  return out[problem.k - 1].distance < static_cast<double>(keyDistance(keys.back())) - problem.error(row);
}

void write(std::span<const Neighbor> neighbors, std::size_t row, std::size_t k, std::span<Id> ids,
           std::span<float> distances) {
  for (std::size_t i = 0; i < k; ++i) {
    ids[row * k + i] = neighbors[i].id;
    distances[row * k + i] = static_cast<float>(neighbors[i].distance);
  }
}

/// A row that must be searched again: every point whose tile distance could be within the bound is ranked
/// exactly.
struct OpenRow {
  std::size_t row;
  double bound;  // an upper bound of the k-th exact distance
};

/// The k nearest so far of one row, exact; shared by the threads that search different columns for it.
class ExactList {
 public:
  explicit ExactList(std::size_t k) : k_(k) {}

  /// False where no distance whatsoever would let this id in.
  bool open(Id id, bool nonNegative) {
    std::lock_guard guard(mutex_);
    return !(nonNegative && heap_.size() == k_ && heap_.front().distance == 0 && heap_.front().id < id);
  }

  void insert(Neighbor neighbor) {
    std::lock_guard guard(mutex_);
    if (heap_.size() == k_) {
      if (!(neighbor < heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = neighbor;
    } else {
      heap_.push_back(neighbor);
    }
    std::push_heap(heap_.begin(), heap_.end());
  }

  std::span<const Neighbor> sorted() {
    std::sort(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  std::size_t k_;
  std::mutex mutex_;
  std::vector<Neighbor> heap_;
};

/// Rows are searched again by other products, whose rounding is bounded by that of the panels: no sum over
/// more.
static_assert(maxDepth <= panelBlockSteps);

/// Searches rows again whose float ranking was not certain: many equal or nearly equal distances.
void searchAgain(const Problem& problem, std::span<const OpenRow> open, std::size_t blockSize,
                 std::span<Id> ids, std::span<float> distances, const Job& job) {
  const Matrix& points = problem.columns.points;
  const std::size_t dimensions = points.columns;
  std::vector<float> gathered(open.size() * dimensions);
  std::vector<float> limits(open.size());
  std::vector<std::unique_ptr<ExactList>> lists;
  for (std::size_t i = 0; i < open.size(); ++i) {
    std::copy_n(problem.queries().points.row(open[i].row), dimensions, gathered.data() + i * dimensions);
    limits[i] = std::nextafter(static_cast<float>(open[i].bound + problem.error(open[i].row)),
                               std::numeric_limits<float>::infinity());
    lists.push_back(std::make_unique<ExactList>(problem.k));
  }
  const Matrix queries{gathered.data(), open.size(), dimensions};
  const bool nonNegative = problem.metric == Metric::euclidean;
  const float scale = tileScale(problem.metric);
  const std::size_t blocks = (points.rows + blockSize - 1) / blockSize;
  parallelFor(blocks, job.threads, [&](std::size_t block) {
    job.check();
    const Range columns{block * blockSize, std::min((block + 1) * blockSize, points.rows)};
    std::vector<TileCandidate> found(columns.size());
    const std::vector<float> never(columns.size(), -std::numeric_limits<float>::infinity());
    forEachTile(
        queries, {0, queries.rows}, points, columns, problem.shift, false, [&](const ProductTile& tile) {
          for (std::size_t r = tile.rows.begin; r < tile.rows.end; ++r) {
            const std::size_t count = kernels().selectBelow(
                tile.products + (r - tile.rows.begin) * tile.stride, tile.columns.size(),
                problem.queries().terms[open[r].row], problem.columns.terms.data() + tile.columns.begin,
                scale, limits[r], never.data(), found.data());
            for (std::size_t i = 0; i < count; ++i) {
              const std::size_t column = tile.columns.begin + found[i].column;
              const Id id = static_cast<Id>(column);
              if ((problem.isGraph && column == open[r].row) || !lists[r]->open(id, nonNegative)) continue;
              lists[r]->insert(
                  {exactDistance(problem.metric, queries.row(r), points.row(column), dimensions), id});
            }
          }
        });
  });
  for (std::size_t i = 0; i < open.size(); ++i)
    write(lists[i]->sorted(), open[i].row, problem.k, ids, distances);
}

PanelSet<float> panelSet(const Problem& problem, const TilePoints& set) {
  const Matrix& points = set.points;
  return {points.rows, set.terms, [&problem, &points](Range range, std::uint32_t* out) {
            packFloats(problem.panels, points.row(range.begin), points.columns, range.size(), points.columns,
                       problem.shift.empty() ? nullptr : problem.shift.data(), out);
          }};
}

void solve(const Problem& problem, std::span<Id> ids, std::span<float> distances, const Job& job) {
  const std::size_t rows = problem.queries().points.rows;
  const std::size_t available = problem.columns.points.rows - (problem.isGraph ? 1 : 0);
  const std::size_t blockSize = tileBlockRows(problem.columns.points.columns);
  std::vector<OpenRow> open;
  {
    const AllPairs<float> pairs{problem.panels,
                                problem.columns.points.columns,
                                tileScale(problem.metric),
                                panelSet(problem, problem.queries()),
                                panelSet(problem, problem.columns),
                                problem.isGraph};
    const NearestLists<float> lists = collect(pairs, listCapacity(problem.k, available), job);
    std::mutex mutex;
    forChunks(rows, chunkRows(pairs.depth), job.threads, [&](std::size_t begin, std::size_t end) {
      job.check();
      std::vector<Neighbor> neighbors;
      for (std::size_t row = begin; row < end; ++row) {
        const bool certain = rank(problem, lists, row, neighbors);
        write(neighbors, row, problem.k, ids, distances);
        if (certain) continue;
        std::lock_guard guard(mutex);
        open.push_back({row, neighbors[problem.k - 1].distance});
      }
    });
  }
  for (std::size_t i = 0; i < open.size(); i += blockSize) {
    searchAgain(problem, std::span(open).subspan(i, std::min(blockSize, open.size() - i)), blockSize, ids,
                distances, job);
  }
}

/// Vectors of bytes and their squared norms.
struct BytePoints {
  BytePoints(std::vector<std::uint8_t> values, std::size_t columns)
      : bytes(std::move(values)), depth(columns), squaredNorms(bytes.size() / columns) {
    for (std::size_t i = 0; i < squaredNorms.size(); ++i) {
      const std::uint8_t* row = bytes.data() + i * depth;
      squaredNorms[i] = std::inner_product(row, row + depth, row, 0);
    }
  }

  PanelSet<std::int32_t> panelSet() const {
    return {squaredNorms.size(), squaredNorms, [this](Range range, std::uint32_t* out) {
              packBytes(bytes.data() + range.begin * depth, depth, range.size(), depth, out);
            }};
  }

  std::vector<std::uint8_t> bytes;
  std::size_t depth;
  std::vector<std::int32_t> squaredNorms;
};

/// Squared distances of bytes are exact at once: nothing is left to be ranked again.
void solveBytes(const BytePoints& points, const BytePoints& queries, bool isGraph, std::size_t k,
                std::span<Id> ids, std::span<float> distances, const Job& job) {
  const AllPairs<std::int32_t> pairs{bytePanels(),       points.depth,      -2,
                                     queries.panelSet(), points.panelSet(), isGraph};
  const NearestLists<std::int32_t> lists = collect(pairs, k, job);
  for (std::size_t row = 0; row < pairs.rows.rows; ++row) {
    for (std::size_t i = 0; i < k; ++i) {
      const NearestKey key = lists.row(row)[i];
      ids[row * k + i] = keyId(key);
      distances[row * k + i] = static_cast<float>(keyDistance<std::int32_t>(key));
    }
  }
}

/// The vectors as bytes where their products may be taken from those.
std::optional<BytePoints> bytePoints(const Matrix& points, Metric metric, const Job& job) {
  if (metric != Metric::euclidean || points.columns > maxByteDepth) return std::nullopt;
  auto bytes = asBytes(points, job);
  if (!bytes) return std::nullopt;
  return BytePoints(std::move(*bytes), points.columns);
}

}  // namespace

double exactDistance(Metric metric, const float* a, const float* b, std::size_t columns) {
  switch (metric) {
    case Metric::euclidean:
      return kernels().exactSquaredDistance(a, b, columns);
    case Metric::cosine:
      return 1 - kernels().exactDotProduct(a, b, columns);
    default:
      return -kernels().exactDotProduct(a, b, columns);
  }
}

void exactKnnGraph(const Matrix& points, Metric metric, std::size_t k, std::span<Id> ids,
                   std::span<float> distances, const Job& job) {
  if (const auto bytes = bytePoints(points, metric, job)) {
    return solveBytes(*bytes, *bytes, true, k, ids, distances, job);
  }
  solve(Problem(points, points, metric, k, true), ids, distances, job);
}

void exactSearch(const Matrix& points, const Matrix& queries, Metric metric, std::size_t k, std::span<Id> ids,
                 std::span<float> distances, const Job& job) {
  if (queries.rows == 0) return;
  if (const auto byteQueries = bytePoints(queries, metric, job)) {
    if (const auto bytes = bytePoints(points, metric, job))
      return solveBytes(*bytes, *byteQueries, false, k, ids, distances, job);
  }
  solve(Problem(points, queries, metric, k, false), ids, distances, job);
}

}  // namespace neural_lsh::cpu
