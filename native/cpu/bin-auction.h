// Rows assigned to bins that have only so much room each.
#pragma once

#include <cstddef>
#include <span>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

/// Assigns each row to a near centroid so that no bin holds more than `capacity` rows (bins * capacity >=
/// rows) and the sum of squared distances is hardly larger than it must be. A bin with too many rows raises
/// its price until just as many as it can hold still prefer it (Bertsekas' auction, 1979): where the prices
/// come to rest no assignment is better. What is left after many rounds, or has no other centroid among its
/// nearest, goes to the nearest bin with room. The result does not depend on the number of threads.
void assignWithinCapacity(const Matrix& points, const Matrix& centroids, std::size_t capacity,
                          std::span<Id> labels, const Job& job);

}  // namespace neural_lsh::cpu
