// Matrix products, the engine's main cost: packed panels and a register-tiled micro-kernel (Goto & van de
// Geijn 2008; Van Zee & van de Geijn 2015), picked at run time for the CPU. The sum over k is always split at
// the same places, so a result does not depend on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

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

/// Of products of floats. single: as floats. split: each float as the sum of two bfloat16 numbers, which
/// keeps 16 bits of it, where the CPU multiplies these faster (split-product.h), or else as floats.
enum class Precision { single, split };

/// C[m x n] = op(A)[m x k] op(B)[k x n] + (accumulate ? C : 0), all row-major, on at most `threads` threads.
/// float runs on the fast kernels; double is a plain loop for checking gradients.
void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<float> a, Operand<float> b, float* c,
          std::size_t strideC, bool accumulate, std::size_t threads, Precision precision = Precision::single);
void gemm(std::size_t m, std::size_t n, std::size_t k, Operand<double> a, Operand<double> b, double* c,
          std::size_t strideC, bool accumulate, std::size_t threads, Precision precision = Precision::single);

/// A right operand op(B)[k x n] of several products, packed once for all of them. That of
/// doubles only refers to what it was made of.
template <typename Real>
class Factor;

template <>
class Factor<float> {
 public:
  void pack(std::size_t n, std::size_t k, Operand<float> b, std::size_t threads, Precision precision);
  void multiply(std::size_t m, Operand<float> a, float* c, std::size_t strideC, bool accumulate,
                std::size_t threads) const;

 private:
  std::size_t n_ = 0, k_ = 0;
  bool split_ = false;
  AlignedBuffer<float> panels_;
  AlignedBuffer<std::uint32_t> words_;
};

template <>
class Factor<double> {
 public:
  void pack(std::size_t n, std::size_t k, Operand<double> b, std::size_t /* threads */, Precision) {
    n_ = n;
    k_ = k;
    b_ = b;
  }
  void multiply(std::size_t m, Operand<double> a, double* c, std::size_t strideC, bool accumulate,
                std::size_t threads) const {
    gemm(m, n_, k_, a, b_, c, strideC, accumulate, threads);
  }

 private:
  std::size_t n_ = 0, k_ = 0;
  Operand<double> b_{};
};

}  // namespace neural_lsh::cpu
