// Compiled with AVX-512 F, BW, DQ and VL: 64 entries looked up an instruction, four blocks at once.
#include <immintrin.h>

#include "four-bit-kernels.h"
#include "four-bit-queries-avx512.inl"

namespace neural_lsh::cpu {
namespace {

/// Sums of bytes as 16-bit numbers: those of the odd bytes, and those of the even ones plus 256 times the
/// odd. Each quarter of a register has other parts of the same 16 vectors.
struct Sums {
  __m512i mixed, odd;
};

inline void lookUp(__m512i codes, __m512i first, __m512i second, Sums& sums) {
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i a = _mm512_shuffle_epi8(first, _mm512_and_si512(codes, low));
  const __m512i b = _mm512_shuffle_epi8(second, _mm512_and_si512(_mm512_srli_epi16(codes, 4), low));
  const __m512i both = _mm512_add_epi8(a, b);
  sums.mixed = _mm512_add_epi16(sums.mixed, both);
  sums.odd = _mm512_add_epi16(sums.odd, _mm512_srli_epi16(both, 8));
}

/// Quarter i of the result is the sum of the quarters of registers[i]. The maskz forms because the plain ones
/// warn in GCC 12.
inline __m512i quartersAdded(__m512i a, __m512i b, __m512i c, __m512i d) {
  const auto halvesAdded = [](__m512i x, __m512i y) {
    return _mm512_add_epi16(_mm512_maskz_shuffle_i64x2(0xFF, x, y, 0x44),
                            _mm512_maskz_shuffle_i64x2(0xFF, x, y, 0xEE));
  };
  const __m512i ab = halvesAdded(a, b), cd = halvesAdded(c, d);
  return _mm512_add_epi16(_mm512_maskz_shuffle_i64x2(0xFF, ab, cd, 0x88),
                          _mm512_maskz_shuffle_i64x2(0xFF, ab, cd, 0xDD));
}

/// 16 bytes of each block, a block a quarter.
template <std::size_t BLOCKS>
inline __m512i gather(const std::uint8_t* at, std::size_t blockBytes) {
  __m512i all = _mm512_setzero_si512();
#pragma GCC unroll 4
  for (std::size_t b = 0; b < BLOCKS; ++b) {
    all = _mm512_mask_broadcast_i64x2(all, static_cast<__mmask8>(3U << (2 * b)),
                                      _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + b * blockBytes)));
  }
  return all;
}

/// Of one block. Blocks are read one after the other: the CPU fetches ahead what is read in its order.
inline Sums sumsOf(const FourBitQuery& query, const std::uint8_t* block, const std::uint8_t* next) {
  const std::size_t padded = (query.pairs + pairsTogether - 1) / pairsTogether * pairsTogether;
  const std::size_t whole = query.pairs / pairsTogether * pairsTogether * fourBitVectors;
  const std::uint8_t* const first = query.tables;
  const std::uint8_t* const second = query.tables + padded * 16;
  Sums sums = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (std::size_t i = 0; i < whole; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(next + i), _MM_HINT_T1);
    lookUp(_mm512_loadu_si512(block + i), _mm512_loadu_si512(first + i), _mm512_loadu_si512(second + i),
           sums);
  }
  if (const std::size_t rest = query.pairs % pairsTogether; rest != 0) {
    const auto mask = static_cast<__mmask8>((1U << (2 * rest)) - 1);
    lookUp(_mm512_maskz_loadu_epi64(mask, block + whole), _mm512_loadu_si512(first + whole),
           _mm512_loadu_si512(second + whole), sums);
  }
  return sums;
}

