#include "query.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "../core/error.h"
#include "../core/thread-pool.h"
#include "kernels/kernels.h"
#include "knn-graph.h"
#include "vectors.h"

namespace neural_lsh::cpu {
namespace {

// Queries that are routed together by one matrix product; fixed, so that answers do not depend on the thread
// count.
constexpr std::size_t queriesPerTask = 64;
constexpr std::size_t rowsPerScan = 256;

/// The float scan keeps a few more than k, so that its rounding almost never hides a true neighbor.
constexpr std::size_t scanSlack = 8;

/// Bins of one query in the order of their probability, taken out one by one: few of many are wanted.
class BinRanking {
 public:
  explicit BinRanking(std::span<const float> logits) : less_{logits}, order_(logits.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    std::make_heap(order_.begin(), order_.end(), less_);
  }

  bool empty() const { return order_.empty(); }
  Id next() {
    std::pop_heap(order_.begin(), order_.end(), less_);
    const Id bin = order_.back();
    order_.pop_back();
    return bin;
  }

 private:
  /// Ties to the smaller bin.
  struct Less {
    std::span<const float> logits;
    bool operator()(Id a, Id b) const {
      const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
      return x < y || (x == y && a > b);
    }
  };

  Less less_;
  std::vector<Id> order_;
};

struct Candidate {
  float distance;
  Id id;
  std::uint32_t row;
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  }
};

/// The nearest candidates so far: a heap whose front is the farthest of them.
class NearestHeap {
 public:
  explicit NearestHeap(std::size_t capacity) : capacity_(capacity) { heap_.reserve(capacity); }

  void offer(const Candidate& candidate) {
    if (heap_.size() == capacity_) {
      if (!(candidate < heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = candidate;
    } else {
      heap_.push_back(candidate);
    }
    std::push_heap(heap_.begin(), heap_.end());
    if (heap_.size() == capacity_) threshold_ = heap_.front().distance;
  }

  float threshold() const { return threshold_; }
  std::span<const Candidate> candidates() const { return heap_; }

 private:
  std::size_t capacity_;
  float threshold_ = std::numeric_limits<float>::infinity();
  std::vector<Candidate> heap_;
};

void scanBin(const SearchIndex& index, const float* query, Id bin, NearestHeap& nearest) {
  std::array<float, rowsPerScan> distances;
  const auto begin = static_cast<std::size_t>(index.offsets[static_cast<std::size_t>(bin)]);
  const auto end = static_cast<std::size_t>(index.offsets[static_cast<std::size_t>(bin) + 1]);
  for (std::size_t row = begin; row < end; row += rowsPerScan) {
    const std::size_t count = std::min(rowsPerScan, end - row);
    if (index.metric == Metric::euclidean) {
      kernels().squaredDistances(query, index.vectors.row(row), count, index.vectors.columns,
                                 distances.data());
    } else {
      kernels().dotProducts(query, index.vectors.row(row), count, index.vectors.columns, distances.data());
      for (std::size_t i = 0; i < count; ++i) distances[i] = -distances[i];
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (distances[i] > nearest.threshold()) continue;
      nearest.offer({distances[i], index.ids[row + i], static_cast<std::uint32_t>(row + i)});
    }
  }
}

/// Ranks what the scan kept in double precision and writes the k nearest.
void rankExactly(const SearchIndex& index, const float* query, std::span<const Candidate> candidates,
                 std::span<Id> ids, std::span<float> distances) {
  std::vector<std::pair<double, Id>> ranked;
  ranked.reserve(candidates.size());
  for (const Candidate& candidate : candidates) {
    ranked.emplace_back(
        exactDistance(index.metric, query, index.vectors.row(candidate.row), index.vectors.columns),
        candidate.id);
  }
  std::sort(ranked.begin(), ranked.end());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = ranked[i].second;
    distances[i] = static_cast<float>(ranked[i].first);
  }
}

struct Visited {
  std::int32_t candidates;
  std::int32_t probes;
};

Visited probe(const SearchIndex& index, const float* query, std::span<const float> logits, Probing probing,
              std::size_t k, NearestHeap& nearest) {
  BinRanking ranking(logits);
  std::vector<float> probabilities(logits.begin(), logits.end());
  softmaxRows(probabilities.data(), 1, probabilities.size());
  double mass = 0;
  std::size_t candidates = 0, probes = 0;
  const auto enough = [&] { return probing.probes > 0 ? probes >= probing.probes : mass >= probing.mass; };
  while (!ranking.empty() && (candidates < k || !enough())) {
    const auto bin = static_cast<std::size_t>(ranking.next());
    scanBin(index, query, static_cast<Id>(bin), nearest);
    candidates += static_cast<std::size_t>(index.offsets[bin + 1] - index.offsets[bin]);
    mass += probabilities[bin];
    ++probes;
  }
  return {static_cast<std::int32_t>(candidates), static_cast<std::int32_t>(probes)};
}

/// Calls body(first query, its prepared queries, their logits) for blocks of queries, on all threads.
template <typename Body>
void forEachRouted(const SearchIndex& index, const Matrix& queries, const char* argument, const Job& job,
                   Body body) {
  const std::size_t tasks = (queries.rows + queriesPerTask - 1) / queriesPerTask;
  std::vector<float> unitRows(index.metric == Metric::cosine ? queries.rows * queries.columns : 0);
  prepareVectors(queries, index.metric, argument, unitRows, job);
  const Matrix prepared{unitRows.empty() ? queries.data : unitRows.data(), queries.rows, queries.columns};
  std::atomic<std::size_t> done{0};
  parallelFor(tasks, job.threads, [&](std::size_t task) {
    job.check();
    const std::size_t first = task * queriesPerTask, count = std::min(queriesPerTask, queries.rows - first);
    const Matrix block{prepared.row(first), count, prepared.columns};
    std::vector<float> logits(count * index.bins());
    index.router.logits(block.data, count, logits.data(), 1);
    body(first, block, std::span(logits));
    job.progress(done += count, queries.rows);
  });
}

}  // namespace

void checkSearchIndex(const SearchIndex& index, const Job& job) {
  const std::size_t rows = index.vectors.rows;
  if (index.offsets.front() != 0 || static_cast<std::size_t>(index.offsets.back()) != rows ||
      !std::is_sorted(index.offsets.begin(), index.offsets.end())) {
    throw argumentError("bins.offsets", "must rise from 0 to the number of vectors");
  }
  std::vector<bool> seen(rows, false);
  for (const Id id : index.ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= rows || seen[static_cast<std::size_t>(id)]) {
      throw argumentError("bins.ids", "must hold every row number once");
    }
    seen[static_cast<std::size_t>(id)] = true;
  }
  const auto finite = [&](std::span<const float> values, const char* name) {
    if (findNotFinite(values, job)) throw argumentError(name, "holds a value that is not a finite number");
  };
  finite({index.vectors.data, rows * index.vectors.columns}, "vectors");
  const Classifier& classifier = index.router.classifier();
  finite(classifier.parameters, "classifier.parameters");
  finite(classifier.buffers, "classifier.buffers");
  finite(classifier.input.mean, "classifier.input.mean");
  finite(classifier.input.scale, "classifier.input.scale");
  if (!std::isfinite(classifier.temperature) || classifier.temperature <= 0)
    throw argumentError("classifier.temperature", "must be a finite number above 0");
}

