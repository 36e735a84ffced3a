// Two levels for many bins: the last layer's rows in groups of similar ones, each with a representative, so
// that only the groups that a query's representatives point to need be multiplied.
#pragma once

#include <cstddef>
#include <vector>

#include "../../core/types.h"
#include "quantized-network.h"

namespace neural_lsh::cpu {

struct BinGroups {
  std::vector<Id> bins;             // group by group, each filled up with -1 to a multiple of 16
  std::vector<std::size_t> blocks;  // group g holds bins 16 blocks[g] .. 16 blocks[g + 1]
  DenseLayer representatives;       // logits of the groups: log(size) + their members' mean row and bias
};

/// About sqrt(outputs) groups by k-means (Lloyd's iterations from a fixed seed) over the layer's rows of
/// weights.
BinGroups groupBins(const DenseLayer& last);

/// How much larger the share of the groups that are not looked at is than their representatives say: in a
/// group that is far away the few best members stand out from the mean. Measured on k-means' centroids and on
/// trained networks over SIFT: 3 to 4.
inline constexpr double groupsUnderestimated = 4;

}  // namespace neural_lsh::cpu
