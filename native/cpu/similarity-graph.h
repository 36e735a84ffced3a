// From a k-NN graph to the weighted, symmetric similarity graph that is partitioned (Dong et al. 2020, sec.
// 3).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

struct SimilarityGraph {
  std::vector<std::int32_t> offsets;  // n + 1
  std::vector<std::int32_t> targets;  // ascending for each node
  std::vector<std::int32_t> weights;  // 2 where each is the other's neighbor, 1 where only one is
};

/// neighbors: n x k row numbers, self excluded, each at most once a row. Throws Error ERR_NLSH_ARGUMENT when
/// a neighbor is out of range, is the row itself or stands twice, or when the directed entries exceed 2^31
/// - 1.
SimilarityGraph buildSimilarityGraph(std::span<const Id> neighbors, std::size_t rows, std::size_t k,
                                     const Job& job);

}  // namespace neural_lsh::cpu
