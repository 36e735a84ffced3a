// The lanes of a warp as threads of the host that wait for each other where a warp does: what the kernels do
// with their lanes can be tried without a device, and a sanitizer sees a missing synchronization.
#pragma once

#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "../../../native/cuda/lanes.h"

namespace neural_lsh::cuda {

class ThreadLanes {
 public:
  static constexpr std::uint32_t count = 4;

  struct Shared {
    std::barrier<> barrier{count};
    alignas(16) std::byte slots[count][16];
  };

  ThreadLanes(Shared& shared, std::uint32_t index) : shared_(&shared), index_(index) {}

  std::uint32_t index() const { return index_; }
  void synchronize() const { shared_->barrier.arrive_and_wait(); }
  Vote vote(bool yes) const {
    Vote vote{0, 0};
    exchange(yes, [&](std::uint32_t lane, bool other) {
      vote.total += other ? 1 : 0;
      vote.before += other && lane < index_ ? 1 : 0;
    });
    return vote;
  }
  template <typename T>
  T sum(T value) const {
    T total{};
    exchange(value, [&](std::uint32_t, T other) { total += other; });
    return total;
  }
  template <typename T>
  T largest(T value) const {
    exchange(value, [&](std::uint32_t, T other) { value = other > value ? other : value; });
    return value;
  }
  template <typename T>
  T first(T value) const {
    T found = value;
    exchange(value, [&](std::uint32_t lane, T other) { found = lane == 0 ? other : found; });
    return found;
  }

 private:
  template <typename T, typename Body>
  void exchange(T value, const Body& body) const {
    static_assert(sizeof(T) <= sizeof(shared_->slots[0]));
    std::memcpy(shared_->slots[index_], &value, sizeof(T));
    synchronize();
    T others[count];
    for (std::uint32_t lane = 0; lane < count; ++lane) std::memcpy(&others[lane], shared_->slots[lane], sizeof(T));
    synchronize();
    for (std::uint32_t lane = 0; lane < count; ++lane) body(lane, others[lane]);
  }

  Shared* shared_;
  std::uint32_t index_;
};

/// body(lanes) on all lanes.
template <typename Body>
void onLanes(const Body& body) {
  ThreadLanes::Shared shared;
  std::vector<std::jthread> threads;
  for (std::uint32_t i = 0; i < ThreadLanes::count; ++i)
    threads.emplace_back([&shared, &body, i] { body(ThreadLanes(shared, i)); });
}

}  // namespace neural_lsh::cuda
