// Matrix products of kernels/split-products.h: as sgemm.h's, with the sums over k split at places of their
// own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sgemm.h"

namespace neural_lsh::cpu {

/// Whether C[m x n] with sums of k is large enough for its operands' packing, and the CPU has what it takes.
bool worthSplitting(std::size_t m, std::size_t n, std::size_t k);

/// The words of a packed op(B)[k x n].
std::size_t splitFactorWords(std::size_t n, std::size_t k);
void packSplitFactor(std::size_t n, std::size_t k, const Operand<float>& b, std::size_t threads,
                     std::uint32_t* out);

/// C[m x n] = op(A)[m x k] op(B)[k x n] + (accumulate ? C : 0) for a packed B.
void multiplySplit(std::size_t m, std::size_t n, std::size_t k, const Operand<float>& a,
                   const std::uint32_t* packedB, float* c, std::size_t strideC, bool accumulate,
                   std::size_t threads);

}  // namespace neural_lsh::cpu
