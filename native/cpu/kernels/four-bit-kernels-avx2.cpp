// Compiled with AVX2: 32 entries looked up an instruction.
#include <immintrin.h>

#include <algorithm>

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

void compareOne(FourBitQuery& query, const std::uint8_t* blocks, std::size_t count,
                const std::uint8_t* next) {
  const __m256i threshold = _mm256_set1_epi16(query.threshold);
  query.found = 0;
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
      query.places[query.found] = static_cast<std::uint32_t>(b * fourBitVectors) + vector;
      query.values[query.found++] = stored[vector];
    }
  }
}

void compare(FourBitQuery* queries, std::size_t queryCount, const std::uint8_t* blocks, std::size_t count,
             const std::uint8_t* next) {
  for (std::size_t q = 0; q < queryCount; ++q) compareOne(queries[q], blocks, count, next);
}

/// Rounded before it is added: a fused multiply-add would round once where the other variants round twice.
inline __m256 product(__m256 a, __m256 b) {
  __m256 rounded = _mm256_mul_ps(a, b);
  asm("" : "+x"(rounded));
  return rounded;
}

template <typename Pick>
float picked(__m256 values, const Pick& pick) {
  float lanes[8];
  _mm256_storeu_ps(lanes, values);
  float best = 0;
  for (const float lane : lanes) best = pick(best, lane);
  return best;
}

FourBitReach multiply(const float* query, const float* codebooks, std::size_t parts, float* products,
                      float* lowest) {
  FourBitReach reach;
  for (std::size_t part = 0; part < parts; ++part) {
    const float* const entries = codebooks + part * 2 * fourBitEntries;
    const __m256 x = _mm256_set1_ps(query[2 * part]), y = _mm256_set1_ps(query[2 * part + 1]);
    const auto half = [&](std::size_t at) {
      const __m256 sum = _mm256_add_ps(product(x, _mm256_loadu_ps(entries + at)),
                                       product(y, _mm256_loadu_ps(entries + fourBitEntries + at)));
      _mm256_storeu_ps(products + part * fourBitEntries + at, sum);
      return sum;
    };
    const __m256 first = half(0), second = half(8);
    const float low = picked(_mm256_min_ps(first, second), [](float a, float b) { return std::min(a, b); });
    const float high = picked(_mm256_max_ps(first, second), [](float a, float b) { return std::max(a, b); });
    lowest[part] = low;
    reach.widest = std::max(reach.widest, high - low);
    reach.below -= static_cast<double>(low);
    reach.above += static_cast<double>(high);
  }
  return reach;
}

std::int32_t round(const float* products, const float* lowest, std::size_t parts, float perUnit,
                   std::uint8_t* tables, std::size_t tableBytes) {
  const __m256 scale = _mm256_set1_ps(perUnit);
  std::int32_t zeros = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    std::uint8_t* const table = tables + part % 2 * tableBytes + part / 2 * fourBitEntries;
    const int zero = -_mm_cvtss_si32(_mm_set_ss(lowest[part] * perUnit));
    zeros += zero;
    const auto half = [&](std::size_t at) {
      const __m256 values = _mm256_loadu_ps(products + part * fourBitEntries + at);
      const __m256i steps =
          _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(values, scale)), _mm256_set1_epi32(zero));
      return _mm_packs_epi32(_mm256_castsi256_si128(steps), _mm256_extracti128_si256(steps, 1));
    };
    _mm_storeu_si128(reinterpret_cast<__m128i*>(table), _mm_packus_epi16(half(0), half(8)));
  }
  return zeros;
}

/// The sum of term(query's numbers, numbers), in 16 sums.
template <typename Term>
double summed(const float* query, const std::uint16_t* numbers, std::size_t count, const Term& term) {
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (std::size_t c = 0; c < count; c += 16) {
    for (std::size_t i = 0; i < 2; ++i) {
      const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(numbers + c + 8 * i));
      const __m256 number = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
      sums[i] = _mm256_add_ps(sums[i], term(_mm256_loadu_ps(query + c + 8 * i), number));
    }
  }
  float first[8], second[8];
  _mm256_storeu_ps(first, sums[0]);
  _mm256_storeu_ps(second, sums[1]);
  double lanes[8];
  for (std::size_t i = 0; i < 8; ++i)
    lanes[i] = static_cast<double>(first[i]) + static_cast<double>(second[i]);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

double squaredDistance(const float* query, const std::uint16_t* numbers, std::size_t count) {
  return summed(query, numbers, count, [](__m256 a, __m256 b) {
    const __m256 difference = _mm256_sub_ps(a, b);
    return product(difference, difference);
  });
}

double dotProduct(const float* query, const std::uint16_t* numbers, std::size_t count) {
  return summed(query, numbers, count, [](__m256 a, __m256 b) { return product(a, b); });
}

}  // namespace

const FourBitKernels avx2FourBitKernels = {FourBitOrder::pairs, compare,   multiply, round,
                                           squaredDistance,     dotProduct};

}  // namespace neural_lsh::cpu
