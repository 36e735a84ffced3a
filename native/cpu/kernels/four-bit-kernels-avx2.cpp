// Compiled with AVX2: 32 entries looked up an instruction.
#include <immintrin.h>

#include "four-bit-kernels.h"

namespace neural_lsh::cpu {
namespace {

__m256i load(const std::uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}

/// 16 bytes below, zeros above.
__m256i loadHalf(const std::uint8_t* at) {
  return _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

__m256i widened(const std::uint8_t* at) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

__m128i halvesAdded(__m256i a) {
  return _mm_add_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}

/// Sums of bytes as 16-bit numbers: those of the odd bytes, and those of the even ones plus 256 times the
/// odd.
struct Sums {
  __m256i mixed, odd;
};

inline void lookUp(__m256i codes, __m256i first, __m256i second, Sums& sums) {
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i a = _mm256_shuffle_epi8(first, _mm256_and_si256(codes, low));
  const __m256i b = _mm256_shuffle_epi8(second, _mm256_and_si256(_mm256_srli_epi16(codes, 4), low));
  const __m256i both = _mm256_add_epi8(a, b);
  sums.mixed = _mm256_add_epi16(sums.mixed, both);
  sums.odd = _mm256_add_epi16(sums.odd, _mm256_srli_epi16(both, 8));
}

inline __m256i valuesOf(const FourBitQuery& query, const std::uint8_t* block, const std::uint8_t* next) {
  const std::size_t padded = (query.pairs + pairsTogether - 1) / pairsTogether * pairsTogether;
  const std::uint8_t* first = query.tables;
  const std::uint8_t* second = query.tables + padded * 16;
  const std::uint8_t* codes = block;
  Sums sums{_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (std::size_t p = 0; p + 2 <= query.pairs; p += 2, first += 32, second += 32, codes += 32) {
    _mm_prefetch(reinterpret_cast<const char*>(next + (codes - block)), _MM_HINT_T1);
    lookUp(load(codes), load(first), load(second), sums);
  }
  if (query.pairs % 2 != 0) {
    lookUp(loadHalf(codes), loadHalf(first), loadHalf(second), sums);
    codes += fourBitVectors;
  }
  const __m128i odd = halvesAdded(sums.odd);
  const __m128i even = _mm_sub_epi16(halvesAdded(sums.mixed), _mm_slli_epi16(odd, 8));
  const __m256i sum = _mm256_set_m128i(_mm_unpackhi_epi16(even, odd), _mm_unpacklo_epi16(even, odd));
  const __m256i product = _mm256_mulhrs_epi16(_mm256_sub_epi16(sum, _mm256_set1_epi16(query.zero)),
                                              _mm256_slli_epi16(widened(codes), 7));
  const __m256i term = _mm256_mulhi_epu16(_mm256_slli_epi16(widened(codes + fourBitVectors), 8),
                                          _mm256_set1_epi16(static_cast<std::int16_t>(query.termScale)));
  return _mm256_add_epi16(product, term);
}

std::size_t compare(const FourBitQuery& query, const std::uint8_t* blocks, std::size_t count,
                    const std::uint8_t* next, FourBitSurvivor* survivors) {
  const __m256i threshold = _mm256_set1_epi16(query.threshold);
  std::size_t found = 0;
  for (std::size_t b = 0; b < count; ++b) {
    const __m256i values = valuesOf(query, blocks, next);
    blocks += fourBitBlockBytes(query.pairs);
    next += fourBitBlockBytes(query.pairs);
    // Two equal bits for each vector.
    unsigned mask = ~static_cast<unsigned>(_mm256_movemask_epi8(_mm256_cmpgt_epi16(values, threshold)));
    if (mask == 0) continue;
    alignas(32) std::int16_t stored[fourBitVectors];
    _mm256_store_si256(reinterpret_cast<__m256i*>(stored), values);
    for (; mask != 0; mask &= mask - 1, mask &= mask - 1) {
      const auto vector = static_cast<unsigned>(__builtin_ctz(mask)) / 2;
      survivors[found++] = {static_cast<std::uint32_t>(b * fourBitVectors) + vector, stored[vector]};
    }
  }
  return found;
}

}  // namespace

const FourBitKernels avx2FourBitKernels = {compare};

}  // namespace neural_lsh::cpu
