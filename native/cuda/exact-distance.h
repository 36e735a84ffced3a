// Distances with every operation in double precision.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interface.h"
#include "keys.h"
#include "lanes.h"

namespace neural_lsh::cuda {

/// As exactDistance of the CPU, by the lanes of a warp.
template <typename Lanes, typename A, typename B>
NLSH_BOTH double exactDistance(const Lanes& lanes, NlshMetric metric, const A* a, const B* b,
                               std::size_t columns) {
  double sum = 0;
  if (metric == NLSH_EUCLIDEAN) {
    for (std::size_t c = lanes.index(); c < columns; c += Lanes::count) {
      const double difference = static_cast<double>(a[c]) - static_cast<double>(b[c]);
      sum += difference * difference;
    }
    return lanes.sum(sum);
  }
  for (std::size_t c = lanes.index(); c < columns; c += Lanes::count)
    sum += static_cast<double>(a[c]) * static_cast<double>(b[c]);
  sum = lanes.sum(sum);
  return metric == NLSH_COSINE ? 1 - sum : -sum;
}

}  // namespace neural_lsh::cuda
