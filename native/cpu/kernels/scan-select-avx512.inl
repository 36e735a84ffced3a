// How the variants with AVX-512 keep what passes a query's threshold.
#include <immintrin.h>

#include "scan-kernels.h"

namespace neural_lsh::cpu {
namespace {

/// Seldom called: apart from the loop, whose registers it would take.
__attribute__((noinline)) void keep(ByteQuery& query, std::uint32_t place, __m512 values, unsigned mask) {
  float stored[blockVectors];
  _mm512_storeu_ps(stored, values);
  for (; mask != 0; mask &= mask - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(mask));
    query.survivors[query.found++] = {place + lane, stored[lane]};
  }
}

__attribute__((always_inline)) inline void select(ByteQuery& query, const float* biases, std::uint32_t place,
                                                  __m512i high, __m512i low, bool hasLow) {
  __m512 product = _mm512_maskz_cvtepi32_ps(0xFFFF, high);  // the plain forms warn in GCC 12
  if (hasLow) {
    product = _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(0xFFFF, low), _mm512_set1_ps(0x1p-7F), product);
  }
  __m512 scaled = _mm512_mul_ps(_mm512_set1_ps(query.scale), product);
  asm("" : "+v"(scaled));  // a fused multiply-add would round once where the others round twice
  const __m512 values = _mm512_add_ps(scaled, _mm512_loadu_ps(biases));
  const unsigned mask = _mm512_cmp_ps_mask(values, _mm512_set1_ps(query.threshold), _CMP_LE_OQ);
  if (mask != 0) keep(query, place, values, mask);
}

}  // namespace
}  // namespace neural_lsh::cpu
