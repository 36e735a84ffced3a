// Exact nearest neighbors by matrix products of tiles: of queries among points, or of each point among the
// others.
#pragma once

#include "watch.h"

namespace neural_lsh::cuda {

/// The result is that of exactKnnGraph and exactSearch of the CPU: what the tiles select is ranked again in
/// double precision, and rows of which their rounding could have hidden a neighbor are searched again.
/// Squared Euclidean distances of integers in [0, 255] are exact at once: tensor cores multiply bytes faster
/// than anything else, and 32-bit integers hold the sums, whatever precision was asked for.
void findNeighbors(const NlshNeighborsRequest& request, const Watch& watch);

}  // namespace neural_lsh::cuda
