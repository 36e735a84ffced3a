#include "query.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cfloat>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../core/aligned-buffer.h"
#include "../core/error.h"
#include "../core/thread-pool.h"
#include "kernels/kernels.h"
#include "packed-product.h"
#include "query-parts.h"
#include "vectors.h"

namespace neural_lsh::cpu {
namespace {

/// A batch is answered in blocks: many queries, so that each bin that is read serves several of them, but no
/// more than this, nor than ask for so many bins or keep so many candidates.
constexpr std::size_t maxBlockQueries = 2048;
constexpr std::size_t maxBlockVisits = std::size_t{1} << 22;
constexpr std::size_t maxBlockShortlisted = std::size_t{1} << 22;

/// With fewer queries than that for each, the threads answer a block together, so that a bin is read once for
/// all of them, and more ask for it: but only where a bin is so many times a prepared query. Where it is not,
/// a list for each thread costs more than reading the bin again.
constexpr std::size_t ownBlockQueries = 1024;
constexpr std::size_t sharedBinRatio = 32;

/// What the threads share is cut into several pieces for each, as not all take the same time.
constexpr std::size_t tasksPerLane = 8;

/// A shortlist as long as this request needs.
std::size_t shortlistSize(const SearchIndex& index, const SearchRequest& request, bool isExact) {
  if (isExact) return request.k;
  const std::size_t wanted = request.reranked > 0 ? request.reranked : index.scan->candidatesFor(request.k);
  return std::min(std::max(wanted, request.k), index.rows());
}

/// What is read of a bin, on average.
std::size_t binBytes(const SearchIndex& index) {
  return index.scan->vectorBytes() * (index.rows() / index.binCount());
}

BinBudget budgetOf(const SearchIndex& index, const SearchRequest& request) {
  return {request.probing, index.bins.offsets, request.k};
}

/// Rows that are compared in float together.
constexpr std::size_t rowsTogether = 4;

/// Of codes that are coarse many candidates are ranked again: those that can be among the nearest are found
/// in float, which is several times as fast.
std::span<const std::uint32_t> finalistsOf(const SearchIndex& index, const float* query, std::size_t k,
                                           std::span<const std::uint32_t> rows, Ranking& ranking) {
  const std::size_t wanted = k + roughMargin;
  if (rows.size() < 2 * wanted) return rows;
  const auto prefetchRows = [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < std::min(end, rows.size()); ++i) prefetchRow(index.bins.vectors, rows[i]);
  };
  ranking.distances.resize(rows.size());
  prefetchRows(0, rowsAhead);
  for (std::size_t i = 0; i < rows.size(); i += rowsTogether) {
    prefetchRows(i + rowsAhead, i + rowsAhead + rowsTogether);
    roughDistances(index.bins, query, rows.subspan(i, std::min(rowsTogether, rows.size() - i)),
                   ranking.distances.data() + i);
  }
  ranking.keys.resize(rows.size() + keysBeyond);
  ranking.finalists.resize(rows.size() + keysBeyond);
  std::transform(ranking.distances.begin(), ranking.distances.end(), ranking.keys.begin(), keyOf);
  const std::int32_t last = kernels().boundOf(ranking.keys.data(), rows.size(), wanted);
  const std::size_t kept = kernels().keepUpTo(last, ranking.keys.data(), rows.data(), rows.size(),
                                              ranking.keys.data(), ranking.finalists.data());
  return {ranking.finalists.data(), kept};
}

/// Ranks what the scan kept in double precision and writes the k nearest.
void rank(const SearchIndex& index, const float* query, Shortlist& nearest, std::optional<double> exactFrom,
          std::span<Id> ids, std::span<float> distances, Ranking& ranking) {
  std::span<const std::uint32_t> rows = nearest.rows();
  if (!exactFrom) rows = finalistsOf(index, query, ids.size(), rows, ranking);
  auto& ranked = ranking.ranked;
  ranked.clear();
  for (const std::uint32_t row : rows) {
    __builtin_prefetch(&index.bins.ids[row]);
    if (!exactFrom) prefetchRow(index.bins.vectors, row);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double distance =
        exactFrom ? *exactFrom + nearest.distance(i) : storedDistance(index.bins, query, rows[i]);
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

SearchScratch& threadScratch() {
  thread_local SearchScratch scratch;
  return scratch;
}

namespace {

/// The nearest to a query, as the router and the scan want it, of the vectors in some bins.
Visited searchBins(const SearchIndex& index, const float* query, std::span<const RankedBin> chosen,
                   const SearchRequest& request, std::span<Id> ids, std::span<float> distances,
                   SearchScratch& scratch) {
  const Scan& scan = *index.scan;
  scan.prefetch(chosen[0].bin);
  void* const prepared = scratch.prepared.require(scan.preparedBytes());
  scan.prepare(query, prepared);
  const auto exactFrom = scan.exactFrom(prepared);
  scratch.nearest.reset(shortlistSize(index, request, exactFrom.has_value()), index.bins.ids);
  scanBins(scan, prepared, chosen, scratch.nearest);
  rank(index, query, scratch.nearest, exactFrom, ids, distances, scratch.ranking);
  return visited(index, chosen);
}

}  // namespace

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
  return searchBins(index, prepared, scratch.chosen[0], request, ids, distances, scratch);
}

namespace {

/// Queries that one thread answers, or several together: each bin is read once for all that ask for it.
class QueryBlock {
 public:
  QueryBlock(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
             const SearchOutput& output, std::size_t capacity, std::size_t lanes, const Job& job)
      : index_(index),
        queries_(queries),
        request_(request),
        output_(output),
        job_(job),
        capacity_(capacity),
        lanes_(lanes),
        preparedStride_(roundUp(index.scan->preparedBytes(), lineBytes)),
        reaches_(capacity) {
    prepared_.require(capacity_ * preparedStride_);
    bins_.resize(capacity_);
    lists_.resize(capacity_ * lanes_);
    firstVisits_.resize(index.binCount() + 1);
  }

  /// Answers queries from `first` on, at most up to `end`, and returns how many they were.
  std::size_t answer(std::size_t first, std::size_t end) {
    first_ = first;
    route(std::min(end, first + capacity_));
    // The most probable bin first: after it, little of the others is near enough.
    scan(0, 1);
    scan(1, index_.binCount());
    forTasks(0, count_, [&](std::size_t, std::size_t begin, std::size_t last) {
      for (std::size_t i = begin; i < last; ++i) {
        if (i + 1 < last) prefetchShortlisted(i + 1);
        write(i);
      }
    });
    return count_;
  }

 private:
  std::byte* preparedQuery(std::size_t i) const { return prepared_.data() + i * preparedStride_; }
  Shortlist& list(std::size_t lane, std::size_t i) { return lists_[lane * capacity_ + i]; }

  /// body(lane, begin, end) for pieces of [begin, end); no two of a lane run at the same time.
  template <typename Body>
  void forTasks(std::size_t begin, std::size_t end, const Body& body) const {
    const std::size_t perLane = (end - begin + lanes_ - 1) / lanes_;
    const std::size_t size = std::clamp<std::size_t>(perLane / tasksPerLane, 1, queriesPerTask);
    std::atomic<std::size_t> next{begin};
    parallelFor(lanes_, lanes_, [&](std::size_t lane) {
      for (std::size_t at = next.fetch_add(size); at < end; at = next.fetch_add(size)) {
        job_.check();
        body(lane, at, std::min(end, at + size));
      }
    });
  }

  void route(std::size_t end) {
    std::atomic<std::size_t> visits{0};
    // In rounds, as how many bins the queries ask for is seen only then.
    const std::size_t round = queriesPerTask * tasksPerLane * lanes_;
    for (count_ = 0; first_ + count_ < end && visits < maxBlockVisits;) {
      const std::size_t begin = first_ + count_, last = std::min(end, begin + round);
      forTasks(begin, last, [&](std::size_t, std::size_t from, std::size_t to) {
        forEachRouted(index_, queries_, from, to, budgetOf(index_, request_),
                      [&](std::size_t query, std::span<const RankedBin> chosen) {
                        this->begin(query - first_, chosen);
                        visits += chosen.size();
                      });
      });
      count_ += last - begin;
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
    list(0, i).reset(capacityOf(i), index_.bins.ids);
    reaches_[i] = std::numeric_limits<float>::infinity();
  }

  std::size_t capacityOf(std::size_t i) const {
    return shortlistSize(index_, request_, index_.scan->exactFrom(preparedQuery(i)).has_value());
  }

  /// Visits the bins that are between these places of their queries' rankings, in the order of the bins.
  void scan(std::size_t firstRank, std::size_t endRank) {
    gather(firstRank, endRank);
    // A query with one bin is met by one lane alone, whichever that is.
    const bool isShared = endRank - firstRank > 1;
    for (std::size_t lane = 1; lane < lanes_ && isShared; ++lane) {
      for (std::size_t i = 0; i < count_; ++i) list(lane, i).reset(capacityOf(i), index_.bins.ids);
    }
    forTasks(0, visits_.size(), [&](std::size_t lane, std::size_t begin, std::size_t end) {
      for (std::size_t v = begin; v < end; ++v) {
        job_.check();
        visit(isShared ? lane : 0, visits_[v], v + 1 < end ? &visits_[v + 1] : nullptr);
      }
    });
  }

  /// Who asks for which bin.
  void gather(std::size_t firstRank, std::size_t endRank) {
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
      for (std::size_t v = firstVisits_[bin]; v < firstVisits_[bin + 1]; v += queriesPerTask) {
        const std::size_t count = std::min(queriesPerTask, firstVisits_[bin + 1] - v);
        visits_.push_back({static_cast<Id>(bin), std::span(visitors_).subspan(v, count)});
      }
    }
  }

  /// Queries that are compared with a bin together.
  struct Visit {
    Id bin;
    std::span<const std::uint32_t> visitors;
  };

  void visit(std::size_t lane, const Visit& now, const Visit* next) {
    std::array<const void*, queriesPerTask> prepared, upcoming;
    std::array<Shortlist*, queriesPerTask> lists;
    const std::size_t count = now.visitors.size();
    for (std::size_t v = 0; v < count; ++v) {
      const std::size_t i = now.visitors[v];
      prepared[v] = preparedQuery(i);
      lists[v] = &list(lane, i);
      lists[v]->tighten(reaches_[i].load(std::memory_order_relaxed));
    }
    Upcoming ahead;
    if (next != nullptr) {
      for (std::size_t v = 0; v < next->visitors.size(); ++v) upcoming[v] = preparedQuery(next->visitors[v]);
      ahead = {next->bin, {upcoming.data(), next->visitors.size()}};
    }
    index_.scan->scanTogether({prepared.data(), count}, now.bin, {lists.data(), count}, ahead);
    // Another lane's may be lost or raised again: it only saves work.
    for (std::size_t v = 0; v < count; ++v)
      reaches_[now.visitors[v]].store(lists[v]->threshold(), std::memory_order_relaxed);
  }

  /// What ranking them reads.
  void prefetchShortlisted(std::size_t i) {
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      for (const std::uint32_t row : list(lane, i).rows()) {
        __builtin_prefetch(&index_.bins.ids[row]);
        prefetchRow(index_.bins.vectors, row);
      }
    }
  }

  void write(std::size_t i) {
    const std::size_t k = request_.k, query = first_ + i;
    Shortlist& nearest = list(0, i);
    for (std::size_t lane = 1; lane < lanes_; ++lane) nearest.offerAll(list(lane, i));
    rank(index_, queries_.row(query), nearest, index_.scan->exactFrom(preparedQuery(i)),
         output_.ids.subspan(query * k, k), output_.distances.subspan(query * k, k), threadScratch().ranking);
  }

  const SearchIndex& index_;
  const Matrix& queries_;
  const SearchRequest& request_;
  const SearchOutput& output_;
  const Job& job_;
  const std::size_t capacity_, lanes_, preparedStride_;
  std::size_t first_ = 0, count_ = 0;
  AlignedBuffer<std::byte> prepared_;        // of the block's queries
  std::vector<std::vector<Id>> bins_;        // which each of them asks for
  std::vector<Shortlist> lists_;             // lanes x capacity: what each lane found
  std::vector<std::atomic<float>> reaches_;  // beyond which nothing is among a query's nearest
  std::vector<std::size_t> firstVisits_, nextVisits_;
  std::vector<std::uint32_t> visitors_;  // queries, grouped by bin
  std::vector<Visit> visits_;
};

/// Bin by bin: each is read once for all queries of a block that ask for it.
void searchByBins(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
                  const SearchOutput& output, const Job& job) {
  const std::size_t threads = job.threads == 0 ? hardwareThreads() : job.threads;
  const std::size_t workers = std::min({threads, hardwareThreads(), queries.rows});
  const bool isShared = queries.rows < workers * ownBlockQueries &&
                        binBytes(index) > sharedBinRatio * index.scan->preparedBytes();
  const std::size_t lanes = isShared ? workers : 1, groups = workers / lanes;
  const std::size_t most = std::clamp<std::size_t>(
      maxBlockShortlisted / (lanes * shortlistSize(index, request, false)), queriesPerTask, maxBlockQueries);
  // As many blocks for each, of equal sizes.
  const std::size_t blocks = groups * ((queries.rows + groups * most - 1) / (groups * most));
  const std::size_t blockQueries = (queries.rows + blocks - 1) / blocks;
  std::atomic<std::size_t> next{0}, done{0};
  parallelFor(groups, groups, [&](std::size_t) {
    QueryBlock block(index, queries, request, output, blockQueries, lanes, job);
    for (std::size_t begin = blockQueries * next++; begin < queries.rows; begin = blockQueries * next++) {
      const std::size_t end = std::min(queries.rows, begin + blockQueries);
      for (std::size_t first = begin; first < end;) {
        const std::size_t answered = block.answer(first, end);
        first += answered;
        job.progress(done += answered, queries.rows);
      }
    }
  });
}

/// Query by query, after many were routed together.
void searchByQueries(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
                     const SearchOutput& output, const Job& job) {
  std::atomic<std::size_t> done{0};
  const std::size_t k = request.k;
  parallelFor((queries.rows + queriesPerTask - 1) / queriesPerTask, job.threads, [&](std::size_t task) {
    const std::size_t begin = task * queriesPerTask, end = std::min(queries.rows, begin + queriesPerTask);
    forEachRouted(index, queries, begin, end, budgetOf(index, request),
                  [&](std::size_t query, std::span<const RankedBin> chosen) {
                    job.check();
                    const Visited seen = searchBins(index, queries.row(query), chosen, request,
                                                    output.ids.subspan(query * k, k),
                                                    output.distances.subspan(query * k, k), threadScratch());
                    output.candidates[query] = seen.candidates;
                    output.probes[query] = seen.probes;
                  });
    job.progress(done += end - begin, queries.rows);
  });
}

}  // namespace

void searchBatch(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
                 const char* argument, const SearchOutput& output, const Job& job) {
  if (queries.rows == 0) return;
  const PreparedQueries prepared(index, queries, argument, job);
  // Bin by bin, it is the prepared queries that are read again and again.
  const bool isWorthIt = binBytes(index) > 4 * index.scan->preparedBytes();
  (isWorthIt ? searchByBins : searchByQueries)(index, prepared.rows(), request, output, job);
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
  parallelFor((queries.rows + queriesPerTask - 1) / queriesPerTask, job.threads, [&](std::size_t task) {
    job.check();
    const std::size_t begin = task * queriesPerTask, end = std::min(queries.rows, begin + queriesPerTask);
    forEachRouted(index, prepared.rows(), begin, end, {{probes, 0}, index.bins.offsets, 0},
                  [&](std::size_t query, std::span<const RankedBin> chosen) {
                    for (std::size_t i = 0; i < probes; ++i) {
                      bins[query * probes + i] = chosen[i].bin;
                      probabilities[query * probes + i] = chosen[i].probability;
                    }
                  });
    job.progress(done += end - begin, queries.rows);
  });
}

}  // namespace neural_lsh::cpu
