// Included before all else, in place of native/cuda/training/launch.h: a kernel is a loop, and a block has
// one thread.
#pragma once

#define NEURAL_LSH_CUDA_LAUNCH_H
#define NLSH_DEVICE

#include <cstddef>

#include "../../../../native/cuda/device.h"
#include "../../../../native/cuda/lanes.h"

namespace neural_lsh::cuda {

inline std::size_t fullBlocks(std::size_t count) {
  return count < 3 ? count : 3;
}

template <typename Body>
void forEach(std::size_t count, const Stream& stream, const char*, const Body& body) {
  static_cast<cudaStream_t>(stream)->ask([=] {
    for (std::size_t i = 0; i < count; ++i) body(i);
  });
}

template <typename Body>
void forEachBlock(std::size_t count, const Stream& stream, const char*, const Body& body) {
  static_cast<cudaStream_t>(stream)->ask([=] {
    for (std::size_t i = 0; i < count; ++i) body(OneLane(), i);
  });
}

}  // namespace neural_lsh::cuda
