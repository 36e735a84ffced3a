#include "query.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <vector>

#include "../core/aligned-buffer.h"
#include "../core/error.h"
#include "../core/thread-pool.h"
#include "packed-product.h"
#include "vectors.h"

namespace neural_lsh::cpu {
namespace {

/// Queries that are routed together; answers do not depend on it.
constexpr std::size_t queriesPerTask = 64;

/// A batch is answered in blocks: many queries, so that each bin that is read serves several of them, but no
/// more than this, nor than ask for so many bins.
constexpr std::size_t maxBlockQueries = 4096;
constexpr std::size_t maxBlockVisits = std::size_t{1} << 22;

/// Rows that are fetched ahead of being ranked exactly.
constexpr std::size_t rowsAhead = 16;
constexpr std::size_t lineBytes = 64;

/// A shortlist as long as this request needs.
std::size_t shortlistSize(const SearchIndex& index, const SearchRequest& request, bool isExact) {
  if (isExact) return request.k;
  const std::size_t wanted = request.reranked > 0 ? request.reranked : index.scan->candidatesFor(request.k);
  return std::min(std::max(wanted, request.k), index.rows());
}

BinBudget budgetOf(const SearchIndex& index, const SearchRequest& request) {
  return {request.probing, index.bins.offsets, request.k};
}

std::size_t rowsOf(const SearchIndex& index, Id bin) {
  const auto b = static_cast<std::size_t>(bin);
  return static_cast<std::size_t>(index.bins.offsets[b + 1] - index.bins.offsets[b]);
}

Visited visited(const SearchIndex& index, std::span<const RankedBin> chosen) {
  std::size_t candidates = 0;
  for (const RankedBin& ranked : chosen) candidates += rowsOf(index, ranked.bin);
  return {static_cast<std::int32_t>(candidates), static_cast<std::int32_t>(chosen.size())};
}

void prefetchRow(const StoredVectors& vectors, std::size_t row) {
  const std::size_t bytes = vectors.columns * (vectors.floats != nullptr ? sizeof(float) : 1);
  const char* first = vectors.floats != nullptr
                          ? reinterpret_cast<const char*>(vectors.floats + row * vectors.columns)
                          : reinterpret_cast<const char*>(vectors.bytes + row * vectors.columns);
  for (std::size_t byte = 0; byte < bytes; byte += lineBytes) __builtin_prefetch(first + byte);
}

/// What ranking the candidates of a query needs.
struct Ranking {
  Shortlist finalists;
  std::vector<std::pair<double, Id>> ranked;
};

/// Of codes that are coarse many candidates are ranked again: those that can be among the nearest are found in
/// float, which is several times as fast.
Shortlist& finalistsOf(const SearchIndex& index, const float* query, std::size_t k, Shortlist& nearest,
                       Shortlist& finalists) {
  const std::span<const std::uint32_t> rows = nearest.rows();
  if (rows.size() < 2 * (k + roughMargin)) return nearest;
  finalists.reset(k + roughMargin, index.bins.ids);
  for (std::size_t i = 0; i < std::min(rows.size(), rowsAhead); ++i) prefetchRow(index.bins.vectors, rows[i]);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i + rowsAhead < rows.size()) prefetchRow(index.bins.vectors, rows[i + rowsAhead]);
    finalists.offer(roughDistance(index.bins, query, rows[i]), rows[i]);
  }
  return finalists;
}

