// Compiled with AVX-512 and VNNI: 64 products of bytes an instruction.
#include <immintrin.h>

#include "scan-kernels.h"
#include "scan-select-avx512.inl"

namespace neural_lsh::cpu {
namespace {

__m512i broadcast(const std::int8_t* four) {
  int value;
  __builtin_memcpy(&value, four, sizeof(value));
  return _mm512_set1_epi32(value);
}

/// BLOCKS blocks against QUERIES queries, the sums over even and over odd groups apart where they are few:
/// each instruction waits for the one before it. `next` is what is asked for meanwhile.
template <std::size_t QUERIES, std::size_t BLOCKS, bool LOW>
inline void compareTile(const std::uint8_t* blocks, const std::uint8_t* next, std::uint32_t place,
                        std::size_t groups, ByteQuery* queries) {
  constexpr std::size_t levels = LOW ? 2 : 1;
  constexpr std::size_t chains = QUERIES * BLOCKS * levels < 4 ? 2 : 1;
  const std::size_t blockBytes = byteBlockBytes(groups);
  const std::uint8_t* const codes = blocks + blockVectors * sizeof(float);
  __m512i sums[QUERIES][levels][BLOCKS][chains];
#pragma GCC unroll 4
  for (std::size_t q = 0; q < QUERIES; ++q) {
#pragma GCC unroll 2
    for (std::size_t level = 0; level < levels; ++level) {
#pragma GCC unroll 2
      for (std::size_t b = 0; b < BLOCKS; ++b) {
#pragma GCC unroll 2
        for (std::size_t c = 0; c < chains; ++c) sums[q][level][b][c] = _mm512_setzero_si512();
      }
    }
  }
  const auto step = [&](std::size_t group, std::size_t chain) __attribute__((always_inline)) {
    __m512i values[BLOCKS];
#pragma GCC unroll 2
    for (std::size_t b = 0; b < BLOCKS; ++b) {
      _mm_prefetch(reinterpret_cast<const char*>(next + b * blockBytes + (group + 1) * groupBytes),
                   _MM_HINT_T1);
      values[b] = _mm512_loadu_si512(codes + b * blockBytes + group * groupBytes);
    }
#pragma GCC unroll 4
    for (std::size_t q = 0; q < QUERIES; ++q) {
#pragma GCC unroll 2
      for (std::size_t level = 0; level < levels; ++level) {
        const __m512i query =
            broadcast((level == 0 ? queries[q].high : queries[q].low) + groupDimensions * group);
#pragma GCC unroll 2
        for (std::size_t b = 0; b < BLOCKS; ++b) {
          sums[q][level][b][chain] = _mm512_dpbusd_epi32(sums[q][level][b][chain], values[b], query);
        }
      }
    }
  };
  std::size_t group = 0;
  for (; group + chains <= groups; group += chains) {
#pragma GCC unroll 2
    for (std::size_t c = 0; c < chains; ++c) step(group + c, c);
  }
  if (group < groups) step(group, 0);
#pragma GCC unroll 4
  for (std::size_t q = 0; q < QUERIES; ++q) {
#pragma GCC unroll 2
    for (std::size_t b = 0; b < BLOCKS; ++b) {
#pragma GCC unroll 2
      for (std::size_t level = 0; level < levels && chains == 2; ++level) {
        sums[q][level][b][0] = _mm512_add_epi32(sums[q][level][b][0], sums[q][level][b][chains - 1]);
      }
      select(queries[q], reinterpret_cast<const float*>(blocks + b * blockBytes),
             place + static_cast<std::uint32_t>(b * blockVectors), sums[q][0][b][0],
             sums[q][levels - 1][b][0], LOW);
    }
  }
}

template <std::size_t QUERIES, std::size_t BLOCKS, bool LOW>
void compare(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries) {
  const std::size_t blockBytes = byteBlockBytes(groups);
  const auto at = [&](std::size_t b) { return blocks.blocks + b * blockBytes; };
  // Without a next block, this one is asked for: it costs nothing.
  const auto next = [&](std::size_t b, std::size_t count) {
    return b + count <= blocks.nextCount ? blocks.next + b * blockBytes : at(b);
  };
  std::size_t b = 0;
  for (; b + BLOCKS <= blocks.count; b += BLOCKS) {
    compareTile<QUERIES, BLOCKS, LOW>(at(b), next(b, BLOCKS), static_cast<std::uint32_t>(b * blockVectors),
                                      groups, queries);
  }
  if constexpr (BLOCKS > 1) {
    for (; b < blocks.count; ++b) {
      compareTile<QUERIES, 1, LOW>(at(b), next(b, 1), static_cast<std::uint32_t>(b * blockVectors), groups,
                                   queries);
    }
  }
}

template <bool LOW>
void compareAll(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries, std::size_t queryCount) {
  switch (queryCount) {
    case 4:
      return compare<4, 2, LOW>(blocks, groups, queries);
    case 3:
      return compare<3, 2, LOW>(blocks, groups, queries);
    case 2:
      return compare<2, 2, LOW>(blocks, groups, queries);
    default:
      return compare<1, 1, LOW>(blocks, groups, queries);  // one stream is what memory delivers fastest
  }
}

void compareBytes(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries, std::size_t queryCount) {
  for (std::size_t q = 0; q < queryCount; ++q) queries[q].found = 0;
  if (queries[0].low == nullptr) {
    compareAll<false>(blocks, groups, queries, queryCount);
  } else {
    compareAll<true>(blocks, groups, queries, queryCount);
  }
}

__m512 asFloats(__m128i bytes) {
  return _mm512_maskz_cvtepi32_ps(0xFFFF, _mm512_maskz_cvtepu8_epi32(0xFFFF, bytes));
}

/// The sum of step(sums, query's numbers, row's numbers).
template <typename Step>
inline float summed(const float* query, const std::uint8_t* row, std::size_t columns, const Step& step) {
  __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  std::size_t c = 0;
  for (; c + 32 <= columns; c += 32) {
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + c + 16 * i));
      sums[i] = step(sums[i], _mm512_loadu_ps(query + c + 16 * i), asFloats(bytes));
    }
  }
  for (; c < columns; c += 16) {
    const std::size_t count = columns - c < 16 ? columns - c : 16;
    const auto mask = static_cast<__mmask16>((1U << count) - 1);
    sums[0] =
        step(sums[0], _mm512_maskz_loadu_ps(mask, query + c), asFloats(_mm_maskz_loadu_epi8(mask, row + c)));
  }
  const __m512 all = _mm512_add_ps(sums[0], sums[1]);
  const __m256 eight =
      _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xFF, all, 0), _mm512_maskz_extractf32x8_ps(0xFF, all, 1));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

