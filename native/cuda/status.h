// Every status of CUDA, cuBLAS and cuDNN is looked at; what is not success is thrown as a Failure.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

#include "interface.h"

namespace neural_lsh::cuda {

/// What a function of the interface answers instead of NLSH_OK. Nothing of this crosses the border.
class Failure : public std::runtime_error {
 public:
  Failure(NlshStatus status, const std::string& message, std::string argument = {})
      : std::runtime_error(message), status_(status), argument_(std::move(argument)) {}

  NlshStatus status() const { return status_; }
  const std::string& argument() const { return argument_; }

 private:
  NlshStatus status_;
  std::string argument_;
};

inline Failure badArgument(const std::string& argument, const std::string& message) {
  return Failure(NLSH_BAD_ARGUMENT, message, argument);
}

/// Throws unless the status is success. `call`: the source text of the call, of which the name is shown.
void check(cudaError_t status, const char* call);
void check(cublasStatus_t status, const char* call);

/// Throws where an earlier call has lost the device: nothing that follows could succeed.
void checkNotLost();

}  // namespace neural_lsh::cuda

#define NLSH_CHECK(call) ::neural_lsh::cuda::check((call), #call)
