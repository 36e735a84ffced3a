// The nearest candidates of one query so far.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "../../core/types.h"

namespace neural_lsh::cpu {

struct Candidate {
  float distance;
  Id id;              // the original row number: breaks ties
  std::uint32_t row;  // in the bins' order
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  }
};

/// The `capacity` smallest candidates by (distance, id) of all that were offered, whatever their order. A
/// short list is kept sorted; a long one is filled up to twice its capacity and then cut to the smaller half,
/// which costs a constant time a candidate.
class Shortlist {
 public:
  void reset(std::size_t capacity) {
    capacity_ = capacity;
    threshold_ = std::numeric_limits<float>::infinity();
    candidates_.clear();
    candidates_.reserve(capacity <= longestSorted ? capacity : 2 * capacity);
  }

  std::size_t capacity() const { return capacity_; }
  /// Nothing farther than this can enter any more; something equally far can.
  float threshold() const { return threshold_; }
  /// Lets nothing in that is farther than this. For lists that are merged in the end: what one of them knows
  /// not to be among the nearest need not be looked at by the others.
  void tighten(float threshold) { threshold_ = std::min(threshold_, threshold); }

  void offer(const Candidate& candidate) {
    if (candidate.distance > threshold_) return;
    if (capacity_ <= longestSorted) {
      insert(candidate);
    } else {
      candidates_.push_back(candidate);
      if (candidates_.size() == 2 * capacity_) cut();
    }
  }

  /// In no particular order.
  std::span<const Candidate> candidates() {
    if (candidates_.size() > capacity_) cut();
    return candidates_;
  }

 private:
  static constexpr std::size_t longestSorted = 32;

  void insert(const Candidate& candidate) {
    if (candidates_.size() < capacity_) {
      candidates_.push_back(candidate);
    } else if (!(candidate < candidates_.back())) {
      return;
    }
    std::size_t place = candidates_.size() - 1;
    for (; place > 0 && candidate < candidates_[place - 1]; --place)
      candidates_[place] = candidates_[place - 1];
    candidates_[place] = candidate;
    if (candidates_.size() == capacity_) tighten(candidates_.back().distance);
  }

  void cut() {
    const auto last = candidates_.begin() + static_cast<std::ptrdiff_t>(capacity_) - 1;
    std::nth_element(candidates_.begin(), last, candidates_.end());
    tighten(last->distance);
    candidates_.resize(capacity_);
  }

  std::size_t capacity_ = 0;
  float threshold_ = std::numeric_limits<float>::infinity();
  std::vector<Candidate> candidates_;
};

}  // namespace neural_lsh::cpu
