// The smallest of many values, selected by the lanes of a warp: what is small enough waits in memory, and
// when that is full it is sorted together with what was selected before.
#pragma once

#include <cstdint>

#include "lanes.h"

namespace neural_lsh::cuda {

NLSH_BOTH constexpr std::uint32_t powerOfTwoFrom(std::uint32_t count) {
  std::uint32_t size = 1;
  while (size < count) size *= 2;
  return size;
}

/// Memory for a selection of `kept` values: a power of two with room for as many that wait as there are lanes
/// and, so that sorting is rare, for half as many as are kept.
NLSH_BOTH constexpr std::uint32_t selectionSize(std::uint32_t kept) {
  const std::uint32_t waiting = kept / 2 > 32 ? kept / 2 : 32;
  return powerOfTwoFrom(kept + waiting);
}

/// Batcher's bitonic network over a power of two of values.
template <typename Lanes, typename T>
NLSH_BOTH void sortAscending(const Lanes& lanes, T* values, std::uint32_t size) {
  for (std::uint32_t run = 2; run <= size; run *= 2) {
    for (std::uint32_t step = run / 2; step > 0; step /= 2) {
      lanes.synchronize();
      for (std::uint32_t pair = lanes.index(); pair < size / 2; pair += Lanes::count) {
        const std::uint32_t low = 2 * pair - (pair & (step - 1)), high = low + step;
        const T a = values[low], b = values[high];
        if (((low & run) == 0) ? b < a : a < b) {
          values[low] = b;
          values[high] = a;
        }
      }
    }
  }
  lanes.synchronize();
}

/// The `kept` smallest of all values that are offered. Equals count as often as they are offered.
template <typename Lanes, typename T>
class Selection {
 public:
  /// `values`: selectionSize(kept) of them. `none` comes after all that is offered.
  NLSH_BOTH Selection(const Lanes& lanes, T* values, std::uint32_t kept, std::uint32_t size, T none)
      : lanes_(lanes), values_(values), kept_(kept), room_(size - kept), none_(none), limit_(none) {
    for (std::uint32_t i = lanes_.index(); i < kept_; i += Lanes::count) values_[i] = none_;
    lanes_.synchronize();
  }

  /// Instead of nothing, what an earlier selection kept.
  NLSH_BOTH void resume(const T* kept) {
    for (std::uint32_t i = lanes_.index(); i < kept_; i += Lanes::count) values_[i] = kept[i];
    lanes_.synchronize();
    limit_ = values_[kept_ - 1];
  }

  /// Nothing that is not smaller can enter any more.
  NLSH_BOTH const T& limit() const { return limit_; }

  /// Each lane its value, or none.
  NLSH_BOTH void offer(bool isOffered, const T& value) {
    bool enters = isOffered && value < limit_;
    Vote vote = lanes_.vote(enters);
    if (vote.total == 0) return;
    if (waiting_ + vote.total > room_) {
      settle();
      enters = isOffered && value < limit_;
      vote = lanes_.vote(enters);
    }
    if (enters) values_[kept_ + waiting_ + vote.before] = value;
    waiting_ += vote.total;
  }

  /// Afterwards the first `kept` values are what was selected, in ascending order, then `none`.
  NLSH_BOTH void settle() {
    if (waiting_ == 0) return;
    for (std::uint32_t i = waiting_ + lanes_.index(); i < room_; i += Lanes::count)
      values_[kept_ + i] = none_;
    sortAscending(lanes_, values_, kept_ + room_);
    limit_ = values_[kept_ - 1];
    waiting_ = 0;
    lanes_.synchronize();
  }

 private:
  Lanes lanes_;
  T* values_;
  std::uint32_t kept_, room_, waiting_ = 0;
  T none_, limit_;
};

/// Selects from values that are there already: valueAt(i) for i < count.
template <typename Lanes, typename T, typename ValueAt>
NLSH_BOTH void selectFrom(Selection<Lanes, T>& selection, const Lanes& lanes, std::uint32_t count, T none,
                          const ValueAt& valueAt) {
  for (std::uint32_t first = 0; first < count; first += Lanes::count) {
    const std::uint32_t i = first + lanes.index();
    selection.offer(i < count, i < count ? valueAt(i) : none);
  }
  selection.settle();
}

}  // namespace neural_lsh::cuda
