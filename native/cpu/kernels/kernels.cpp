#include "kernels.h"

#include <cstdlib>
#include <string_view>

namespace neural_lsh::cpu {
namespace {

const Kernels& pick() {
#ifdef NEURAL_LSH_X86
  const char* variable = std::getenv("NEURAL_LSH_KERNELS");
  const std::string_view wanted = variable ? variable : "";
  if (wanted == baselineKernels.name) return baselineKernels;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && wanted != avx2Kernels.name) return avx512Kernels;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2Kernels;
#endif
  return baselineKernels;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& picked = pick();
  return picked;
}

}  // namespace neural_lsh::cpu
