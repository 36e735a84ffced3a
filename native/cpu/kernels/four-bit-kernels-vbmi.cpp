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

inline __m512i add(__m512i sums, const Entries& entries, const Entries& tables, __mmask64 present) {
  const __m512i a = _mm512_maskz_permutexvar_epi8(present, entries.first, tables.first);
  const __m512i b = _mm512_maskz_permutexvar_epi8(present, entries.second, tables.second);
  return _mm512_dpbusd_epi32(sums, _mm512_add_epi8(a, b), _mm512_set1_epi8(1));
}

/// Two blocks' vectors are judged together, in 16 bits: four of the first, four of the second, and so on.
constexpr std::size_t blocksPerPair = 2;
constexpr std::uint32_t firstOfPair = 0x0F0F0F0F;
inline __m512i paired(__m512i first, __m512i second) {
  return _mm512_packs_epi32(first, second);
}
inline __m512i paired(const std::uint8_t* first, const std::uint8_t* second) {
  const auto widened = [](const std::uint8_t* bytes) {
    return _mm512_maskz_cvtepu8_epi32(0xFFFF, _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  };
  return paired(widened(first), widened(second));
}
constexpr std::array<std::int32_t, blocksPerPair * fourBitVectors> placesInPair = [] {
  std::array<std::int32_t, blocksPerPair * fourBitVectors> places{};
  for (std::size_t i = 0; i < places.size(); ++i)
    places[i] = static_cast<std::int32_t>(i / 4 % 2 * fourBitVectors + i / 8 * 4 + i % 4);
  return places;
}();

/// Of a pair of blocks, as all queries see it.
struct Pair {
  __m512i factors, terms;
  std::uint32_t place;
  __mmask32 present;
};

template <int HALF>
void write(FourBitQuery& query, __m512i pairValues, const Pair& pair, __mmask32 pairMask) {
  const auto mask = static_cast<__mmask16>(pairMask >> (HALF * 16));
  const __m256i values = _mm512_maskz_extracti64x4_epi64(0xF, pairValues, HALF);
  const __m512i placed = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(pair.place)),
                                          _mm512_loadu_si512(placesInPair.data() + HALF * 16));
  _mm512_storeu_si512(query.places + query.found, _mm512_maskz_compress_epi32(mask, placed));
  _mm512_storeu_si512(query.values + query.found,
                      _mm512_maskz_compress_epi32(mask, _mm512_maskz_cvtepi16_epi32(0xFFFF, values)));
  query.found += static_cast<std::size_t>(__builtin_popcount(mask));
}

/// Writes the vectors that pass, without a branch for each.
inline void keep(FourBitQuery& query, __m512i steps, const Pair& pair) {
  const __m512i values = _mm512_add_epi16(
      _mm512_mulhrs_epi16(steps, pair.factors),
      _mm512_mulhi_epu16(pair.terms, _mm512_set1_epi16(static_cast<short>(query.termScale))));
  const __mmask32 mask =
      _mm512_mask_cmple_epi16_mask(pair.present, values, _mm512_set1_epi16(query.threshold));
  if (mask == 0) return;
  write<0>(query, values, pair, mask);
  write<1>(query, values, pair, mask);
}

/// Adds what the blocks of a pair have at one place to all queries' sums; a table is loaded once for both.
template <std::size_t Queries>
inline void addTogether(const FourBitQuery* queries, std::size_t at, std::size_t tableBytes,
                        const Entries& first, const Entries& second, __mmask64 present,
                        __m512i (&sums)[Queries][blocksPerPair]) {
#pragma GCC unroll 4
  for (std::size_t q = 0; q < Queries; ++q) {
    const std::uint8_t* const from = queries[q].tables + at;
    const Entries tables = {_mm512_loadu_si512(from), _mm512_loadu_si512(from + tableBytes)};
    sums[q][0] = add(sums[q][0], first, tables, present);
    sums[q][1] = add(sums[q][1], second, tables, present);
  }
}

inline void prefetch(const std::uint8_t* bytes) {
  _mm_prefetch(reinterpret_cast<const char*>(bytes), _MM_HINT_T1);
}

/// A query alone gains little by loading a table once for both blocks, and is as fast as memory where the
/// codes come from there: it reads and asks for one block after the other, in the order in which they lie.
inline void addInTurn(const FourBitQuery& query, std::array<const std::uint8_t*, blocksPerPair> blocks,
                      std::array<const std::uint8_t*, blocksPerPair> ahead, std::size_t bytes,
                      std::size_t tableBytes, __m512i (&sums)[blocksPerPair]) {
#pragma GCC unroll 2
  for (std::size_t block = 0; block < blocksPerPair; ++block) {
    for (std::size_t at = 0; at < bytes; at += 64) {
      prefetch(ahead[block] + at);
      const std::uint8_t* const from = query.tables + at;
      sums[block] = add(sums[block], entriesOf(_mm512_loadu_si512(blocks[block] + at)),
                        {_mm512_loadu_si512(from), _mm512_loadu_si512(from + tableBytes)}, everywhere);
    }
  }
}

template <std::size_t Queries>
void compareTogether(FourBitQuery* queries, const std::uint8_t* blocks, std::size_t count,
                     const std::uint8_t* next) {
  const std::size_t pairs = queries[0].pairs, rest = pairs % pairsTogether;
  const std::size_t tableBytes = (pairs + pairsTogether - 1) / pairsTogether * 64;
  const std::size_t whole = (pairs - rest) * fourBitVectors, blockBytes = fourBitBlockBytes(pairs);
  const std::size_t factors = pairs * fourBitVectors, terms = factors + fourBitVectors;
  constexpr __mmask32 all = ~__mmask32{0};
  for (std::size_t q = 0; q < Queries; ++q) queries[q].found = 0;
  for (std::size_t b = 0; b < count; b += blocksPerPair) {
    // The last may be alone.
    const bool isPair = b + 1 < count;
    const std::uint8_t* const first = blocks + b * blockBytes;
    const std::uint8_t* const second = isPair ? first + blockBytes : first;
    const std::uint8_t* const ahead = next + b * blockBytes;
    __m512i sums[Queries][blocksPerPair];
#pragma GCC unroll 4
    for (std::size_t q = 0; q < Queries; ++q) sums[q][0] = sums[q][1] = _mm512_set1_epi32(-queries[q].zero);
    if constexpr (Queries == 1) {
      addInTurn(queries[0], {first, second}, {ahead, ahead + blockBytes}, whole, tableBytes, sums[0]);
    } else {
      for (std::size_t at = 0; at < whole; at += 64) {
        prefetch(ahead + at);
        prefetch(ahead + blockBytes + at);
        addTogether(queries, at, tableBytes, entriesOf(_mm512_loadu_si512(first + at)),
                    entriesOf(_mm512_loadu_si512(second + at)), everywhere, sums);
      }
    }
    if (rest != 0)
      addTogether(queries, whole, tableBytes, entriesOf(spread(first + whole, rest)),
                  entriesOf(spread(second + whole, rest)), rests[rest].present, sums);
    const Pair pair = {_mm512_maskz_slli_epi16(all, paired(first + factors, second + factors), 7),
                       _mm512_maskz_slli_epi16(all, paired(first + terms, second + terms), 8),
                       static_cast<std::uint32_t>(b * fourBitVectors), isPair ? all : firstOfPair};
#pragma GCC unroll 4
    for (std::size_t q = 0; q < Queries; ++q) keep(queries[q], paired(sums[q][0], sums[q][1]), pair);
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