float squaredDistance(const float* query, const std::uint8_t* row, std::size_t columns) {
  return summed(query, row, columns, [](__m512 sums, __m512 a, __m512 b) {
    const __m512 difference = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(difference, difference, sums);
  });
}

float dotProduct(const float* query, const std::uint8_t* row, std::size_t columns) {
  return summed(query, row, columns,
                [](__m512 sums, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sums); });
}

__m512d widen(const float* p) {
  return _mm512_maskz_cvtps_pd(0xFF, _mm256_loadu_ps(p));
}

__m512d widen(const std::uint8_t* p) {
  return _mm512_maskz_cvtepi32_pd(0xFF,
                                  _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

double total(__m512d sums) {
  double lanes[8];
  _mm512_storeu_pd(lanes, sums);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

double exactSquaredDistance(const float* query, const std::uint8_t* row, std::size_t columns) {
  __m512d sums[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
  std::size_t c = 0;
  for (; c + 16 <= columns; c += 16) {
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i) {
      const __m512d difference = _mm512_sub_pd(widen(query + c + 8 * i), widen(row + c + 8 * i));
      sums[i] = _mm512_fmadd_pd(difference, difference, sums[i]);
    }
  }
  double sum = total(_mm512_add_pd(sums[0], sums[1]));
  for (; c < columns; ++c) {
    const double difference = static_cast<double>(query[c]) - row[c];
    sum += difference * difference;
  }
  return sum;
}

double exactDotProduct(const float* query, const std::uint8_t* row, std::size_t columns) {
  __m512d sums[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
  std::size_t c = 0;
  for (; c + 16 <= columns; c += 16) {
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i) {
      sums[i] = _mm512_fmadd_pd(widen(query + c + 8 * i), widen(row + c + 8 * i), sums[i]);
    }
  }
  double sum = total(_mm512_add_pd(sums[0], sums[1]));
  for (; c < columns; ++c) sum += static_cast<double>(query[c]) * row[c];
  return sum;
}

}  // namespace

const ScanKernels vnniScanKernels = {4,          compareBytes,         squaredDistance,
                                     dotProduct, exactSquaredDistance, exactDotProduct};

}  // namespace neural_lsh::cpu
