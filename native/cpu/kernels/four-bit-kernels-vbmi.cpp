// Compiled with AVX-512, VNNI and VBMI: a lookup in 64 entries takes the tables of four parts at once, so
// that a vector's bytes can stand together and one instruction adds four of them to a 32-bit sum.
#include <immintrin.h>

#include <array>

#include "four-bit-kernels.h"
#include "four-bit-queries-avx512.inl"

namespace neural_lsh::cpu {
namespace {

constexpr __mmask64 everywhere = ~__mmask64{0};  // the forms without a mask warn in GCC 12

/// The entries that the lower and the upper halves of bytes stand for, in the tables of their four parts.
struct Entries {
  __m512i first, second;
};
inline Entries entriesOf(__m512i codes) {
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i tables = _mm512_set1_epi32(0x30201000);
  constexpr int andOr = 0xEA;  // a & b | c
  return {_mm512_ternarylogic_epi32(codes, low, tables, andOr),
          _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes, 4), low, tables, andOr)};
}

/// Fewer pairs than a group has: where a full group's bytes are among theirs, and which are there.
struct Rest {
  alignas(64) std::array<std::uint8_t, 64> from{};
  __mmask64 present = 0;
};
constexpr std::array<Rest, pairsTogether> rests = [] {
  std::array<Rest, pairsTogether> all{};
  for (std::size_t pairs = 1; pairs < pairsTogether; ++pairs) {
    for (std::size_t i = 0; i < 64; ++i) {
      if (i % pairsTogether >= pairs) continue;
      all[pairs].from[i] = static_cast<std::uint8_t>(i / pairsTogether * pairs + i % pairsTogether);
      all[pairs].present |= __mmask64{1} << i;
    }
  }
  return all;
}();

inline __m512i spread(const std::uint8_t* codes, std::size_t pairs) {
  const __m512i loaded = _mm512_maskz_loadu_epi8((__mmask64{1} << (pairs * fourBitVectors)) - 1, codes);
  return _mm512_maskz_permutexvar_epi8(rests[pairs].present, _mm512_load_si512(rests[pairs].from.data()),
                                       loaded);
}

inline __m512i add(__m512i sums, const Entries& entries, const std::uint8_t* first,
                   const std::uint8_t* second, __mmask64 present) {
  const __m512i a = _mm512_maskz_permutexvar_epi8(present, entries.first, _mm512_loadu_si512(first));
  const __m512i b = _mm512_maskz_permutexvar_epi8(present, entries.second, _mm512_loadu_si512(second));
  return _mm512_dpbusd_epi32(sums, _mm512_add_epi8(a, b), _mm512_set1_epi8(1));
}

inline __m512i widened(const std::uint8_t* bytes) {
  return _mm512_maskz_cvtepu8_epi32(0xFFFF, _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

/// Writes the vectors that pass, without a branch for each.
inline void keep(FourBitQuery& query, __m512i sums, __m512i factors, __m512i terms, std::uint32_t place) {
  const __m512i steps = _mm512_sub_epi32(sums, _mm512_set1_epi32(query.zero));
  const __m512i products = _mm512_mullo_epi32(_mm512_maskz_slli_epi32(0xFFFF, steps, 7), factors);
  const __m512i values = _mm512_add_epi32(
      _mm512_maskz_srai_epi32(0xFFFF, _mm512_add_epi32(products, _mm512_set1_epi32(1 << 14)), 15),
      _mm512_maskz_srli_epi32(0xFFFF, _mm512_mullo_epi32(terms, _mm512_set1_epi32(query.termScale)), 8));
  const __mmask16 mask = _mm512_cmple_epi32_mask(values, _mm512_set1_epi32(query.threshold));
  if (mask == 0) return;
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i places = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(place)), lanes);
  _mm512_storeu_si512(query.places + query.found, _mm512_maskz_compress_epi32(mask, places));
  _mm512_storeu_si512(query.values + query.found, _mm512_maskz_compress_epi32(mask, values));
  query.found += static_cast<std::size_t>(__builtin_popcount(mask));
}

template <std::size_t QUERIES>
void compareTogether(FourBitQuery* queries, const std::uint8_t* block, std::size_t count,
                     const std::uint8_t* next) {
  const std::size_t pairs = queries[0].pairs, rest = pairs % pairsTogether;
  const std::size_t tableBytes = (pairs + pairsTogether - 1) / pairsTogether * 64;
  const std::size_t whole = (pairs - rest) * fourBitVectors;
  for (std::size_t q = 0; q < QUERIES; ++q) queries[q].found = 0;
  for (std::size_t b = 0; b < count; ++b) {
    __m512i sums[QUERIES];
#pragma GCC unroll 4
    for (std::size_t q = 0; q < QUERIES; ++q) sums[q] = _mm512_setzero_si512();
    const auto step = [&](const Entries& entries, std::size_t at, __mmask64 present)
                          __attribute__((always_inline)) {
#pragma GCC unroll 4
                            for (std::size_t q = 0; q < QUERIES; ++q) {
                              const std::uint8_t* const tables = queries[q].tables + at;
                              sums[q] = add(sums[q], entries, tables, tables + tableBytes, present);
                            }
                          };
    for (std::size_t at = 0; at < whole; at += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(next + at), _MM_HINT_T1);
      step(entriesOf(_mm512_loadu_si512(block + at)), at, everywhere);
    }
    if (rest != 0) step(entriesOf(spread(block + whole, rest)), whole, rests[rest].present);
    const __m512i factors = widened(block + pairs * fourBitVectors);
    const __m512i terms = widened(block + (pairs + 1) * fourBitVectors);
#pragma GCC unroll 4
    for (std::size_t q = 0; q < QUERIES; ++q)
      keep(queries[q], sums[q], factors, terms, static_cast<std::uint32_t>(b * fourBitVectors));
    block += fourBitBlockBytes(pairs);
    next += fourBitBlockBytes(pairs);
  }
}

void compare(FourBitQuery* queries, std::size_t queryCount, const std::uint8_t* blocks, std::size_t count,
             const std::uint8_t* next) {
  switch (queryCount) {
    case 4:
      return compareTogether<4>(queries, blocks, count, next);
    case 3:
      return compareTogether<3>(queries, blocks, count, next);
    case 2:
      return compareTogether<2>(queries, blocks, count, next);
    default:
      return compareTogether<1>(queries, blocks, count, next);
  }
}

}  // namespace

const FourBitKernels vbmiFourBitKernels = {FourBitOrder::vectors, compare,   multiply, round,
                                           squaredDistance,       dotProduct};

}  // namespace neural_lsh::cpu
