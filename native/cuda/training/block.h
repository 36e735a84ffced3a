// The threads of a block as lanes (lanes.h). Sums have the same order each time.
#pragma once

#include <cstdint>

#include "../lanes.h"

namespace neural_lsh::cuda {

struct Block {
  static constexpr std::uint32_t count = 256;

  __device__ std::uint32_t index() const { return threadIdx.x; }
  template <typename T>
  __device__ T sum(T value) const {
    constexpr std::uint32_t warps = count / Warp::count;
    __shared__ T parts[warps];
    const T part = Warp().sum(value);
    if (threadIdx.x % Warp::count == 0) parts[threadIdx.x / Warp::count] = part;
    __syncthreads();
    T whole = parts[0];
    for (std::uint32_t warp = 1; warp < warps; ++warp) whole += parts[warp];
    __syncthreads();  // before the next call writes there
    return whole;
  }
};

}  // namespace neural_lsh::cuda
