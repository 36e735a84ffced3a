// Iterative quantization (Gong & Lazebnik, CVPR 2011): bins are the codes of the signs of the rows' first
// principal components, turned so that they lie as near to +-1 as a rotation can bring them.
#pragma once

#include <cstdint>

#include "projections.h"

namespace neural_lsh::cpu {

struct ItqOptions {
  std::size_t bits;        // in [1, columns]
  std::size_t iterations;  // of signs and rotations
  std::uint64_t seed;      // of the first rotation
};

/// Bit i (of value 2^i) of a row's bin is 1 where its number i is above 0. `losses` has an entry an
/// iteration: the mean over the rows of |signs - numbers|^2 after it. The result does not depend on the
/// number of threads.
void iterativeQuantization(const Matrix& rows, const ItqOptions& options, const ProjectionPartition& result,
                           std::span<double> losses, const Job& job);

}  // namespace neural_lsh::cpu
