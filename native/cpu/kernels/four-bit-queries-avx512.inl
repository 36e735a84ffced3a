// What prepares queries, for all variants with AVX-512.
#include <immintrin.h>

#include <algorithm>

#include "four-bit-kernels.h"

namespace neural_lsh::cpu {
namespace {

/// Rounded before it is added: a fused multiply-add would round once where the other variants round twice.
inline __m512 product(__m512 a, __m512 b) {
  __m512 rounded = _mm512_mul_ps(a, b);
  asm("" : "+v"(rounded));
  return rounded;
}

/// Over all lanes; the library's own reductions warn in GCC 12.
template <typename Wide, typename Narrow>
float reduced(__m512 values, const Wide& wide, const Narrow& narrow) {
  const __m256 eight =
      wide(_mm512_maskz_extractf32x8_ps(0xFF, values, 0), _mm512_maskz_extractf32x8_ps(0xFF, values, 1));
  __m128 four = narrow(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = narrow(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(narrow(four, _mm_movehdup_ps(four)));
}

float least(__m512 values) {
  return reduced(
      values, [](__m256 a, __m256 b) { return _mm256_min_ps(a, b); },
      [](__m128 a, __m128 b) { return _mm_min_ps(a, b); });
}

float greatest(__m512 values) {
  return reduced(
      values, [](__m256 a, __m256 b) { return _mm256_max_ps(a, b); },
      [](__m128 a, __m128 b) { return _mm_max_ps(a, b); });
}

FourBitReach multiply(const float* query, const float* codebooks, std::size_t parts, float* products,
                      float* lowest) {
  FourBitReach reach;
  for (std::size_t part = 0; part < parts; ++part) {
    const float* const entries = codebooks + part * 2 * fourBitEntries;
    const __m512 sums = _mm512_add_ps(
        product(_mm512_set1_ps(query[2 * part]), _mm512_loadu_ps(entries)),
        product(_mm512_set1_ps(query[2 * part + 1]), _mm512_loadu_ps(entries + fourBitEntries)));
    _mm512_storeu_ps(products + part * fourBitEntries, sums);
    const float low = std::min(0.0F, least(sums));
    const float high = std::max(0.0F, greatest(sums));
    lowest[part] = low;
    reach.widest = std::max(reach.widest, high - low);
    reach.below -= static_cast<double>(low);
    reach.above += static_cast<double>(high);
  }
  return reach;
}

std::int32_t round(const float* products, const float* lowest, std::size_t parts, float perUnit,
                   std::uint8_t* tables, std::size_t tableBytes) {
  const __m512 scale = _mm512_set1_ps(perUnit);
  std::int32_t zeros = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    std::uint8_t* const table = tables + part % 2 * tableBytes + part / 2 * fourBitEntries;
    const int zero = -_mm_cvtss_si32(_mm_set_ss(lowest[part] * perUnit));
    zeros += zero;
    const __m512i steps = _mm512_maskz_cvtps_epi32(
        0xFFFF, _mm512_mul_ps(_mm512_loadu_ps(products + part * fourBitEntries), scale));
    const __m512i counted = _mm512_add_epi32(steps, _mm512_set1_epi32(zero));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(table), _mm512_maskz_cvtepi32_epi8(0xFFFF, counted));
  }
  return zeros;
}

inline __m512 widened(const std::uint16_t* numbers) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers));
  return _mm512_castsi512_ps(
      _mm512_maskz_slli_epi32(0xFFFF, _mm512_maskz_cvtepu16_epi32(0xFFFF, halves), 16));
}

inline double total(__m512 sums) {
  const __m256 low = _mm512_maskz_extractf32x8_ps(0xFF, sums, 0),
               high = _mm512_maskz_extractf32x8_ps(0xFF, sums, 1);
  const auto added = [](__m128 a, __m128 b) { return _mm256_add_pd(_mm256_cvtps_pd(a), _mm256_cvtps_pd(b)); };
  const __m256d first = added(_mm256_castps256_ps128(low), _mm256_castps256_ps128(high));
  const __m256d second = added(_mm256_extractf128_ps(low, 1), _mm256_extractf128_ps(high, 1));
  const __m256d pairs = _mm256_hadd_pd(first, second);
  const __m128d halves = _mm_add_pd(_mm256_castpd256_pd128(pairs), _mm256_extractf128_pd(pairs, 1));
  return _mm_cvtsd_f64(_mm_add_sd(halves, _mm_unpackhi_pd(halves, halves)));
}

double squaredDistance(const float* query, const std::uint16_t* numbers, std::size_t count) {
  __m512 sums = _mm512_setzero_ps();
  for (std::size_t c = 0; c < count; c += 16) {
    const __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(query + c), widened(numbers + c));
    sums = _mm512_add_ps(sums, product(difference, difference));
  }
  return total(sums);
}

double dotProduct(const float* query, const std::uint16_t* numbers, std::size_t count) {
  __m512 sums = _mm512_setzero_ps();
  for (std::size_t c = 0; c < count; c += 16)
    sums = _mm512_add_ps(sums, product(_mm512_loadu_ps(query + c), widened(numbers + c)));
  return total(sums);
}

}  // namespace
}  // namespace neural_lsh::cpu
