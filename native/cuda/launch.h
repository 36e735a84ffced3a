// How kernels are started; for sources that nvcc compiles.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>

#include "alignment.h"
#include "warp-memory.h"

namespace neural_lsh::cuda {

inline constexpr unsigned threadsPerBlock = 256;
inline constexpr unsigned warpsPerBlock = threadsPerBlock / 32;

/// Blocks of so many threads, with so much shared memory beside what the kernel declares.
struct LaunchShape {
  dim3 blocks;
  unsigned threads = threadsPerBlock;
  std::size_t sharedBytes = 0;
};

/// For kernels whose blocks take turns where there are more targets than that.
inline LaunchShape blocksFor(std::size_t targets, std::size_t perBlock) {
  constexpr std::size_t most = std::size_t{1} << 20;
  return {dim3(static_cast<unsigned>(std::clamp<std::size_t>(divideUp(targets, perBlock), 1, most)))};
}
inline LaunchShape shapeOf(const WarpGrid& grid) {
  return {dim3(grid.blocks), grid.threads, grid.sharedBytes};
}

template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape, const Stream& stream,
            const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = shape.blocks;
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = shape.sharedBytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

/// The first of the calling warp's targets in a grid of full blocks, and how far it is to the next.
__device__ inline std::size_t firstTarget() {
  return blockIdx.x * static_cast<std::size_t>(blockDim.x / 32) + threadIdx.x / 32;
}
__device__ inline std::size_t targetStep() {
  return gridDim.x * static_cast<std::size_t>(blockDim.x / 32);
}

/// The same where each thread has its own.
__device__ inline std::size_t firstItem() {
  return static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::size_t itemStep() {
  return static_cast<std::size_t>(gridDim.x) * blockDim.x;
}

}  // namespace neural_lsh::cuda
