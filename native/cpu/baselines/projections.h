// Partitions by projections: what all of them are made of. Row x has the numbers weights x + biases, and by
// these its bin, without looking at any other row.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "../../core/job.h"
#include "../../core/types.h"

namespace neural_lsh::cpu {

/// Where such a partition is written.
struct ProjectionPartition {
  std::span<Id> labels;      // of each row its bin
  std::span<float> weights;  // projections x columns
  std::span<float> biases;   // projections
};

/// Calls visit(row, numbers) once for each row, from several threads.
void forEachProjected(const Matrix& rows, std::span<const float> weights, std::span<const float> biases,
                      const Job& job, const std::function<void(std::size_t, std::span<const float>)>& visit);

}  // namespace neural_lsh::cpu
