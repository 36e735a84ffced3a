#include "status.h"

#include <atomic>
#include <string_view>

namespace neural_lsh::cuda {
namespace {

/// CUDA answers the same error to every later call of the process, whatever the device is asked: its context
/// is gone.
bool losesDevice(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorExternalDevice:
      return true;
    default:
      return false;
  }
}

std::atomic<bool> deviceLost = false;

/// "cudaMalloc(&memory, bytes)" -> "cudaMalloc".
std::string nameOf(std::string_view call) {
  return std::string(call.substr(0, call.find('(')));
}

[[noreturn]] void fail(NlshStatus status, const std::string& message) {
  if (status == NLSH_DEVICE_LOST) deviceLost = true;
  throw Failure(status, message);
}

}  // namespace

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // else the next launch would seem to have failed
  const NlshStatus kind = losesDevice(status)                   ? NLSH_DEVICE_LOST
                          : status == cudaErrorMemoryAllocation ? NLSH_OUT_OF_MEMORY
                                                                : NLSH_FAILED;
  fail(kind, nameOf(call) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")");
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const bool isLost = losesDevice(cudaGetLastError());
  const NlshStatus kind = isLost                                 ? NLSH_DEVICE_LOST
                          : status == CUBLAS_STATUS_ALLOC_FAILED ? NLSH_OUT_OF_MEMORY
                                                                 : NLSH_FAILED;
  fail(kind,
       nameOf(call) + ": " + cublasLtGetStatusString(status) + " (" + cublasLtGetStatusName(status) + ")");
}

void checkNotLost() {
  if (!deviceLost) return;
  fail(NLSH_DEVICE_LOST,
       "the device was lost in an earlier call; it answers again after the process is started anew");
}

}  // namespace neural_lsh::cuda
