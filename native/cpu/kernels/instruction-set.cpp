#include "instruction-set.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#ifdef NEURAL_LSH_X86
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace neural_lsh::cpu {
namespace {

constexpr std::array<const char*, 6> names = {"baseline", "avx2", "avx512", "vnni", "vbmi", "amx"};

#ifdef NEURAL_LSH_X86
/// Whether the CPU has tiles and, since they are large, the system grants them to this process when it asks.
bool mayUseTiles() {
#if defined(__linux__)
  constexpr unsigned tiles = 1U << 24 | 1U << 25 | 1U << 22;  // of leaf 7's EDX; with bytes, with bfloat16
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & tiles) != tiles) return false;
  constexpr long requestPermission = 0x1023, tileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
#else
  return false;
#endif
}
#endif

InstructionSet best() {
#ifdef NEURAL_LSH_X86
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512) {
    if (!__builtin_cpu_supports("avx512vnni")) return InstructionSet::avx512;
    if (!__builtin_cpu_supports("avx512vbmi")) return InstructionSet::vnni;
    return mayUseTiles() ? InstructionSet::amx : InstructionSet::vbmi;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

InstructionSet wanted() {
  const char* variable = std::getenv("NEURAL_LSH_KERNELS");
  const auto found = std::find(names.begin(), names.end(), std::string_view(variable ? variable : ""));
  return found == names.end() ? InstructionSet::amx : static_cast<InstructionSet>(found - names.begin());
}

}  // namespace

InstructionSet instructionSet() {
  static const InstructionSet picked = std::min(best(), wanted());
  return picked;
}

const char* instructionSetName() {
  return names[static_cast<std::size_t>(instructionSet())];
}

}  // namespace neural_lsh::cpu