void search(const SearchIndex& index, const Matrix& queries, std::size_t k, Probing probing,
            const char* argument, const SearchOutput& output, const Job& job) {
  const std::size_t kept = std::min(k + scanSlack, index.vectors.rows);
  forEachRouted(
      index, queries, argument, job, [&](std::size_t first, const Matrix& block, std::span<float> logits) {
        for (std::size_t i = 0; i < block.rows; ++i) {
          NearestHeap nearest(kept);
          const Visited visited =
              probe(index, block.row(i), logits.subspan(i * index.bins(), index.bins()), probing, k, nearest);
          const std::size_t query = first + i;
          rankExactly(index, block.row(i), nearest.candidates(), output.ids.subspan(query * k, k),
                      output.distances.subspan(query * k, k));
          output.candidates[query] = visited.candidates;
          output.probes[query] = visited.probes;
        }
      });
}

void route(const SearchIndex& index, const Matrix& queries, std::size_t probes, const char* argument,
           std::span<Id> bins, std::span<float> probabilities, const Job& job) {
  forEachRouted(index, queries, argument, job,
                [&](std::size_t first, const Matrix& block, std::span<float> logits) {
                  for (std::size_t i = 0; i < block.rows; ++i) {
                    const auto row = logits.subspan(i * index.bins(), index.bins());
                    const auto rowBins = bins.subspan((first + i) * probes, probes);
                    BinRanking ranking(row);
                    std::generate(rowBins.begin(), rowBins.end(), [&] { return ranking.next(); });
                    softmaxRows(row.data(), 1, row.size());
                    std::transform(rowBins.begin(), rowBins.end(),
                                   probabilities.begin() + static_cast<std::ptrdiff_t>((first + i) * probes),
                                   [&](Id bin) { return row[static_cast<std::size_t>(bin)]; });
                  }
                });
}

}  // namespace neural_lsh::cpu
