// The library with the CUDA engine, native/cuda, opened at run time: the addon itself links nothing of
// NVIDIA's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../core/job.h"
#include "../cuda/interface.h"

namespace neural_lsh::addon {

/// A library that was opened, and what it found. It is never closed: CUDA's threads and exit handlers outlive
/// every use of it. Opening the same file again gives the same library, so nobody has to remember it.
struct CudaLibrary {
  std::string path;
  const NlshCudaTable* table;
  NlshVersions versions;
  std::size_t devices;               // how many there are
  std::optional<NlshDevice> device;  // the one that was asked for
};

/// Opens the first of `candidates` that is there. cuBLAS and cuDNN are looked for where the system does, then
/// in `folders`. Of the devices only `device` is looked at, as that takes some of its memory. Throws Error
/// ERR_NLSH_ENGINE that says which step failed and what cures it.
CudaLibrary openCudaLibrary(const std::vector<std::string>& candidates,
                            const std::vector<std::string>& folders, std::size_t device);

/// Throws what a status other than NLSH_OK means: Cancelled, or Error with ERR_NLSH_ARGUMENT;
/// ERR_NLSH_DEVICE_MEMORY where the device is out of memory, ERR_NLSH_DEVICE where it is lost or a call of
/// CUDA, cuBLAS or cuDNN fails: another engine may answer.
void checkStatus(std::int32_t status, const NlshFailure& failure);

/// A job of the addon as the library watches it.
NlshJob watched(const Job& job);

/// Calls a function of the table that does a job.
template <typename Call>
void run(const Job& job, const Call& call) {
  NlshFailure failure{};
  const NlshJob watch = watched(job);
  checkStatus(call(&watch, &failure), failure);
}

}  // namespace neural_lsh::addon
