// A search for exact neighbors as it was asked for, and how its distances are computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "interface.h"
#include "matrix-products.h"

namespace neural_lsh::cuda {

/// What is searched, and how it is multiplied.
struct Problem {
  NlshMatrix points, queries;  // the same for a graph
  bool isGraph;
  NlshMetric metric;
  NlshPrecision precision;
  Operand operand;
  float unit;  // what operands are multiplied by
  std::vector<float> shift;
  std::size_t k;
  std::uint32_t kept;
  std::int32_t* ids;
  float* distances;

  std::size_t available() const { return points.rows - (isGraph ? 1 : 0); }
  /// Of a product of operands.
  double scale() const { return metric == NLSH_EUCLIDEAN ? -2 : -1; }
  /// The same of operands that were multiplied by `multiplier`.
  double productScale(double multiplier) const { return scale() / (multiplier * multiplier); }
};

/// The queries from `first` on, `count` of them, with their results.
Problem passOf(const Problem& problem, std::size_t first, std::size_t count);

Problem problemOf(const NlshNeighborsRequest& request);

}  // namespace neural_lsh::cuda
