// Which bins of a query are read.
#pragma once

#include <cstddef>
#include <span>

#include "../core/types.h"

namespace neural_lsh::cpu {

/// The most probable bins: a fixed number of them (probes > 0), or as many as it takes for their
/// probabilities to add up to `mass` (> 0), or else those of at least `probability`, until they hold
/// `candidates` rows.
struct Probing {
  std::size_t probes = 0;
  double mass = 0;
  double probability = 0;
  std::size_t candidates = 0;
};

/// Bin b holds rows offsets[b] .. offsets[b + 1]; whatever the probing says, bins are read until they hold
/// `candidates` rows, or all bins are.
struct BinBudget {
  Probing probing;
  std::span<const Id> offsets;
  std::size_t candidates = 0;
};

struct RankedBin {
  Id bin;
  float probability;
};

}  // namespace neural_lsh::cpu
