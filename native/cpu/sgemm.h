// Matrix products, the engine's main cost: packed panels and a register-tiled micro-kernel (Goto & van de
// Geijn 2008; Van Zee & van de Geijn 2015), picked at run time for the CPU. The sum over k is always split at
// the same places, so a result does not depend on the number of threads.
#pragma once

#include <cstddef>

namespace neural_lsh::cpu {

enum class Transpose { no, yes };

/// A read-only operand: op(X) where X is row-major with `stride` elements between its rows.
template <typename Real>
struct Operand {
  const Real* data;
  std::size_t stride;
  Transpose transpose = Transpose::no;
};

/// C[m x n] = op(A)[m x k] op(B)[k x n] + (accumulate ? C : 0), all row-major, on at most `threads` threads.
/// float runs on the fast kernels; double is a plain loop for checking gradients.
void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<float> a, Operand<float> b, float* c,
          std::size_t strideC, bool accumulate, std::size_t threads);
void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<double> a, Operand<double> b, double* c,
          std::size_t strideC, bool accumulate, std::size_t threads);

}  // namespace neural_lsh::cpu
