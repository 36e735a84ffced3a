// Cross-polytope hashing (Andoni, Indyk, Laarhoven, Razenshteyn & Schmidt, NIPS 2015): a row's bin is the
// vertex +-e_i that is nearest to it after a pseudo-random rotation, or one such vertex of each of several.
#pragma once

#include <cstdint>

#include "projections.h"

namespace neural_lsh::cpu {

/// `dimensions` has those of each polytope, at most the power of two from rows.columns on. A polytope's
/// projections are the first ones of three rounds of random signs and a Walsh-Hadamard transform, of the row
/// filled up with zeros to that power of two. Vertex 2 i is e_i, 2 i + 1 is -e_i, of equally near ones it is
/// the first; the last polytope's vertex changes fastest from bin to bin. The rows are used as they are: only
/// their directions count.
void crossPolytopes(const Matrix& rows, std::span<const std::size_t> dimensions, std::uint64_t seed,
                    const ProjectionPartition& result, const Job& job);

}  // namespace neural_lsh::cpu
