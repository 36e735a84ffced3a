// Queries: route to the bins that the classifier ranks first, scan them, rank the nearest exactly
// (multi-probe search; Dong et al. 2020, sec. 3).
#pragma once

#include <cstdint>
#include <span>

#include "../core/job.h"
#include "../core/types.h"
#include "classifier/classifier.h"

namespace neural_lsh::cpu {

/// What answering a query needs; the arrays belong to the caller.
struct SearchIndex {
  Metric metric;
  Matrix vectors;               // in the bins' order, unit rows for cosine
  std::span<const Id> offsets;  // bins + 1
  std::span<const Id> ids;      // original row numbers, a permutation of [0, vectors.rows)
  Router router;

  std::size_t bins() const { return offsets.size() - 1; }
};

/// A fixed number of bins (probes > 0), or as many as it takes for their probabilities to add up to `mass`.
/// In both cases further bins are read while fewer than k candidates have been seen.
struct Probing {
  std::size_t probes = 0;
  double mass = 0;
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
void checkSearchIndex(const SearchIndex& index, const Job& job);

/// Answers queries (rows x dimensions, as the user gave them); `argument` is their name in errors
/// (ERR_NLSH_ARGUMENT: not finite, no direction). 1 <= k <= n. Distances are exact: computed in double, ties
/// by smaller id.
void search(const SearchIndex& index, const Matrix& queries, std::size_t k, Probing probing,
            const char* argument, const SearchOutput& output, const Job& job);

/// The `probes` most probable bins of each query with their probabilities, rows x probes, most probable
/// first.
void route(const SearchIndex& index, const Matrix& queries, std::size_t probes, const char* argument,
           std::span<Id> bins, std::span<float> probabilities, const Job& job);

}  // namespace neural_lsh::cpu
