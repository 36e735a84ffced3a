// Which of the compiled variants of the inner loops this CPU runs.
#pragma once

namespace neural_lsh::cpu {

/// From the least to the most: each has what those before it have. vnni: AVX-512 F, BW, DQ, VL and VNNI.
enum class InstructionSet { baseline, avx2, avx512, vnni };

/// The best that this CPU has. The environment variable NEURAL_LSH_KERNELS = baseline | avx2 | avx512 | vnni
/// asks for a lesser one (what the CPU does not have is not taken).
InstructionSet instructionSet();

/// Its name in that variable.
const char* instructionSetName();

}  // namespace neural_lsh::cpu