/// Ranks what the scan kept in double precision and writes the k nearest.
void rank(const SearchIndex& index, const float* query, Shortlist& nearest, std::optional<double> exactFrom,
          std::span<Id> ids, std::span<float> distances, Ranking& ranking) {
  Shortlist& finalists =
      exactFrom ? nearest : finalistsOf(index, query, ids.size(), nearest, ranking.finalists);
  const std::span<const std::uint32_t> rows = finalists.rows();
  auto& ranked = ranking.ranked;
  ranked.clear();
  for (const std::uint32_t row : rows) {
    __builtin_prefetch(&index.bins.ids[row]);
    if (!exactFrom) prefetchRow(index.bins.vectors, row);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double distance =
        exactFrom ? *exactFrom + finalists.distance(i) : storedDistance(index.bins, query, rows[i]);
    ranked.emplace_back(distance, index.bins.ids[rows[i]]);
  }
  const auto last = ranked.begin() + static_cast<std::ptrdiff_t>(ids.size());
  if (last != ranked.end()) std::nth_element(ranked.begin(), last, ranked.end());
  std::sort(ranked.begin(), last);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = ranked[i].second;
    distances[i] = static_cast<float>(ranked[i].first);
  }
}

}  // namespace

class SearchScratch {
 public:
  std::vector<float> unit;  // the query as the scan and the router want it
  AlignedBuffer<std::byte> prepared;
  std::unique_ptr<Router::Scratch, void (*)(Router::Scratch*)> routing = Router::makeScratch();
  std::array<std::vector<RankedBin>, queriesPerTask> chosen;
  Shortlist nearest;
  Ranking ranking;
};

SearchScratch& threadScratch() {
  thread_local SearchScratch scratch;
  return scratch;
}

Visited searchOne(const SearchIndex& index, const float* query, const SearchRequest& request,
                  const char* argument, std::span<Id> ids, std::span<float> distances,
                  SearchScratch& scratch) {
  const float* prepared = query;
  if (index.bins.metric == Metric::cosine) {
    scratch.unit.resize(index.dimensions());
    prepared = scratch.unit.data();
    prepareVector(query, index.dimensions(), 0, Metric::cosine, argument, scratch.unit);
  } else {
    prepareVector(query, index.dimensions(), 0, index.bins.metric, argument, {});
  }

  index.router.chooseBins(prepared, 1, budgetOf(index, request), *scratch.routing,
                          {scratch.chosen.data(), 1});
  const std::span<const RankedBin> chosen = scratch.chosen[0];
  const Scan& scan = *index.scan;
  scan.prefetch(chosen[0].bin);
  void* const comparable = scratch.prepared.require(scan.preparedBytes());
  scan.prepare(prepared, comparable);
  const auto exactFrom = scan.exactFrom(comparable);

  scratch.nearest.reset(shortlistSize(index, request, exactFrom.has_value()), index.bins.ids);
  for (std::size_t i = 0; i + 1 < chosen.size(); ++i) {
    scan.scanAhead(comparable, chosen[i].bin, chosen[i + 1].bin, scratch.nearest);
  }
  scan.scan(comparable, chosen.back().bin, scratch.nearest);
  rank(index, prepared, scratch.nearest, exactFrom, ids, distances, scratch.ranking);
  return visited(index, chosen);
}

namespace {

/// All queries as the scan and the router want them.
class PreparedQueries {
 public:
  PreparedQueries(const SearchIndex& index, const Matrix& queries, const char* argument, const Job& job)
      : unit_(index.bins.metric == Metric::cosine ? queries.rows * queries.columns : 0),
        rows_{unit_.empty() ? queries.data : unit_.data(), queries.rows, queries.columns} {
    prepareVectors(queries, index.bins.metric, argument, unit_, job);
  }
  const Matrix& rows() const { return rows_; }

