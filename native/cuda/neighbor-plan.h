// How a search for neighbors is cut so that it fits into the device's memory.
#pragma once

#include <cstddef>

#include "device.h"
#include "neighbor-problem.h"
#include "tiles.h"

namespace neural_lsh::cuda {

/// How much of a problem is on the device at once.
struct Plan {
  TileShape tile;
  std::size_t queriesPerPass, queriesPerBlock, pointsPerBlock, openRows;
};

/// For products of Value. Throws NLSH_OUT_OF_MEMORY where not even small tiles fit into `budget` bytes.
template <typename Value>
Plan makePlan(const Problem& problem, const DeviceLimits& limits, std::size_t budget);

}  // namespace neural_lsh::cuda
