// Matrix products, the engine's main cost: packed panels and a register-tiled micro-kernel (Goto & van de
// Geijn 2008; Van Zee & van de Geijn 2015), picked at run time for the CPU. The sum over k is always split at
// the same places, so a result does not depend on the number of threads.
#pragma once

#include <cstddef>

#include "../core/aligned-buffer.h"

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

/// A right operand op(B)[k x n] of several products, packed once for all of them. That of doubles only refers
/// to what it was made of.
template <typename Real>
class Factor;

template <>
class Factor<float> {
 public:
  void pack(std::size_t n, std::size_t k, Operand<float> b, std::size_t threads);
  std::size_t n() const { return n_; }
  std::size_t k() const { return k_; }
  const float* panels() const { return panels_.data(); }

 private:
  std::size_t n_ = 0, k_ = 0;
  AlignedBuffer<float> panels_;
};

template <>
class Factor<double> {
 public:
  void pack(std::size_t n, std::size_t k, Operand<double> b, std::size_t /* threads */) {
    n_ = n;
    k_ = k;
    b_ = b;
  }
  std::size_t n() const { return n_; }
  std::size_t k() const { return k_; }
  Operand<double> operand() const { return b_; }

 private:
  std::size_t n_ = 0, k_ = 0;
  Operand<double> b_{};
};

/// As above, with the same sums.
void gemm(std::size_t m, Operand<float> a, const Factor<float>& b, float* c, std::size_t strideC,
          bool accumulate, std::size_t threads);
void gemm(std::size_t m, Operand<double> a, const Factor<double>& b, double* c, std::size_t strideC,
          bool accumulate, std::size_t threads);

}  // namespace neural_lsh::cpu
