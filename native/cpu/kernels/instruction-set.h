// Which of the compiled variants of the inner loops this CPU runs.
#pragma once

namespace neural_lsh::cpu {

/// From the least to the most: each has what those before it have. avx512: F, BW, DQ and VL; vbmi: VNNI and
/// VBMI; amx: its tiles and their products of bytes and of bfloat16, where the system lets the process use
/// them.
enum class InstructionSet { baseline, avx2, avx512, vnni, vbmi, amx };

/// The best that this CPU has. The environment variable NEURAL_LSH_KERNELS = baseline | avx2 | avx512 | vnni
/// | vbmi | amx asks for a lesser one (what the CPU does not have is not taken).
InstructionSet instructionSet();

/// Its name in that variable.
const char* instructionSetName();

}  // namespace neural_lsh::cpu
