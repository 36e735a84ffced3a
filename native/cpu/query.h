// Queries: route to the bins that the classifier ranks first, scan them, rank the nearest exactly
// (multi-probe search; Dong et al. 2020, sec. 3).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"
#include "classifier/router.h"
#include "probing.h"
#include "scan/scan.h"

namespace neural_lsh::cpu {

/// What answering a query needs; the arrays belong to the caller.
struct SearchIndex {
  StoredBins bins;
  Router router;
  std::unique_ptr<Scan> scan;

  std::size_t rows() const { return bins.vectors.rows; }
  std::size_t dimensions() const { return bins.vectors.columns; }
  std::size_t binCount() const { return bins.offsets.size() - 1; }
};

/// How a query is answered: k results (1 <= k <= n) from the bins that the probing chooses; where the scan is
/// not exact, its `reranked` nearest (at least k; 0: as many as the scan finds enough) are compared again
/// exactly.
struct SearchRequest {
  std::size_t k = 10;
  Probing probing;
  std::size_t reranked = 0;
};

/// Where the answers go: one entry (k for ids and distances) a query.
struct SearchOutput {
  std::span<Id> ids;
  std::span<float> distances;
  std::span<std::int32_t> candidates;
  std::span<std::int32_t> probes;
};

/// Throws Error ERR_NLSH_ARGUMENT unless offsets rise from 0 to n, ids are a permutation and all numbers are
/// finite.
void checkBins(const StoredBins& bins, const Job& job);
void checkCodes(const FourBitCodes& codes, const Job& job);
void checkClassifier(const Classifier& classifier, const Job& job);

/// What a thread needs to answer one query after the other without allocating.
class SearchScratch;

/// Answers one query (as the user gave it) on this thread; `argument` is its name in errors
/// (ERR_NLSH_ARGUMENT: not finite, no direction). Distances are exact: computed in double, ties by smaller
/// id. ids and distances: k.
struct Visited {
  std::int32_t candidates;
  std::int32_t probes;
};
Visited searchOne(const SearchIndex& index, const float* query, const SearchRequest& request,
                  const char* argument, std::span<Id> ids, std::span<float> distances,
                  SearchScratch& scratch);

/// Answers many queries (rows x dimensions): bins are read once for all queries that ask for them. The
/// answers are those of searchOne.
void searchBatch(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
                 const char* argument, const SearchOutput& output, const Job& job);

/// Answers queries one by one on this thread as searchOne does and writes the seconds that each took.
void searchTimed(const SearchIndex& index, const Matrix& queries, const SearchRequest& request,
                 const SearchOutput& output, std::span<double> seconds, const Job& job);

/// All candidates within a radius, in the metric's distance, of those in the bins that the probing chooses:
/// as many as hold at least one.
struct RadiusRequest {
  double radius = 0;
  Probing probing;
};

/// What was found, query by query: nearest first, ties by smaller id.
struct RadiusMatches {
  struct Row {
    std::vector<Id> ids;
    std::vector<float> distances;
  };
  std::vector<Row> rows;
  std::size_t total = 0;
};

/// Finds for each query (rows x dimensions) the candidates whose distance, as searchOne writes it, is at most
/// the radius, whatever the scan. candidates and probes: one entry a query. Throws Error ERR_NLSH_ARGUMENT
/// also where all that is found is more than an Id can count.
RadiusMatches searchRadius(const SearchIndex& index, const Matrix& queries, const RadiusRequest& request,
                           const char* argument, std::span<std::int32_t> candidates,
                           std::span<std::int32_t> probes, const Job& job);

/// The matches in one piece: those of query i at offsets[i] .. offsets[i + 1]. offsets: queries + 1; ids and
/// distances: total.
void gatherMatches(const RadiusMatches& matches, std::span<Id> offsets, std::span<Id> ids,
                   std::span<float> distances, const Job& job);

/// The `probes` most probable bins of each query with their probabilities, rows x probes, most probable
/// first.
void route(const SearchIndex& index, const Matrix& queries, std::size_t probes, const char* argument,
           std::span<Id> bins, std::span<float> probabilities, const Job& job);

/// A scratch of this thread's own, made when it is first asked for.
SearchScratch& threadScratch();

}  // namespace neural_lsh::cpu