/// Compares BLOCKS blocks.
template <std::size_t BLOCKS>
inline void compareTogether(FourBitQuery& query, const std::uint8_t* blocks, const std::uint8_t* next,
                            std::uint32_t place) {
  const std::size_t blockBytes = fourBitBlockBytes(query.pairs);
  Sums sums[blocksTogether];
#pragma GCC unroll 4
  for (std::size_t b = 0; b < blocksTogether; ++b) {
    sums[b] = b < BLOCKS ? sumsOf(query, blocks + b * blockBytes, next + b * blockBytes)
                         : Sums{_mm512_setzero_si512(), _mm512_setzero_si512()};
  }
  const std::uint8_t* const codes = blocks + query.pairs * fourBitVectors;
  const __m512i odd = quartersAdded(sums[0].odd, sums[1].odd, sums[2].odd, sums[3].odd);
  const __m512i even = _mm512_sub_epi16(
      quartersAdded(sums[0].mixed, sums[1].mixed, sums[2].mixed, sums[3].mixed), _mm512_slli_epi16(odd, 8));
  const __m512i factors = gather<BLOCKS>(codes, blockBytes);
  const __m512i terms = gather<BLOCKS>(codes + fourBitVectors, blockBytes);
  const __m512i none = _mm512_setzero_si512();
  const auto valuesOf = [&](__m512i sum, __m512i factor256, __m512i term256) {
    const __m512i product = _mm512_mulhrs_epi16(_mm512_sub_epi16(sum, _mm512_set1_epi16(query.zero)),
                                                _mm512_srli_epi16(factor256, 1));
    const __m512i scale = _mm512_set1_epi16(static_cast<std::int16_t>(query.termScale));
    return _mm512_add_epi16(product, _mm512_mulhi_epu16(term256, scale));
  };
  // The first eight vectors of each block, and the other eight.
  const __m512i values[2] = {valuesOf(_mm512_unpacklo_epi16(even, odd), _mm512_unpacklo_epi8(none, factors),
                                      _mm512_unpacklo_epi8(none, terms)),
                             valuesOf(_mm512_unpackhi_epi16(even, odd), _mm512_unpackhi_epi8(none, factors),
                                      _mm512_unpackhi_epi8(none, terms))};
  constexpr auto present = static_cast<__mmask32>((std::uint64_t{1} << (8 * BLOCKS)) - 1);
  const __m512i threshold = _mm512_set1_epi16(query.threshold);
#pragma GCC unroll 2
  for (std::uint32_t half = 0; half < 2; ++half) {
    std::uint32_t mask = _mm512_mask_cmple_epi16_mask(present, values[half], threshold);
    if (mask == 0) continue;
    alignas(64) std::int16_t stored[32];
    _mm512_store_si512(stored, values[half]);
    for (; mask != 0; mask &= mask - 1) {
      const auto lane = static_cast<std::uint32_t>(__builtin_ctz(mask));
      query.places[query.found] = place + lane / 8 * 16 + half * 8 + lane % 8;
      query.values[query.found++] = stored[lane];
    }
  }
}

void compareOne(FourBitQuery& query, const std::uint8_t* blocks, std::size_t count,
                const std::uint8_t* next) {
  const std::size_t blockBytes = fourBitBlockBytes(query.pairs);
  query.found = 0;
  std::size_t b = 0;
  const auto go = [&](auto run, std::size_t blocksOfRun) {
    run(query, blocks + b * blockBytes, next + b * blockBytes,
        static_cast<std::uint32_t>(b * fourBitVectors));
    b += blocksOfRun;
  };
  while (b + 4 <= count) go(compareTogether<4>, 4);
  if (count - b == 3) go(compareTogether<3>, 3);
  if (count - b == 2) go(compareTogether<2>, 2);
  if (count - b == 1) go(compareTogether<1>, 1);
}

void compare(FourBitQuery* queries, std::size_t queryCount, const std::uint8_t* blocks, std::size_t count,
             const std::uint8_t* next) {
  for (std::size_t q = 0; q < queryCount; ++q) compareOne(queries[q], blocks, count, next);
}

}  // namespace

const FourBitKernels avx512FourBitKernels = {FourBitOrder::pairs, compare,   multiply, round,
                                             squaredDistance,     dotProduct};

}  // namespace neural_lsh::cpu
