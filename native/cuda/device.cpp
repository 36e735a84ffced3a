#include "device.h"

#include <string>

namespace neural_lsh::cuda {

void checkDevice(int device) {
  int count = 0;
  NLSH_CHECK(cudaGetDeviceCount(&count));
  if (device >= 0 && device < count) return;
  throw badArgument("device", "must be in 0 .. " + std::to_string(count - 1) + ", is " +
                                  std::to_string(device) + "; there " +
                                  (count == 1 ? "is 1 device" : "are " + std::to_string(count) + " devices"));
}

DeviceLimits deviceLimits(int device) {
  const auto attribute = [device](cudaDeviceAttr which) {
    int value = 0;
    NLSH_CHECK(cudaDeviceGetAttribute(&value, which, device));
    return static_cast<std::size_t>(value);
  };
  std::size_t free = 0, total = 0;
  NLSH_CHECK(cudaMemGetInfo(&free, &total));
  return {attribute(cudaDevAttrMultiProcessorCount), attribute(cudaDevAttrL2CacheSize),
          attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin), free,
          static_cast<int>(attribute(cudaDevAttrComputeCapabilityMajor))};
}

}  // namespace neural_lsh::cuda
