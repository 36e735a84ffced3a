// Threads that work on one thing together: the 32 of a warp, or the only one of a test on the host. What is
// written for lanes is called by all of them at once.
#pragma once

#include <cstdint>

#include "qualifiers.h"

namespace neural_lsh::cuda {

/// Of the lanes that say yes: how many come before this one, and how many they are.
struct Vote {
  std::uint32_t before, total;
};

struct OneLane {
  static constexpr std::uint32_t count = 1;
  NLSH_BOTH std::uint32_t index() const { return 0; }
  NLSH_BOTH void synchronize() const {}
  NLSH_BOTH Vote vote(bool yes) const { return {0, yes ? 1U : 0U}; }
  template <typename T>
  NLSH_BOTH T sum(T value) const {
    return value;
  }
  template <typename T>
  NLSH_BOTH T largest(T value) const {
    return value;
  }
  /// The first lane's.
  template <typename T>
  NLSH_BOTH T first(T value) const {
    return value;
  }
};

#ifdef __CUDACC__

struct Warp {
  static constexpr std::uint32_t count = 32;
  static constexpr unsigned all = 0xFFFFFFFFU;

  __device__ std::uint32_t index() const { return threadIdx.x % count; }
  /// What a lane wrote before, all read after.
  __device__ void synchronize() const { __syncwarp(); }
  __device__ Vote vote(bool yes) const {
    const unsigned votes = __ballot_sync(all, yes);
    const unsigned before = votes & ((1U << index()) - 1);
    return {static_cast<std::uint32_t>(__popc(before)), static_cast<std::uint32_t>(__popc(votes))};
  }
  template <typename T>
  __device__ T sum(T value) const {
    for (unsigned step = count / 2; step > 0; step /= 2) value += __shfl_xor_sync(all, value, step);
    return value;
  }
  template <typename T>
  __device__ T largest(T value) const {
    for (unsigned step = count / 2; step > 0; step /= 2) {
      const T other = __shfl_xor_sync(all, value, step);
      value = other > value ? other : value;
    }
    return value;
  }
  template <typename T>
  __device__ T first(T value) const {
    return __shfl_sync(all, value, 0);
  }
};

#endif

}  // namespace neural_lsh::cuda
