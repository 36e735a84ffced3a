// A library as the engine 'cuda' opens it that trains on the host: the code of native/cuda/training over an
// emulated CUDA, cuBLASLt and cuDNN.
#include <cstdlib>
#include <string>

#include "../../../../native/cuda/training/entries.h"
#include "../../../../native/cuda/training/kernels.cu"

namespace neural_lsh::cuda {

void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw Failure(NLSH_FAILED, call);
}
void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) throw Failure(NLSH_FAILED, call);
}
void checkNotLost() {}
void checkDevice(int) {}
/// EMULATED_BYTES: of the device's memory that are free; EMULATED_MAJOR: of its compute capability.
DeviceLimits deviceLimits(int) {
  const char* const bytes = std::getenv("EMULATED_BYTES");
  const char* const major = std::getenv("EMULATED_MAJOR");
  return {1, 0, 0, bytes ? std::strtoull(bytes, nullptr, 10) : std::size_t{1} << 40,
          major ? std::atoi(major) : 9};
}

namespace {

constexpr NlshCudaTable table{.version = NLSH_CUDA_VERSION,
                              .versions =
                                  [](NlshVersions* versions, NlshFailure*) {
                                    *versions = {13000, 13000, 130002, 91300};
                                    return std::int32_t{NLSH_OK};
                                  },
                              .count_devices =
                                  [](std::int32_t* count, NlshFailure*) {
                                    *count = 1;
                                    return std::int32_t{NLSH_OK};
                                  },
                              .describe_device =
                                  [](std::int32_t, NlshDevice* device, NlshFailure*) {
                                    *device = {"Emulated GPU", 9, 0, 1, 1, 1};
                                    return std::int32_t{NLSH_OK};
                                  },
                              .find_neighbors = nullptr,
                              .open_index = nullptr,
                              .search = nullptr,
                              .index_bytes = nullptr,
                              .close_index = nullptr,
                              .open_training = openTraining,
                              .optimizer_slots = optimizerSlots,
                              .train_batches = trainBatches,
                              .score_rows = scoreRows,
                              .logits_of = logitsOf,
                              .get_training_state = getTrainingState,
                              .set_training_state = setTrainingState,
                              .close_training = closeTraining};

}  // namespace
}  // namespace neural_lsh::cuda

extern "C" __attribute__((visibility("default"))) const NlshCudaTable* neural_lsh_cuda(
    std::uint32_t version) {
  return version == NLSH_CUDA_VERSION ? &neural_lsh::cuda::table : nullptr;
}
