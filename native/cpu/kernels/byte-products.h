// Products of unsigned bytes, exact in 32-bit integers: what integer-valued data (0..255) are compared with,
// two to four times as fast as in float. The variants, one for each instruction set, differ in the panels
// that they read and give the same results, bit for bit.
//
//     std::vector<std::uint32_t> a(packedByteWords(rows, depth)), b(packedByteWords(columns, depth));
//     packBytes(left, depth, rows, depth, a.data());          // the same format for both operands
//     packBytes(right, depth, columns, depth, b.data());
//     multiplyBytes(rows, columns, depth, a.data(), b.data(), products, columns);
#pragma once

#include "panels.h"

namespace neural_lsh::cpu {

/// Vectors of at most this many bytes: twice their product, 2 * depth * 255^2, is below 2^31.
constexpr std::size_t maxByteDepth = 16'384;

extern const PanelKernels<std::int32_t> baselineBytePanels;
#ifdef NEURAL_LSH_X86
extern const PanelKernels<std::int32_t> avx2BytePanels;
extern const PanelKernels<std::int32_t> avx512BytePanels;
extern const PanelKernels<std::int32_t> vnniBytePanels;
extern const PanelKernels<std::int32_t> amxBytePanels;
#endif

/// The fastest variant that this CPU runs (instruction-set.h).
const PanelKernels<std::int32_t>& bytePanels();

/// The words that `count` packed vectors of `depth` bytes take, in whole panels.
std::size_t packedByteWords(std::size_t count, std::size_t depth);

/// Packs vectors (element p of vector i at data[i * stride + p]) into panels one after the other; the last is
/// filled up with zeros. 1 <= depth <= maxByteDepth.
void packBytes(const std::uint8_t* data, std::size_t stride, std::size_t count, std::size_t depth,
               std::uint32_t* out);

/// c[i * strideC + j] = <a_i, b_j> for i < rows, j < columns of two packed operands.
void multiplyBytes(std::size_t rows, std::size_t columns, std::size_t depth, const std::uint32_t* a,
                   const std::uint32_t* b, std::int32_t* c, std::size_t strideC);

}  // namespace neural_lsh::cpu
