// What KaHIP demands of a graph and never checks.
#pragma once

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh {

/// Throws Error (ERR_NLSH_ARGUMENT, naming xadj, adjncy or adjcwgt) unless the graph is well-formed: offsets
/// from 0 to the number of targets, targets in range and ascending without repetition or self-loops, weights
/// positive with a sum that 32 bits hold, every edge in both directions with one weight. O(nodes + edges).
void checkGraph(const Graph& graph, const Job& job);

}  // namespace neural_lsh
