// The nearest candidates of one query so far.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "../../core/types.h"
#include "../kernels/kernels.h"

namespace neural_lsh::cpu {

/// Integers in the order of the floats, for loops that all CPUs run several at once; one is the other's
/// inverse.
inline std::int32_t orderedBits(std::int32_t bits) {
  return bits ^ ((bits >> 31) & 0x7FFFFFFF);
}
inline std::int32_t keyOf(float distance) {
  return orderedBits(std::bit_cast<std::int32_t>(distance + 0.0F));
}

/// The `capacity` smallest candidates by (distance, id) of all that were offered, whatever their order. A
/// short list is kept sorted; a long one is filled up to twice its capacity and then cut to the smaller half,
/// which costs a constant time a candidate.
class Shortlist {
 public:
  /// ids: the original number of each row; breaks ties. Nothing farther than `threshold` enters.
  void reset(std::size_t capacity, std::span<const Id> ids,
             float threshold = std::numeric_limits<float>::infinity()) {
    capacity_ = capacity;
    ids_ = ids.data();
    threshold_ = threshold;
    size_ = 0;
    const std::size_t room = capacity <= longestSorted ? capacity : 2 * capacity + keysBeyond;
    if (rows_.size() < room) {
      keys_.resize(room);
      rows_.resize(room);
    }
  }

  /// Nothing farther than this can enter any more; something equally far can.
  float threshold() const { return threshold_; }

  /// Of what is farther than this, nothing is wanted.
  void tighten(float threshold) { threshold_ = std::min(threshold_, threshold); }

  void offerAll(Shortlist& other) {
    const std::span<const std::uint32_t> rows = other.rows();
    for (std::size_t i = 0; i < rows.size(); ++i) offer(other.distance(i), rows[i]);
  }

  /// `row` in the bins' order.
  void offer(float distance, std::uint32_t row) {
    if (distance > threshold_) return;
    if (capacity_ <= longestSorted) {
      insert(keyOf(distance), row);
    } else {
      keys_[size_] = keyOf(distance);
      rows_[size_++] = row;
      if (size_ == 2 * capacity_) cut();
    }
  }

  /// One for each row; NaN is no distance and is left out.
  void offer(std::span<const float> distances, const std::uint32_t* rows) {
    if (capacity_ <= longestSorted) {
      for (std::size_t i = 0; i < distances.size(); ++i) {
        if (distances[i] <= threshold_) insert(keyOf(distances[i]), rows[i]);
      }
      return;
    }
    for (std::size_t i = 0; i < distances.size();) {
      const std::size_t count = std::min(distances.size() - i, 2 * capacity_ - size_);
      Key* const keys = keys_.data() + size_;
      std::transform(distances.begin() + static_cast<std::ptrdiff_t>(i),
                     distances.begin() + static_cast<std::ptrdiff_t>(i + count), keys, keyOf);
      size_ += kernels().keepUpTo(keyOf(threshold_), keys, rows + i, count, keys, rows_.data() + size_);
      if (size_ == 2 * capacity_) cut();
      i += count;
    }
  }

  /// In no particular order.
  std::span<const std::uint32_t> rows() {
    if (size_ > capacity_) cut();
    return {rows_.data(), size_};
  }
  /// Of rows()[i].
  float distance(std::size_t i) const { return distanceOf(keys_[i]); }

 private:
  static constexpr std::size_t longestSorted = 32;

  using Key = std::int32_t;
  static float distanceOf(Key key) { return std::bit_cast<float>(orderedBits(key)); }

  bool isBefore(Key key, std::uint32_t row, std::size_t other) const {
    return key < keys_[other] || (key == keys_[other] && ids_[row] < ids_[rows_[other]]);
  }

  void insert(Key key, std::uint32_t row) {
    if (size_ < capacity_) {
      ++size_;
    } else if (!isBefore(key, row, size_ - 1)) {
      return;
    }
    std::size_t place = size_ - 1;
    for (; place > 0 && isBefore(key, row, place - 1); --place) {
      keys_[place] = keys_[place - 1];
      rows_[place] = rows_[place - 1];
    }
    keys_[place] = key;
    rows_[place] = row;
    if (size_ == capacity_) tighten(distanceOf(keys_[size_ - 1]));
  }

  void cut() {
    const Key last = kernels().boundOf(keys_.data(), size_, capacity_);
    size_ = kernels().keepUpTo(last, keys_.data(), rows_.data(), size_, keys_.data(), rows_.data());
    if (size_ > capacity_) dropEquals(last);
    tighten(distanceOf(last));
  }

  /// Of those with this key, the largest of all, only as many as there is room for: the ones with the lowest
  /// ids.
  void dropEquals(Key last) {
    std::vector<std::uint32_t> equals;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      keys_[kept] = keys_[i];
      rows_[kept] = rows_[i];
      if (keys_[i] < last) {
        ++kept;
      } else {
        equals.push_back(rows_[i]);
      }
    }
    const auto room = equals.begin() + static_cast<std::ptrdiff_t>(capacity_ - kept);
    std::nth_element(equals.begin(), room, equals.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return ids_[a] < ids_[b]; });
    std::copy(equals.begin(), room, rows_.begin() + static_cast<std::ptrdiff_t>(kept));
    std::fill(keys_.begin() + static_cast<std::ptrdiff_t>(kept),
              keys_.begin() + static_cast<std::ptrdiff_t>(capacity_), last);
    size_ = capacity_;
  }

  std::size_t capacity_ = 0, size_ = 0;
  const Id* ids_ = nullptr;
  float threshold_ = std::numeric_limits<float>::infinity();
  std::vector<Key> keys_;
  std::vector<std::uint32_t> rows_;
};

}  // namespace neural_lsh::cpu
