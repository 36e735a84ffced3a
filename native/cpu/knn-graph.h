// Exact nearest neighbors by blocked matrix products: of every point among the others (the k-NN graph), and
// of queries among points (ground truth).
#pragma once

#include <span>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

/// For each point its k nearest others, nearest first, ties by smaller id: ids and distances are points.rows
/// x k. Only half of the n^2 products are computed. The result equals brute force in double precision: what
/// the float tiles select is ranked again exactly, with an error bound that says when a row must be searched
/// again; Euclidean distances of integers in [0, 255] come exact from products of bytes. Rows must be finite
/// (unit rows for cosine); 1 <= k < points.rows.
void exactKnnGraph(const Matrix& points, Metric metric, std::size_t k, std::span<Id> ids,
                   std::span<float> distances, const Job& job);

/// For each query its k nearest points, likewise; ids and distances are queries.rows x k, 1 <= k <=
/// points.rows.
void exactSearch(const Matrix& points, const Matrix& queries, Metric metric, std::size_t k, std::span<Id> ids,
                 std::span<float> distances, const Job& job);

/// The distance of a pair, every operation in double.
double exactDistance(Metric metric, const float* a, const float* b, std::size_t columns);

}  // namespace neural_lsh::cpu
