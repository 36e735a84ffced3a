// Balanced binary trees of hyperplanes (Bentley 1975; Sproull 1991; Dasgupta & Freund, STOC 2008): every node
// cuts its rows at a rank along a direction of its own.
#pragma once

#include <cstdint>

#include "projections.h"

namespace neural_lsh::cpu {

/// The direction along which a node's rows are cut: that of most variance, a random one, or the axis of most
/// variance.
enum class TreeDirection { principal, random, axis };

/// A node over c leaves has ceil(c / 2) of them to its left; leaf j gets floor((j + 1) n / leaves) - floor(j
/// n / leaves) of the n >= leaves rows, those that come first along a node's direction, ties by row number,
/// to its left. Projections are the nodes, in preorder, and their numbers the distances to the hyperplane,
/// which lies halfway between the two sides; a row belongs to the right where its number is above 0. The
/// principal direction is that of at most 16,384 rows, evenly spread over the node's. The result depends on
/// the seed, not on the number of threads.
void hyperplaneTree(const Matrix& rows, std::size_t leaves, TreeDirection direction, std::uint64_t seed,
                    const ProjectionPartition& result, const Job& job);

}  // namespace neural_lsh::cpu
