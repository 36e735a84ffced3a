// What the ways to answer queries share.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "../core/aligned-buffer.h"
#include "query.h"
#include "vectors.h"

namespace neural_lsh::cpu {

/// Queries that are routed together; answers do not depend on it.
inline constexpr std::size_t queriesPerTask = 64;

/// Rows that are fetched ahead of being ranked.
inline constexpr std::size_t rowsAhead = 16;
inline constexpr std::size_t lineBytes = 64;  // of a cache

inline std::size_t rowsOf(const SearchIndex& index, Id bin) {
  const auto b = static_cast<std::size_t>(bin);
  return static_cast<std::size_t>(index.bins.offsets[b + 1] - index.bins.offsets[b]);
}

/// How many candidates and bins that is.
inline Visited visited(const SearchIndex& index, std::span<const RankedBin> chosen) {
  std::size_t candidates = 0;
  for (const RankedBin& ranked : chosen) candidates += rowsOf(index, ranked.bin);
  return {static_cast<std::int32_t>(candidates), static_cast<std::int32_t>(chosen.size())};
}

/// Asks for a row ahead of its use.
inline void prefetchRow(const StoredVectors& vectors, std::size_t row) {
  const std::size_t bytes = vectors.columns * (vectors.floats != nullptr ? sizeof(float) : 1);
  const char* first = vectors.floats != nullptr
                          ? reinterpret_cast<const char*>(vectors.floats + row * vectors.columns)
                          : reinterpret_cast<const char*>(vectors.bytes + row * vectors.columns);
  for (std::size_t byte = 0; byte < bytes; byte += lineBytes) __builtin_prefetch(first + byte, 0, 3);
}

/// What ranking the candidates of a query needs.
struct Ranking {
  std::vector<float> distances;  // rough ones, and their keys
  std::vector<std::int32_t> keys;
  std::vector<std::uint32_t> finalists;
  std::vector<std::pair<double, Id>> ranked;
};

class SearchScratch {
 public:
  std::vector<float> unit;  // the query as the scan and the router want it
  AlignedBuffer<std::byte> prepared;
  std::unique_ptr<Router::Scratch, void (*)(Router::Scratch*)> routing = Router::makeScratch();
  std::array<std::vector<RankedBin>, queriesPerTask> chosen;
  Shortlist nearest;
  Ranking ranking;
};

/// Offers the vectors of some bins to the list.
inline void scanBins(const Scan& scan, const void* prepared, std::span<const RankedBin> chosen,
                     Shortlist& nearest) {
  for (std::size_t i = 0; i + 1 < chosen.size(); ++i) {
    scan.scanAhead(prepared, chosen[i].bin, chosen[i + 1].bin, nearest);
  }
  scan.scan(prepared, chosen.back().bin, nearest);
}

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

/// Calls body(query, bins chosen) for queries [begin, end), routed together.
template <typename Body>
void forEachRouted(const SearchIndex& index, const Matrix& queries, std::size_t begin, std::size_t end,
                   const BinBudget& budget, const Body& body) {
  SearchScratch& scratch = threadScratch();
  for (std::size_t first = begin; first < end; first += queriesPerTask) {
    const std::size_t count = std::min(queriesPerTask, end - first);
    index.router.chooseBins(queries.row(first), count, budget, *scratch.routing,
                            {scratch.chosen.data(), count});
    for (std::size_t i = 0; i < count; ++i) body(first + i, std::span<const RankedBin>(scratch.chosen[i]));
  }
}

}  // namespace neural_lsh::cpu
