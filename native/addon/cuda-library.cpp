#include "cuda-library.h"

#if defined(__linux__)
#include <dlfcn.h>
#endif

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>

#include "../core/error.h"

namespace neural_lsh::addon {
namespace {

Error engineError(const std::string& message) {
  return Error("ERR_NLSH_ENGINE", message);
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

/// As CUDA counts: 13020 is 13.2.
std::string versionText(std::int32_t version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// A text of the library, whether or not it ends in a zero.
std::string bounded(std::span<const char> text) {
  return {text.begin(), std::find(text.begin(), text.end(), '\0')};
}

#if defined(__linux__)

const char* const howToGetIt =
    "Install the package neural-lsh-cuda of the same version as neural-lsh, or build the library with `npm "
    "run "
    "build:cuda` in the folder of neural-lsh, or let the environment variable NEURAL_LSH_CUDA_LIBRARY name "
    "the "
    "folder that holds it";

std::string takeError() {
  const char* const error = dlerror();
  return error != nullptr ? error : "no reason given";
}

/// The library that was missing, by the linker's message, which begins with its name.
std::string missingName(const std::string& error) {
  const std::size_t end = error.find(": cannot open shared object file");
  return end == std::string::npos ? std::string() : error.substr(0, end);
}

bool openOneOf(const std::vector<std::string>& folders, const std::string& name) {
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return dlopen((folder + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr;
  });
}

/// What is open already is found by its name: libraries that are missed are opened first, one after the
/// other.
void* openWithParts(const std::string& path, const std::vector<std::string>& folders) {
  std::vector<std::string> opened;
  for (;;) {
    if (void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    const std::string error = takeError(), missing = missingName(error);
    const bool again = std::find(opened.begin(), opened.end(), missing) != opened.end();
    if (missing.empty() || again) throw engineError(path + " cannot be opened: " + error);
    if (!openOneOf(folders, missing)) {
      throw engineError(
          path + " cannot be opened, because " + missing +
          " is missing. Install cuBLAS 13 and cuDNN 9: with CUDA's toolkit, or `pip install "
          "nvidia-cublas==13.* "
          "nvidia-cudnn-cu13==9.*` in a virtual environment of Python that is active, or `node "
          "scripts/fetch-cuda.mjs` in the folder of neural-lsh; or let LD_LIBRARY_PATH name the folders that "
          "hold them. "
          "Looked in the system's folders and in " +
          joined(folders));
    }
    opened.push_back(missing);
  }
}

const NlshCudaTable* tableOf(void* library, const std::string& path) {
  const auto entry = reinterpret_cast<NlshCudaEntry>(dlsym(library, NLSH_CUDA_ENTRY));
  if (entry == nullptr)
    throw engineError(path + " is not the CUDA library of neural-lsh: it has no symbol " NLSH_CUDA_ENTRY);
  const NlshCudaTable* const table = entry(NLSH_CUDA_VERSION);
  if (table == nullptr || table->version != NLSH_CUDA_VERSION)
    throw engineError(path + " is of another version of neural-lsh. " + howToGetIt);
  return table;
}

/// What the library says, where it fails: CUDA's own name of the error and what it means.
template <typename Call>
void ask(const std::string& what, const Call& call) {
  NlshFailure failure{};
  if (call(&failure) != NLSH_OK) throw engineError(what + ": " + bounded(failure.message));
}

std::size_t countDevices(const NlshCudaTable& table) {
  std::int32_t count = 0;
  ask("CUDA finds no device", [&](NlshFailure* failure) { return table.count_devices(&count, failure); });
  if (count < 1)
    throw engineError(
        "CUDA finds no device: see nvidia-smi, and the environment variable CUDA_VISIBLE_DEVICES");
  return static_cast<std::size_t>(count);
}

NlshDevice describeDevice(const NlshCudaTable& table, std::size_t device) {
  NlshDevice description{};
  ask("device " + std::to_string(device) + " does not answer", [&](NlshFailure* failure) {
    return table.describe_device(static_cast<std::int32_t>(device), &description, failure);
  });
  return description;
}

void checkDriver(const NlshVersions& versions) {
  const std::string needed = "CUDA " + versionText(versions.runtime) + " needs one for CUDA " +
                             std::to_string(versions.runtime / 1000) + " or newer";
  if (versions.driver == 0)
    throw engineError("there is no NVIDIA driver on this machine (cudaErrorInsufficientDriver): " + needed);
  if (versions.driver / 1000 < versions.runtime / 1000) {
    throw engineError("the NVIDIA driver is too old (cudaErrorInsufficientDriver): it is for CUDA " +
                      versionText(versions.driver) + ", and " + needed);
  }
}

#endif

}  // namespace

#if defined(__linux__)

CudaLibrary openCudaLibrary(const std::vector<std::string>& candidates,
                            const std::vector<std::string>& folders, std::size_t device) {
  const auto path = std::find_if(candidates.begin(), candidates.end(),
                                 [](const std::string& file) { return std::filesystem::exists(file); });
  if (path == candidates.end())
    throw engineError("there is no CUDA library at " + joined(candidates) + ". " + howToGetIt);
  CudaLibrary library{*path, tableOf(openWithParts(*path, folders), *path), {}, 0, {}};
  ask("CUDA's versions cannot be told",
      [&](NlshFailure* failure) { return library.table->versions(&library.versions, failure); });
  checkDriver(library.versions);
  library.devices = countDevices(*library.table);
  if (device < library.devices) library.device = describeDevice(*library.table, device);
  return library;
}

#else

CudaLibrary openCudaLibrary(const std::vector<std::string>&, const std::vector<std::string>&, std::size_t) {
  throw engineError("the CUDA engine is for Linux only; choose another engine here");
}

#endif

void checkStatus(std::int32_t status, const NlshFailure& failure) {
  if (status == NLSH_OK) return;
  const std::string message = bounded(failure.message);
  switch (status) {
    case NLSH_CANCELLED:
      throw Cancelled();
    case NLSH_BAD_ARGUMENT:
      throw argumentError(bounded(failure.argument), message);
    case NLSH_OUT_OF_MEMORY:
      throw Error("ERR_NLSH_DEVICE_MEMORY", "the device has not enough memory: " + message);
    case NLSH_DEVICE_LOST:
      throw Error("ERR_NLSH_DEVICE", "the device answers no more: " + message);
    default:
      throw Error("ERR_NLSH_DEVICE", "the CUDA library failed: " + message);
  }
}

NlshJob watched(const Job& job) {
  return {const_cast<Job*>(&job),
          [](void* context) -> std::int32_t { return static_cast<const Job*>(context)->cancelled(); },
          [](void* context, std::size_t done, std::size_t total) {
            static_cast<const Job*>(context)->progress(done, total);
          }};
}

}  // namespace neural_lsh::addon
