// The temperature of a classifier that no training has calibrated: one that was made of k-means' centroids.
#pragma once

#include <span>

#include "../../core/job.h"
#include "../../core/types.h"
#include "trainer.h"

namespace neural_lsh::cpu {

/// Fits the temperature of classifier (whose own is not looked at) to where the neighbors of queries are:
/// each query's target is the histogram of neighborBins[i * k] .. [(i + 1) * k - 1]. Of the queries as many
/// count as fit into 2^24 logits. Throws Error ERR_NLSH_ARGUMENT when a bin is out of range.
Calibration calibrateToNeighbors(const Classifier& classifier, const Matrix& queries,
                                 std::span<const Id> neighborBins, const Job& job);

}  // namespace neural_lsh::cpu
