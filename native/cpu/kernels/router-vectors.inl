// Sixteen numbers in vectors of LANES, and what the products of bytes end with. The including file sets LANES
// and is compiled for its instruction set. No standard header with inline code is included (see kernels.inl).
#include "router-kernels.h"

#ifdef NEURAL_LSH_X86
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// A fused multiplication and addition rounds once where others round twice.
#ifdef __clang__
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

namespace neural_lsh::cpu {
namespace {

typedef float Vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef std::int32_t Integers __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef std::uint8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

constexpr std::size_t lanes = 16, parts = lanes / LANES;

inline Vector load(const float* p) {
  return *reinterpret_cast<const Vector*>(p);
}
inline void store(float* p, Vector v) {
  *reinterpret_cast<Vector*>(p) = v;
}
inline Vector larger(Vector a, Vector b) {
  return a > b ? a : b;
}
inline Vector smaller(Vector a, Vector b) {
  return a < b ? a : b;
}

/// 16 integer sums of one row -> outputs.
inline void finish(const ByteWeights& weights, std::size_t output, const Integers (&sums)[parts],
                   ByteRange range, float* out) {
#pragma GCC unroll 4
  for (std::size_t i = 0; i < parts; ++i) {
    const std::size_t at = output + i * LANES;
    const Vector products = __builtin_convertvector(sums[i], Vector) * range.step;
    const Vector values = products + load(weights.sums + at) * range.lowest;
    const Vector result = values * load(weights.scales + at) + load(weights.biases + at);
    store(out + i * LANES, weights.relu ? larger(result, Vector{}) : result);
  }
}

}  // namespace
}  // namespace neural_lsh::cpu
