// The approximate k-NN graph, for sets whose n^2 d products would take minutes.
#pragma once

#include <cstdint>
#include <span>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

/// For each point about its k nearest others, nearest first, ties by smaller id: ids and distances are
/// points.rows x k. Every distance is exact, and every row holds k different ids, itself excluded; about one
/// in 25 is not one of the k nearest. Rows must be finite (unit rows for cosine); 1 <= k < points.rows. The
/// result depends on points, k and seed only, not on the number of threads. A few thousand points are
/// searched exactly.
///
/// Passes of all pairs inside overlapping random leaves by matrix products (PiPNN, 2026), and once most is
/// found the pairs of every point's neighbors of which one is new (the local join of NN-descent: Dong, Moses
/// & Li, WWW 2011). Whether another pass is needed is seen on a few hundred points whose neighbors are
/// searched exactly; after 16 passes, as unstructured data of many dimensions would need them, the graph
/// stays as it is.
void approximateKnnGraph(const Matrix& points, Metric metric, std::size_t k, std::uint64_t seed,
                         std::span<Id> ids, std::span<float> distances, const Job& job);

}  // namespace neural_lsh::cpu
