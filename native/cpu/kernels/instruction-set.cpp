#include "instruction-set.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace neural_lsh::cpu {
namespace {

constexpr std::array<const char*, 5> names = {"baseline", "avx2", "avx512", "vnni", "vbmi"};

InstructionSet best() {
#ifdef NEURAL_LSH_X86
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512) {
    if (!__builtin_cpu_supports("avx512vnni")) return InstructionSet::avx512;
    return __builtin_cpu_supports("avx512vbmi") ? InstructionSet::vbmi : InstructionSet::vnni;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

InstructionSet wanted() {
  const char* variable = std::getenv("NEURAL_LSH_KERNELS");
  const auto found = std::find(names.begin(), names.end(), std::string_view(variable ? variable : ""));
  return found == names.end() ? InstructionSet::vbmi : static_cast<InstructionSet>(found - names.begin());
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
