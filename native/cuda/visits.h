// Queries grouped by the bins that they visit.
#pragma once

#include <cstdint>

#include "alignment.h"
#include "qualifiers.h"

namespace neural_lsh::cuda {

/// A query that visits a bin, and where the keys that it finds there go.
struct Visit {
  std::uint32_t query, firstKey;
};

/// Queries that are compared with a bin together, and the rows that they are compared with at once.
inline constexpr std::uint32_t queriesTogether = 32, rowsTogether = 64;

NLSH_BOTH inline std::uint32_t groupsOf(std::uint32_t visits) {
  return static_cast<std::uint32_t>(divideUp(visits, queriesTogether));
}

/// Which bin a group is of: starts[b] is the first of bin b (starts rise; bins without a visit have no
/// group).
NLSH_BOTH inline std::uint32_t binOfGroup(const std::uint32_t* starts, std::uint32_t bins,
                                          std::uint32_t group) {
  std::uint32_t low = 0, high = bins;  // starts[low] <= group < starts[high]
  while (high - low > 1) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (starts[middle] <= group) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace neural_lsh::cuda
