// Principal component analysis: the directions along which rows vary most.
#pragma once

#include <cstddef>
#include <vector>

#include "../../core/job.h"
#include "../../core/random.h"
#include "../../core/types.h"

namespace neural_lsh::cpu {

struct PrincipalDirections {
  std::vector<double> mean;       // columns
  std::vector<float> directions;  // count x columns: orthogonal, unit length, that of most variance first
};

/// By subspace iteration with some directions more than are asked for (Halko, Martinsson & Tropp 2011) until
/// the variance that they explain no longer grows; count <= rows.columns. Where the rows vary in fewer
/// directions, the others are random. The result does not depend on the number of threads.
PrincipalDirections principalDirections(const Matrix& rows, std::size_t count, Random& random,
                                        const Job& job);

}  // namespace neural_lsh::cpu
