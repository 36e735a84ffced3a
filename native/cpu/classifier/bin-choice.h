// Which bins are read: the most probable first, as many as the budget asks for. What a choice costs beside
// one pass over the logits depends on how many bins are taken, not on how many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "../probing.h"

namespace neural_lsh::cpu {

/// Its memory is kept from choice to choice.
class BinChoice {
 public:
  /// logits[i] is the bin bins[i]'s, or nobody's where that is negative; as many as a multiple of 16. Numbers
  /// that are not finite count as the least or largest that are. `others`: by how much bins that are not
  /// among these add to the softmax's sum, as a multiple of what these do. Overwrites `chosen` and returns
  /// whether the budget is used up; if not, all of these bins are chosen.
  bool choose(std::span<float> logits, std::span<const Id> bins, double others, const BinBudget& budget,
              std::vector<RankedBin>& chosen);

 private:
  struct Ranked {
    float value;   // the logit minus the largest
    float weight;  // exp(value)
    Id bin;
    friend bool operator<(const Ranked& a, const Ranked& b) {
      return a.value > b.value || (a.value == b.value && a.bin < b.bin);
    }
  };
  class Taker;

  /// Finds the largest logit and those that count beside it: their values, weights and positions, and the sum
  /// of their weights.
  void weigh(std::span<float> logits);
  /// The next slice: those of these values that are > bottom and <= top. Returns how many.
  std::size_t selectSlice(float bottom, float top);
  /// Puts them in order, as far as they are taken, and returns whether that was enough.
  bool takeSlice(std::size_t count, std::span<const Id> bins, Taker& taker);

  float largest_, lowest_, sum_;
  std::size_t high_;  // values > lowest_
  AlignedBuffer<float> values_, weights_, sliceValues_;
  AlignedBuffer<std::int32_t> positions_, slicePositions_, ranks_;
  std::vector<Ranked> slice_;
};

}  // namespace neural_lsh::cpu
