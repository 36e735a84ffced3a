// Memory for each warp of a kernel, as much as it needs: shared where that is enough, else of the device.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "alignment.h"
#include "device.h"

namespace neural_lsh::cuda {

/// A kernel whose warps take turns at `targets` things.
struct WarpGrid {
  unsigned blocks, threads;
  std::size_t sharedBytes;
  std::size_t warpBytes;
  std::byte* memory;  // null: shared
};

class WarpMemory {
 public:
  /// `warpBytes` for each, a multiple of 16.
  WarpMemory(const DeviceLimits& limits, std::size_t warpBytes) : warpBytes_(warpBytes) {
    constexpr std::size_t freelyShared = 48 << 10, mostWarps = 8, mostMemory = std::size_t{256} << 20;
    if (warpBytes <= freelyShared) {
      warps_ = std::clamp<std::size_t>(freelyShared / std::max<std::size_t>(warpBytes, 1), 1, mostWarps);
      blocks_ = limits.multiprocessors * 32;
    } else {
      blocks_ = requireParts(
          memory_, warpBytes,
          std::clamp<std::size_t>(mostMemory / warpBytes, 1, limits.multiprocessors * mostWarps));
    }
  }

  WarpGrid grid(std::size_t targets) const {
    const std::size_t blocks = std::clamp<std::size_t>(divideUp(targets, warps_), 1, blocks_);
    return {static_cast<unsigned>(blocks), static_cast<unsigned>(warps_ * 32),
            memory_.data() == nullptr ? warps_ * warpBytes_ : 0, warpBytes_, memory_.data()};
  }

 private:
  std::size_t warpBytes_, warps_ = 1, blocks_ = 1;
  DeviceArray<std::byte> memory_;
};

#ifdef __CUDACC__

/// What was asked for at the launch, of each block.
__device__ inline std::byte* sharedMemory() {
  extern __shared__ __align__(16) std::byte dynamicSharedMemory[];
  return dynamicSharedMemory;
}

/// The number of the calling warp, how many there are, and its memory.
struct WarpPlace {
  std::uint32_t warp, warps;
  std::byte* memory;
};

__device__ inline WarpPlace warpPlace(const WarpGrid& grid) {
  const std::uint32_t perBlock = blockDim.x / 32, inBlock = threadIdx.x / 32;
  const std::uint32_t warp = blockIdx.x * perBlock + inBlock;
  std::byte* const memory = grid.memory == nullptr ? sharedMemory() + inBlock * grid.warpBytes
                                                   : grid.memory + warp * grid.warpBytes;
  return {warp, gridDim.x * perBlock, memory};
}

#endif

}  // namespace neural_lsh::cuda
