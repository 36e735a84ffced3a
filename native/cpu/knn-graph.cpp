#include "knn-graph.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <vector>

#include "../core/thread-pool.h"
#include "distance-tiles.h"
#include "kernels/kernels.h"
#include "nearest-lists.h"

namespace neural_lsh::cpu {
namespace {

/// The float tiles keep a few more than k, so that their rounding almost never hides a true neighbor.
std::size_t listCapacity(std::size_t k, std::size_t available) {
  return std::min(available, k + std::max<std::size_t>(8, k / 4));
}

struct Neighbor {
  double distance;
  Id id;
  friend auto operator<=>(const Neighbor&, const Neighbor&) = default;
};

struct Pair {
  std::uint32_t row, column;  // inside the tile
  float distance;
};

/// One all-pairs problem: `rows` against `columns`, which are the same set for a graph.
struct Problem {
  Metric metric;
  std::size_t k;
  std::vector<float> shift;
  TilePoints columns;
  TilePoints rows;
  double maxNorm;
  double maxTerm;
  bool isGraph;

  Problem(const Matrix& points, const Matrix& queries, Metric metricOfBoth, std::size_t neighbors, bool graph)
      : metric(metricOfBoth),
        k(neighbors),
        shift(tileShift(points, metric)),
        columns(tilePoints(points, shift, metric)),
        rows(graph ? TilePoints{} : tilePoints(queries, shift, metric)),
        maxNorm(*std::max_element(columns.norms.begin(), columns.norms.end())),
        maxTerm(*std::max_element(columns.terms.begin(), columns.terms.end())),
        isGraph(graph) {}

  const TilePoints& queries() const { return isGraph ? columns : rows; }
  double error(std::size_t row) const {
    return tileError(columns.points.columns, metric, queries().norms[row], queries().terms[row], maxNorm,
                     maxTerm);
  }
};

class Collector {
 public:
  Collector(const Problem& problem, NearestLists& lists)
      : problem_(problem), lists_(lists), scale_(tileScale(problem.metric)) {}

  /// Selects from a tile into the rows' lists and, for a graph (only j > i counts there), into the columns'
  /// too.
  void visit(const ProductTile& tile, std::size_t rowLock, std::size_t columnLock) const {
    thread_local std::vector<float> rowThresholds, columnThresholds;
    thread_local std::vector<TileCandidate> found;
    thread_local std::vector<Pair> pairs;
    copyThresholds(tile.rows, rowLock, rowThresholds);
    if (problem_.isGraph) {
      copyThresholds(tile.columns, columnLock, columnThresholds);
    } else {
      columnThresholds.assign(tile.columns.size(), -std::numeric_limits<float>::infinity());
    }
    found.resize(tile.columns.size());
    pairs.clear();
    for (std::size_t r = 0; r < tile.rows.size(); ++r) {
      const std::size_t row = tile.rows.begin + r;
      // Of a graph's diagonal tiles only the part right of the diagonal.
      const std::size_t first =
          problem_.isGraph && row >= tile.columns.begin ? row + 1 - tile.columns.begin : 0;
      if (first >= tile.columns.size()) continue;
      const std::size_t count = kernels().selectBelow(
          tile.products + r * tile.stride + first, tile.columns.size() - first, problem_.queries().terms[row],
          problem_.columns.terms.data() + tile.columns.begin + first, scale_, rowThresholds[r],
          columnThresholds.data() + first, found.data());
      for (std::size_t i = 0; i < count; ++i) {
        pairs.push_back({static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(found[i].column + first),
                         found[i].distance});
      }
    }
    insert(tile, pairs, rowLock, columnLock);
  }

 private:
  void copyThresholds(Range range, std::size_t lockRow, std::vector<float>& out) const {
    const auto guard = lists_.lock(lockRow);
    out.assign(lists_.thresholds() + range.begin, lists_.thresholds() + range.end);
  }

  void insert(const ProductTile& tile, const std::vector<Pair>& pairs, std::size_t rowLock,
              std::size_t columnLock) const {
    {
      const auto guard = lists_.lock(rowLock);
      for (const Pair& pair : pairs) {
        const std::size_t row = tile.rows.begin + pair.row;
        if (pair.distance <= lists_.thresholds()[row])
          lists_.insert(row, pair.distance, static_cast<Id>(tile.columns.begin + pair.column));
      }
    }
    if (!problem_.isGraph) return;
    const auto guard = lists_.lock(columnLock);
    for (const Pair& pair : pairs) {
      const std::size_t column = tile.columns.begin + pair.column;
      if (pair.distance <= lists_.thresholds()[column])
        lists_.insert(column, pair.distance, static_cast<Id>(tile.rows.begin + pair.row));
    }
  }

  const Problem& problem_;
  NearestLists& lists_;
  float scale_;
};

struct BlockPair {
  Range rows, columns;
};

std::vector<BlockPair> blockPairs(const Problem& problem, std::size_t blockSize) {
  const std::size_t rows = problem.queries().points.rows, columns = problem.columns.points.rows;
  std::vector<BlockPair> pairs;
  for (std::size_t r = 0; r < rows; r += blockSize) {
    for (std::size_t c = problem.isGraph ? r : 0; c < columns; c += blockSize) {
      pairs.push_back({{r, std::min(r + blockSize, rows)}, {c, std::min(c + blockSize, columns)}});
    }
  }
  return pairs;
}

void collect(const Problem& problem, std::size_t blockSize, NearestLists& lists, const Job& job) {
  const Collector collector(problem, lists);
  const std::vector<BlockPair> pairs = blockPairs(problem, blockSize);
  std::atomic<std::size_t> done{0};
  parallelFor(pairs.size(), job.threads, [&](std::size_t i) {
    job.check();
    const BlockPair& pair = pairs[i];
    forEachTile(problem.queries().points, pair.rows, problem.columns.points, pair.columns, problem.shift,
                problem.isGraph,
                [&](const ProductTile& tile) { collector.visit(tile, pair.rows.begin, pair.columns.begin); });
    job.progress(++done, pairs.size());
  });
}

/// Ranks a row's list exactly. Returns whether it certainly holds the k nearest.
bool rank(const Problem& problem, const NearestLists& lists, std::size_t row, std::vector<Neighbor>& out) {
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

void solve(const Problem& problem, std::span<Id> ids, std::span<float> distances, const Job& job) {
  const std::size_t rows = problem.queries().points.rows;
  const std::size_t available = problem.columns.points.rows - (problem.isGraph ? 1 : 0);
  const std::size_t blockSize = tileBlockRows(problem.columns.points.columns);
  std::vector<OpenRow> open;
  {
    NearestLists lists(rows, listCapacity(problem.k, available), blockSize);
    collect(problem, blockSize, lists, job);
    std::mutex mutex;
    parallelFor((rows + blockSize - 1) / blockSize, job.threads, [&](std::size_t block) {
      job.check();
      std::vector<Neighbor> neighbors;
      for (std::size_t row = block * blockSize; row < std::min((block + 1) * blockSize, rows); ++row) {
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
  solve(Problem(points, points, metric, k, true), ids, distances, job);
}

void exactSearch(const Matrix& points, const Matrix& queries, Metric metric, std::size_t k, std::span<Id> ids,
                 std::span<float> distances, const Job& job) {
  if (queries.rows == 0) return;
  solve(Problem(points, queries, metric, k, false), ids, distances, job);
}

}  // namespace neural_lsh::cpu
