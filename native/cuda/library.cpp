// The table behind interface.h: what is thrown becomes a status and a text.
#include <cublasLt.h>
#include <cudnn.h>

#include "answer.h"
#include "device.h"
#include "neighbors.h"
#include "search-index.h"
#include "training/entries.h"

/// The index of the interface is ours.
struct NlshIndex {
  neural_lsh::cuda::SearchIndex index;
};

namespace neural_lsh::cuda {
namespace {

std::int32_t versions(NlshVersions* versions, NlshFailure* failure) noexcept {
  return answer(failure, [&] {
    NLSH_CHECK(cudaDriverGetVersion(&versions->driver));
    NLSH_CHECK(cudaRuntimeGetVersion(&versions->runtime));
    versions->cublas = static_cast<std::int64_t>(cublasLtGetVersion());
    versions->cudnn = static_cast<std::int64_t>(cudnnGetVersion());
  });
}

std::int32_t countDevices(std::int32_t* count, NlshFailure* failure) noexcept {
  return answer(failure, [&] {
    *count = 0;
    const cudaError_t status = cudaGetDeviceCount(count);
    if (status == cudaErrorNoDevice) {
      static_cast<void>(cudaGetLastError());
    } else {
      check(status, "cudaGetDeviceCount");
    }
  });
}

std::int32_t describeDevice(std::int32_t device, NlshDevice* description, NlshFailure* failure) noexcept {
  return answer(failure, [&] {
    checkDevice(device);
    const DeviceGuard guard(device);
    cudaDeviceProp properties;
    NLSH_CHECK(cudaGetDeviceProperties(&properties, device));
    std::size_t free = 0, total = 0;
    NLSH_CHECK(cudaMemGetInfo(&free, &total));
    *description = {};
    writeText(description->name, properties.name);
    description->major = properties.major;
    description->minor = properties.minor;
    description->multiprocessors = properties.multiProcessorCount;
    description->total_bytes = total;
    description->free_bytes = free;
  });
}

std::int32_t findNeighborsOf(const NlshNeighborsRequest* request, const NlshJob* job,
                             NlshFailure* failure) noexcept {
  return answer(failure, [&] { findNeighbors(*request, Watch(job)); });
}

std::int32_t openIndex(const NlshIndexRequest* request, NlshIndex** index, const NlshJob* job,
                       NlshFailure* failure) noexcept {
  return answer(failure, [&] { *index = new NlshIndex{SearchIndex(*request, Watch(job))}; });
}

std::int32_t searchIn(NlshIndex* index, const NlshSearchRequest* request, const NlshJob* job,
                      NlshFailure* failure) noexcept {
  return answer(failure, [&] { index->index.search(*request, Watch(job)); });
}

std::uint64_t indexBytes(const NlshIndex* index) noexcept {
  return index->index.bytes();
}

/// On the index's own device, or CUDA would start to use the first one for it.
void closeIndex(NlshIndex* index) noexcept {
  if (index == nullptr) return;
  static_cast<void>(cudaSetDevice(index->index.device()));
  delete index;
}

constexpr NlshCudaTable table{NLSH_CUDA_VERSION, versions,     countDevices, describeDevice, findNeighborsOf,
                              openIndex,         searchIn,     indexBytes,   closeIndex,     openTraining,
                              optimizerSlots,    trainBatches, scoreRows,    logitsOf,       getTrainingState,
                              setTrainingState,  closeTraining};

}  // namespace
}  // namespace neural_lsh::cuda

extern "C" __attribute__((visibility("default"))) const NlshCudaTable* neural_lsh_cuda(
    std::uint32_t version) {
  return version == NLSH_CUDA_VERSION ? &neural_lsh::cuda::table : nullptr;
}