 private:
  std::vector<float> unit_;
  Matrix rows_;
};

/// Calls body(query, bins chosen, scratch) for queries [begin, end), on all threads.
template <typename Body>
void forEachRouted(const SearchIndex& index, const Matrix& queries, std::size_t begin, std::size_t end,
                   const BinBudget& budget, const Job& job, const Body& body) {
  parallelFor((end - begin + queriesPerTask - 1) / queriesPerTask, job.threads, [&](std::size_t task) {
    job.check();
    SearchScratch& scratch = threadScratch();
    const std::size_t first = begin + task * queriesPerTask, count = std::min(queriesPerTask, end - first);
    index.router.chooseBins(queries.row(first), count, budget, *scratch.routing,
                            {scratch.chosen.data(), count});
    for (std::size_t i = 0; i < count; ++i) body(first + i, std::span<const RankedBin>(scratch.chosen[i]));
  });
}

/// Queries that are answered together. Every worker keeps a shortlist of its own for every query, so that
/// nobody waits; what one of them knows to be too far is told to the others.
class QueryBlock {
 public:
  QueryBlock(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
             const SearchOutput& output, const Job& job)
      : index_(index), queries_(queries), request_(request), output_(output), job_(job) {
    workers_ = std::min(job.threads == 0 ? hardwareThreads() : job.threads, hardwareThreads());
    const std::size_t size = shortlistSize(index, request, false);
    capacity_ = std::clamp<std::size_t>(maxShortlisted / (workers_ * size), queriesPerTask, maxBlockQueries);
    capacity_ = std::min(capacity_, queries.rows);
    preparedStride_ = roundUp(index.scan->preparedBytes(), lineBytes);
    prepared_.require(capacity_ * preparedStride_);
    bins_.resize(capacity_);
    lists_.resize(capacity_ * workers_);
    thresholds_ = std::vector<std::atomic<float>>(capacity_);
    firstVisits_.resize(index.binCount() + 1);
  }

  /// Answers the queries from `first` on and returns how many they were.
  std::size_t answer(std::size_t first) {
    first_ = first;
    route();
    std::size_t visits = 0;
    for (std::size_t i = 0; i < count_; ++i) visits += bins_[i].size();
    doneVisits_ = 0;
    allVisits_ = visits;
    // The most probable bin first: after it, little of the others is near enough.
    scan(0, 1);
    scan(1, index_.binCount());
    parallelFor((count_ + queriesPerTask - 1) / queriesPerTask, job_.threads, [&](std::size_t task) {
      for (std::size_t i = task * queriesPerTask; i < std::min(count_, (task + 1) * queriesPerTask); ++i)
        write(i);
    });
    job_.progress(first_ + count_, queries_.rows);
    return count_;
  }

 private:
  static constexpr std::size_t maxShortlisted = std::size_t{1} << 23;

  std::byte* preparedQuery(std::size_t i) const { return prepared_.data() + i * preparedStride_; }

  void route() {
    const std::size_t available = std::min(capacity_, queries_.rows - first_);
    std::size_t visits = 0;
    for (count_ = 0; count_ < available && visits < maxBlockVisits;) {
      const std::size_t end = std::min(available, count_ + queriesPerTask * workers_);
      forEachRouted(
          index_, queries_, first_ + count_, first_ + end, budgetOf(index_, request_), job_,
          [&](std::size_t query, std::span<const RankedBin> chosen) { begin(query - first_, chosen); });
      for (; count_ < end; ++count_) visits += bins_[count_].size();
    }
  }

  void begin(std::size_t i, std::span<const RankedBin> chosen) {
    bins_[i].resize(chosen.size());
    std::transform(chosen.begin(), chosen.end(), bins_[i].begin(),
                   [](const RankedBin& ranked) { return ranked.bin; });
    const Visited seen = visited(index_, chosen);
    output_.candidates[first_ + i] = seen.candidates;
    output_.probes[first_ + i] = seen.probes;
    index_.scan->prepare(queries_.row(first_ + i), preparedQuery(i));
    const std::size_t size =
        shortlistSize(index_, request_, index_.scan->exactFrom(preparedQuery(i)).has_value());
    for (std::size_t worker = 0; worker < workers_; ++worker) lists_[worker * capacity_ + i].reset(size, index_.bins.ids);
    thresholds_[i].store(std::numeric_limits<float>::infinity(), std::memory_order_relaxed);
  }

