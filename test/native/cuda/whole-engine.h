// All of the CUDA engine but its training, in one piece on an emulated device: it compiles in a quarter of the time.
#pragma once

#define __CUDACC__
#include "emulation/emulator.h"
// The emulator comes first: the others find CUDA in it.
#include "../../../native/cuda/byte-norms.cu"
#include "../../../native/cuda/device.cpp"
#include "../../../native/cuda/library.cpp"
#include "../../../native/cuda/matrix-products.cpp"
#include "../../../native/cuda/neighbor-kernels.cu"
#include "../../../native/cuda/neighbor-plan.cpp"
#include "../../../native/cuda/neighbor-problem.cpp"
#include "../../../native/cuda/neighbor-search.cpp"
#include "../../../native/cuda/neighbors.cpp"
#include "../../../native/cuda/open-rows.cpp"
#include "../../../native/cuda/point-blocks.cpp"
#include "../../../native/cuda/router.cpp"
#include "../../../native/cuda/search-index.cpp"
#include "../../../native/cuda/search-kernels.cu"
#include "../../../native/cuda/search-lane.cpp"
#include "../../../native/cuda/status.cpp"
#include "no-training.h"

namespace neural_lsh::cuda {
alignas(16) thread_local std::byte dynamicSharedMemory[96 << 10];
}
