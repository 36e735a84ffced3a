#include "kernels.h"

#include "instruction-set.h"

namespace neural_lsh::cpu {

const Kernels& kernels() {
#ifdef NEURAL_LSH_X86
  static const Kernels& picked = instructionSet() >= InstructionSet::avx512 ? avx512Kernels
                                 : instructionSet() >= InstructionSet::avx2 ? avx2Kernels
                                                                            : baselineKernels;
  return picked;
#else
  return baselineKernels;
#endif
}

}  // namespace neural_lsh::cpu
