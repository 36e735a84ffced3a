// Which bins are read: the most probable first, as many as the probing asks for; the rules are those of the
// CPU's bin-choice.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "alignment.h"
#include "keys.h"
#include "selection.h"

namespace neural_lsh::cuda {

/// Exactly one of probes, mass and probability is above 0. Whatever they say, bins are read until they hold
/// `least` rows, or all bins are.
struct Probing {
  std::size_t probes;
  double mass, probability;
  std::size_t candidates, least;
};

/// A bin that is read for a query: where its keys go, counted from the query's first.
struct ChosenBin {
  Id bin;
  std::uint32_t firstKey;
};

/// What is read for a query: of each bin at most `keysPerBin` rows have keys.
struct Visited {
  std::uint32_t bins, rows, keys;
};

/// Bins that are put in order at once.
inline constexpr std::uint32_t rankedBins = 128;

/// A network's score; numbers that are not finite count as the least or largest that are.
NLSH_BOTH inline float cleanScore(float score) {
  if (score != score) return -FLT_MAX;
  return score > FLT_MAX ? FLT_MAX : score < -FLT_MAX ? -FLT_MAX : score;
}

/// Takes bins, the most probable first, until that is enough.
class BinTaker {
 public:
  NLSH_BOTH explicit BinTaker(const Probing& probing) : probing_(probing) {}

  NLSH_BOTH bool enough() const {
    if (rows_ < probing_.least) return false;
    if (probing_.probes > 0) return bins_ >= probing_.probes;
    if (probing_.mass > 0) return mass_ >= probing_.mass;
    return rows_ >= probing_.candidates;
  }

  /// Whether this bin is still to be read.
  NLSH_BOTH bool take(float probability, std::size_t rows) {
    if (enough() || (probability < probing_.probability && rows_ >= probing_.least)) return false;
    ++bins_;
    mass_ += static_cast<double>(probability);
    rows_ += rows;
    return true;
  }

  NLSH_BOTH std::size_t bins() const { return bins_; }
  NLSH_BOTH std::size_t rows() const { return rows_; }

 private:
  Probing probing_;
  std::size_t bins_ = 0, rows_ = 0;
  double mass_ = 0;
};

/// scores[i] * inverseTemperature is what the softmax of bin i is taken of; bin b holds rows offsets[b] ..
/// offsets[b + 1]. workspace: selectionSize(rankedBins). chosen: room for all bins, in the order of their
/// probabilities (equal ones: the smaller number first).
template <typename Lanes>
NLSH_BOTH Visited chooseBins(const Lanes& lanes, const float* scores, std::uint32_t bins,
                             float inverseTemperature, const Id* offsets, const Probing& probing,
                             std::uint32_t keysPerBin, Key* workspace, ChosenBin* chosen) {
  float largest = -FLT_MAX;
  for (std::uint32_t i = lanes.index(); i < bins; i += Lanes::count)
    largest = fmaxf(largest, cleanScore(scores[i] * inverseTemperature));
  largest = lanes.largest(largest);
  const auto value = [=](std::uint32_t i) { return cleanScore(scores[i] * inverseTemperature) - largest; };

  // What is lower adds less than 1e-5 to the sum.
  const float lowest = -12 - logf(static_cast<float>(roundUp(bins, 16)));
  double total = 0;
  for (std::uint32_t i = lanes.index(); i < bins; i += Lanes::count) {
    if (value(i) > lowest) total += static_cast<double>(expf(value(i)));
  }
  total = lanes.sum(total);

  BinTaker taker(probing);
  Visited visited{0, 0, 0};
  for (Key next = 0;;) {
    Selection<Lanes, Key> selection(lanes, workspace, rankedBins, selectionSize(rankedBins), noKey);
    selectFrom(selection, lanes, bins, noKey, [=](std::uint32_t i) {
      const Key key = static_cast<Key>(~orderedBits(value(i))) << 32 | i;
      return key < next ? noKey : key;
    });
    // All lanes count; one writes.
    for (std::uint32_t i = 0; i < rankedBins; ++i) {
      const Key key = workspace[i];
      if (key == noKey) return visited;
      const auto bin = static_cast<std::uint32_t>(keyId(key));
      const float below = fromOrderedBits<float>(~static_cast<std::uint32_t>(key >> 32));
      const float weight = below > lowest ? expf(below) : static_cast<float>(exp(static_cast<double>(below)));
      const auto rows = static_cast<std::uint32_t>(offsets[bin + 1] - offsets[bin]);
      if (!taker.take(static_cast<float>(static_cast<double>(weight) / total), rows)) return visited;
      if (lanes.index() == 0) chosen[visited.bins] = {static_cast<Id>(bin), visited.keys};
      ++visited.bins;
      visited.rows += rows;
      visited.keys += rows < keysPerBin ? rows : keysPerBin;
    }
    next = workspace[rankedBins - 1] + 1;
    lanes.synchronize();
  }
}

}  // namespace neural_lsh::cuda