  /// Visits the bins that are between these places of their queries' rankings, in the order of the bins.
  void scan(std::size_t firstRank, std::size_t endRank) {
    std::fill(firstVisits_.begin(), firstVisits_.end(), 0);
    const auto forEachVisit = [&](const auto& body) {
      for (std::size_t i = 0; i < count_; ++i) {
        const std::size_t end = std::min(bins_[i].size(), endRank);
        for (std::size_t r = firstRank; r < end; ++r) body(i, static_cast<std::size_t>(bins_[i][r]));
      }
    };
    forEachVisit([&](std::size_t, std::size_t bin) { ++firstVisits_[bin + 1]; });
    for (std::size_t bin = 0; bin + 1 < firstVisits_.size(); ++bin)
      firstVisits_[bin + 1] += firstVisits_[bin];
    visitors_.resize(firstVisits_.back());
    nextVisits_.assign(firstVisits_.begin(), firstVisits_.end() - 1);
    forEachVisit([&](std::size_t i, std::size_t bin) {
      visitors_[nextVisits_[bin]++] = static_cast<std::uint32_t>(i);
    });
    visits_.clear();
    for (std::size_t bin = 0; bin + 1 < firstVisits_.size(); ++bin) {
      for (std::size_t visit = firstVisits_[bin]; visit < firstVisits_[bin + 1]; visit += queriesPerTask) {
        visits_.push_back(
            {static_cast<Id>(bin), visit, std::min(queriesPerTask, firstVisits_[bin + 1] - visit)});
      }
    }
    std::atomic<std::size_t> next{0};
    parallelFor(workers_, job_.threads, [&](std::size_t worker) {
      for (std::size_t i = next++; i < visits_.size(); i = next++) {
        job_.check();
        if (i + workers_ < visits_.size()) index_.scan->prefetch(visits_[i + workers_].bin);
        visit(visits_[i], worker);
      }
    });
  }

  struct Visit {
    Id bin;
    std::size_t first, count;  // of visitors_
  };

  void visit(const Visit& visit, std::size_t worker) {
    std::array<const void*, queriesPerTask> prepared;
    std::array<Shortlist*, queriesPerTask> lists;
    const std::span visitors(visitors_.data() + visit.first, visit.count);
    for (std::size_t v = 0; v < visitors.size(); ++v) {
      prepared[v] = preparedQuery(visitors[v]);
      lists[v] = &lists_[worker * capacity_ + visitors[v]];
      lists[v]->tighten(thresholds_[visitors[v]].load(std::memory_order_relaxed));
    }
    index_.scan->scanTogether({prepared.data(), visit.count}, visit.bin, {lists.data(), visit.count});
    for (std::size_t v = 0; v < visitors.size(); ++v) {
      std::atomic<float>& shared = thresholds_[visitors[v]];
      float known = shared.load(std::memory_order_relaxed);
      const float found = lists[v]->threshold();
      while (found < known && !shared.compare_exchange_weak(known, found, std::memory_order_relaxed)) {
      }
    }
    // Sixty-four times a block, so that telling takes no time.
    const std::size_t before = doneVisits_.fetch_add(visit.count), after = before + visit.count;
    if (before * 64 / allVisits_ != after * 64 / allVisits_) {
      job_.progress(first_ + count_ * after / allVisits_, queries_.rows);
    }
  }

  void write(std::size_t i) {
    Shortlist& nearest = lists_[i];
    for (std::size_t worker = 1; worker < workers_; ++worker) {
      nearest.offer(lists_[worker * capacity_ + i]);
    }
    const std::size_t k = request_.k, query = first_ + i;
    rank(index_, queries_.row(query), nearest, index_.scan->exactFrom(preparedQuery(i)),
         output_.ids.subspan(query * k, k), output_.distances.subspan(query * k, k), threadScratch().ranking);
  }

