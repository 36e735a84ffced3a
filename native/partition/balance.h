// Moves single nodes between bins: to keep the promise about their size where KaHIP does not, and to lower
// the cut.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh {

/// Number of nodes in each bin; labels in [0, bins).
std::vector<std::size_t> binSizes(std::span<const Id> labels, std::size_t bins);

/// Largest bin / mean bin.
double balanceOf(std::span<const Id> labels, std::size_t bins);

/// Moves nodes out of every bin with more than `bound` of them, those first whose move adds least to the edge
/// cut, each to the bin with room that it has most edge weight to. bins * bound >= nodes. Changes nothing in
/// a partition that keeps the bound.
void enforceBound(const Graph& graph, std::size_t bins, std::size_t bound, std::span<Id> labels);

/// Moves nodes, one by one, to the bin with room that they have most edge weight to, as long as that lowers
/// the cut noticeably (Fiduccia & Mattheyses 1982, without their hill climbing). Bins stay at or below the
/// bound.
void refine(const Graph& graph, std::size_t bins, std::size_t bound, std::span<Id> labels, const Job& job);

}  // namespace neural_lsh
