#include "split-products.h"

#include "instruction-set.h"

namespace neural_lsh::cpu {

const SplitKernels* splitKernels() {
#ifdef NEURAL_LSH_X86
  return instructionSet() >= InstructionSet::amx ? &amxSplitKernels : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace neural_lsh::cpu
