// How a kernel is started: a lambda for each of many numbers, or for each block of threads.
#ifndef NEURAL_LSH_CUDA_LAUNCH_H
#define NEURAL_LSH_CUDA_LAUNCH_H

#include <algorithm>
#include <cstddef>

#include "../launch.h"
#include "block.h"

#define NLSH_DEVICE __device__

namespace neural_lsh::cuda {

template <typename Body>
__global__ void __launch_bounds__(Block::count) forEachKernel(std::size_t count, Body body) {
  for (std::size_t i = firstItem(); i < count; i += itemStep()) body(i);
}

template <typename Body>
__global__ void __launch_bounds__(Block::count) forEachBlockKernel(Body body) {
  body(Block(), static_cast<std::size_t>(blockIdx.x));
}

/// Enough to fill any device, and not more than there is to do.
inline std::size_t fullBlocks(std::size_t count) {
  constexpr std::size_t most = 4096;
  return std::min((count + Block::count - 1) / Block::count, most);
}

/// Starts body(i) for each i < count. `what`: its name, should it fail.
template <typename Body>
void forEach(std::size_t count, const Stream& stream, const char* what, const Body& body) {
  if (count == 0) return;
  const LaunchShape shape{dim3(static_cast<unsigned>(fullBlocks(count))), Block::count};
  launch(what, forEachKernel<Body>, shape, stream, count, body);
}

/// Starts body(lanes, i) for each i < count, which the threads of a block do together.
template <typename Body>
void forEachBlock(std::size_t count, const Stream& stream, const char* what, const Body& body) {
  if (count == 0) return;
  const LaunchShape shape{dim3(static_cast<unsigned>(count)), Block::count};
  launch(what, forEachBlockKernel<Body>, shape, stream, body);
}

}  // namespace neural_lsh::cuda

#endif
