// For each of many rows, the few nearest candidates seen so far: what the tiles of distances are selected
// into.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <type_traits>
#include <vector>

#include "../core/types.h"

namespace neural_lsh::cpu {

/// A distance and an id in one integer that orders by distance, then by id.
using NearestKey = std::uint64_t;

inline NearestKey nearestKey(float distance, Id id) {
  const auto bits = std::bit_cast<std::uint32_t>(distance);
  const std::uint32_t ordered = bits & 0x80000000U ? ~bits : bits | 0x80000000U;
  return static_cast<NearestKey>(ordered) << 32 | static_cast<std::uint32_t>(id);
}

/// The same for distances that are whole numbers, at least 0.
inline NearestKey nearestKey(std::int32_t distance, Id id) {
  return static_cast<NearestKey>(distance) << 32 | static_cast<std::uint32_t>(id);
}

template <typename Distance = float>
Distance keyDistance(NearestKey key) {
  const auto ordered = static_cast<std::uint32_t>(key >> 32);
  if constexpr (std::is_integral_v<Distance>) {
    return static_cast<Distance>(ordered);
  } else {
    return std::bit_cast<float>(ordered & 0x80000000U ? ordered & 0x7FFFFFFFU : ~ordered);
  }
}

inline Id keyId(NearestKey key) {
  return static_cast<Id>(key & 0xFFFFFFFFU);
}

/// rows lists of at most `capacity` keys, ascending; guarded by one lock per block of rows. What ends up in a
/// list is the set of its smallest keys whatever the order of insertion, so threads need not agree on one.
template <typename Distance = float>
class NearestLists {
 public:
  NearestLists(std::size_t rows, std::size_t capacity, std::size_t rowsPerLock)
      : capacity_(capacity),
        rowsPerLock_(rowsPerLock),
        keys_(rows * capacity),
        counts_(rows, 0),
        thresholds_(rows, anyDistance),
        locks_(std::make_unique<std::mutex[]>(rows / rowsPerLock + 1)) {}

  /// Hold it while touching rows [row, row + rowsPerLock), row a multiple of rowsPerLock.
  std::unique_lock<std::mutex> lock(std::size_t row) { return std::unique_lock(locks_[row / rowsPerLock_]); }

  void insert(std::size_t row, Distance distance, Id id) {
    NearestKey* const keys = keys_.data() + row * capacity_;
    const NearestKey key = nearestKey(distance, id);
    std::size_t& count = counts_[row];
    if (count == capacity_ && key >= keys[count - 1]) return;
    std::size_t i = count < capacity_ ? count++ : count - 1;
    for (; i > 0 && keys[i - 1] > key; --i) keys[i] = keys[i - 1];
    keys[i] = key;
    if (count == capacity_) thresholds_[row] = keyDistance<Distance>(keys[count - 1]);
  }

  /// A distance above this cannot enter the row's list any more.
  const Distance* thresholds() const { return thresholds_.data(); }
  std::span<const NearestKey> row(std::size_t i) const { return {keys_.data() + i * capacity_, counts_[i]}; }
  std::size_t capacity() const { return capacity_; }

 private:
  static constexpr Distance anyDistance = std::numeric_limits<Distance>::has_infinity
                                              ? std::numeric_limits<Distance>::infinity()
                                              : std::numeric_limits<Distance>::max();

  std::size_t capacity_;
  std::size_t rowsPerLock_;
  std::vector<NearestKey> keys_;
  std::vector<std::size_t> counts_;
  std::vector<Distance> thresholds_;
  std::unique_ptr<std::mutex[]> locks_;
};

}  // namespace neural_lsh::cpu