  const SearchIndex& index_;
  const Matrix& queries_;
  const SearchRequest& request_;
  const SearchOutput& output_;
  const Job& job_;
  std::size_t workers_, capacity_, preparedStride_;
  std::size_t first_ = 0, count_ = 0, allVisits_ = 0;
  AlignedBuffer<std::byte> prepared_;           // of the block's queries
  std::vector<std::vector<Id>> bins_;           // which each of them asks for
  std::vector<Shortlist> lists_;                // workers x capacity
  std::vector<std::atomic<float>> thresholds_;  // the lowest of a query's lists
  std::vector<std::size_t> firstVisits_, nextVisits_;
  std::vector<std::uint32_t> visitors_;  // queries, grouped by bin
  std::vector<Visit> visits_;
  std::atomic<std::size_t> doneVisits_{0};
};

void requireFinite(std::span<const float> values, const char* name, const Job& job) {
  if (findNotFinite(values, job)) throw argumentError(name, "holds a value that is not a finite number");
}

}  // namespace

void searchBatch(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
                 const char* argument, const SearchOutput& output, const Job& job) {
  const PreparedQueries prepared(index, queries, argument, job);
  QueryBlock block(index, prepared.rows(), request, output, job);
  for (std::size_t first = 0; first < queries.rows;) first += block.answer(first);
}

void searchTimed(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
                 const SearchOutput& output, std::span<double> seconds, const Job& job) {
  SearchScratch& scratch = threadScratch();
  for (std::size_t i = 0; i < queries.rows; ++i) {
    job.check();
    const auto start = std::chrono::steady_clock::now();
    const Visited seen =
        searchOne(index, queries.row(i), request, "queries", output.ids.subspan(i * request.k, request.k),
                  output.distances.subspan(i * request.k, request.k), scratch);
    seconds[i] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    output.candidates[i] = seen.candidates;
    output.probes[i] = seen.probes;
    if ((i + 1) % queriesPerTask == 0 || i + 1 == queries.rows) job.progress(i + 1, queries.rows);
  }
}

void route(const SearchIndex& index, const Matrix& queries, std::size_t probes, const char* argument,
           std::span<Id> bins, std::span<float> probabilities, const Job& job) {
  const PreparedQueries prepared(index, queries, argument, job);
  std::atomic<std::size_t> done{0};
  forEachRouted(index, prepared.rows(), 0, queries.rows, {{probes, 0}, index.bins.offsets, 0}, job,
                [&](std::size_t query, std::span<const RankedBin> chosen) {
                  for (std::size_t i = 0; i < probes; ++i) {
                    bins[query * probes + i] = chosen[i].bin;
                    probabilities[query * probes + i] = chosen[i].probability;
                  }
                  const std::size_t count = ++done;
                  if (count % queriesPerTask == 0 || count == queries.rows) job.progress(count, queries.rows);
                });
}

void checkBins(const StoredBins& bins, const Job& job) {
  const std::size_t rows = bins.vectors.rows;
  if (bins.offsets.front() != 0 || static_cast<std::size_t>(bins.offsets.back()) != rows ||
      !std::is_sorted(bins.offsets.begin(), bins.offsets.end())) {
    throw argumentError("bins.offsets", "must rise from 0 to the number of vectors");
  }
  std::vector<bool> seen(rows, false);
  for (const Id id : bins.ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= rows || seen[static_cast<std::size_t>(id)]) {
      throw argumentError("bins.ids", "must hold every row number once");
    }
    seen[static_cast<std::size_t>(id)] = true;
  }
  if (bins.vectors.floats != nullptr)
    requireFinite({bins.vectors.floats, rows * bins.vectors.columns}, "vectors", job);
}

void checkCodes(const FourBitCodes& codes, const Job& job) {
  requireFinite(codes.codebooks, "codes.codebooks", job);
  requireFinite(codes.means, "codes.means", job);
}

void checkClassifier(const Classifier& classifier, const Job& job) {
  requireFinite(classifier.parameters, "classifier.parameters", job);
  requireFinite(classifier.buffers, "classifier.buffers", job);
  requireFinite(classifier.input.mean, "classifier.input.mean", job);
  requireFinite(classifier.input.scale, "classifier.input.scale", job);
  if (!std::isfinite(classifier.temperature) || classifier.temperature <= 0)
    throw argumentError("classifier.temperature", "must be a finite number above 0");
}

}  // namespace neural_lsh::cpu
