// Compiled with AVX2: bytes are widened to 16 bits, whose products are added in pairs.
#include <immintrin.h>

#include "scan-kernels.h"

namespace neural_lsh::cpu {
namespace {

/// The products of a block's vectors with QUERIES queries: four registers each, of eight partial sums for
/// four vectors.
template <std::size_t QUERIES>
void multiply(const std::uint8_t* codes, std::size_t groups, const std::int8_t* const* queries,
              std::int32_t (*products)[blockVectors]) {
  __m256i sums[QUERIES][4];
  for (std::size_t q = 0; q < QUERIES; ++q) {
    for (std::size_t i = 0; i < 4; ++i) sums[q][i] = _mm256_setzero_si256();
  }
  for (std::size_t g = 0; g < groups; ++g, codes += groupBytes) {
    __m256i values[4];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      values[i] = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + 16 * i)));
    }
#pragma GCC unroll 2
    for (std::size_t q = 0; q < QUERIES; ++q) {
      int four;
      __builtin_memcpy(&four, queries[q] + groupDimensions * g, sizeof(four));
      const __m256i query = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
#pragma GCC unroll 4
      for (std::size_t i = 0; i < 4; ++i) {
        sums[q][i] = _mm256_add_epi32(sums[q][i], _mm256_madd_epi16(values[i], query));
      }
    }
  }
  for (std::size_t q = 0; q < QUERIES; ++q) {
    for (std::size_t i = 0; i < 4; i += 2) {
      const __m256i pairs = _mm256_hadd_epi32(sums[q][i], sums[q][i + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(products[q] + 4 * i),
                          _mm256_permute4x64_epi64(pairs, 0xD8));
    }
  }
}

void select(ByteQuery& query, const float* biases, std::uint32_t place, const std::int32_t* high,
            const std::int32_t* low) {
  for (std::size_t v = 0; v < blockVectors; v += 8) {
    __m256 product = _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(high + v)));
    if (low != nullptr) {
      const __m256 rest = _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low + v)));
      product = _mm256_add_ps(product, _mm256_mul_ps(rest, _mm256_set1_ps(0x1p-7F)));
    }
    __m256 scaled = _mm256_mul_ps(_mm256_set1_ps(query.scale), product);
    asm("" : "+x"(scaled));  // a fused multiply-add would round once where the others round twice
    const __m256 values = _mm256_add_ps(scaled, _mm256_loadu_ps(biases + v));
    const __m256 passed = _mm256_cmp_ps(values, _mm256_set1_ps(query.threshold), _CMP_LE_OQ);
    auto mask = static_cast<unsigned>(_mm256_movemask_ps(passed));
    if (mask == 0) continue;
    float stored[8];
    _mm256_storeu_ps(stored, values);
    for (; mask != 0; mask &= mask - 1) {
      const auto lane = static_cast<unsigned>(__builtin_ctz(mask));
      query.survivors[query.found++] = {place + static_cast<std::uint32_t>(v) + lane, stored[lane]};
    }
  }
}

template <std::size_t QUERIES>
void compareBlock(const std::uint8_t* block, std::uint32_t place, std::size_t groups, ByteQuery* queries) {
  const auto* biases = reinterpret_cast<const float*>(block);
  const std::uint8_t* codes = block + blockVectors * sizeof(float);
  const std::int8_t* parts[QUERIES];
  std::int32_t high[QUERIES][blockVectors], low[QUERIES][blockVectors];
  for (std::size_t q = 0; q < QUERIES; ++q) parts[q] = queries[q].high;
  multiply<QUERIES>(codes, groups, parts, high);
  const bool hasLow = queries[0].low != nullptr;
  if (hasLow) {
    for (std::size_t q = 0; q < QUERIES; ++q) parts[q] = queries[q].low;
    multiply<QUERIES>(codes, groups, parts, low);
  }
  for (std::size_t q = 0; q < QUERIES; ++q)
    select(queries[q], biases, place, high[q], hasLow ? low[q] : nullptr);
}

void compareBytes(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries, std::size_t queryCount) {
  const std::size_t blockBytes = byteBlockBytes(groups);
  for (std::size_t q = 0; q < queryCount; ++q) queries[q].found = 0;
  for (std::size_t b = 0; b < blocks.count; ++b) {
    for (std::size_t line = 0; b < blocks.nextCount && line < blockBytes; line += groupBytes) {
      _mm_prefetch(reinterpret_cast<const char*>(blocks.next + b * blockBytes + line), _MM_HINT_T1);
    }
    const std::uint8_t* const block = blocks.blocks + b * blockBytes;
    const auto place = static_cast<std::uint32_t>(b * blockVectors);
    std::size_t q = 0;
    for (; q + 2 <= queryCount; q += 2) compareBlock<2>(block, place, groups, queries + q);
    if (q < queryCount) compareBlock<1>(block, place, groups, queries + q);
  }
}

__m256d widen(const float* p) {
  return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

__m256d widen(const std::uint8_t* p) {
  int four;
  __builtin_memcpy(&four, p, sizeof(four));
  return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)));
}

double total(__m256d sums) {
  double lanes[4];
  _mm256_storeu_pd(lanes, sums);
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

/// The sum of step(sums, query's numbers, row's numbers).
template <typename Step>
inline float summed(const float* query, const std::uint8_t* row, std::size_t columns, const Step& step) {
  __m256 sums = _mm256_setzero_ps();
  const auto add = [&](const float* numbers, const std::uint8_t* bytes) {
    const __m256i widened = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
    sums = step(sums, _mm256_loadu_ps(numbers), _mm256_cvtepi32_ps(widened));
  };
  std::size_t c = 0;
  for (; c + 8 <= columns; c += 8) add(query + c, row + c);
  if (c < columns) {
    float numbers[8] = {};
    std::uint8_t bytes[8] = {};
    __builtin_memcpy(numbers, query + c, (columns - c) * sizeof(float));
    __builtin_memcpy(bytes, row + c, columns - c);
    add(numbers, bytes);
  }
  float lanes[8];
  _mm256_storeu_ps(lanes, sums);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

float squaredDistance(const float* query, const std::uint8_t* row, std::size_t columns) {
  return summed(query, row, columns, [](__m256 sums, __m256 a, __m256 b) {
    const __m256 difference = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(difference, difference, sums);
  });
}

float dotProduct(const float* query, const std::uint8_t* row, std::size_t columns) {
  return summed(query, row, columns,
                [](__m256 sums, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sums); });
}

double exactSquaredDistance(const float* query, const std::uint8_t* row, std::size_t columns) {
  __m256d sums[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
  std::size_t c = 0;
  for (; c + 8 <= columns; c += 8) {
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i) {
      const __m256d difference = _mm256_sub_pd(widen(query + c + 4 * i), widen(row + c + 4 * i));
      sums[i] = _mm256_fmadd_pd(difference, difference, sums[i]);
    }
  }
  double sum = total(_mm256_add_pd(sums[0], sums[1]));
  for (; c < columns; ++c) {
    const double difference = static_cast<double>(query[c]) - row[c];
    sum += difference * difference;
  }
  return sum;
}

double exactDotProduct(const float* query, const std::uint8_t* row, std::size_t columns) {
  __m256d sums[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
  std::size_t c = 0;
  for (; c + 8 <= columns; c += 8) {
#pragma GCC unroll 2
    for (std::size_t i = 0; i < 2; ++i) {
      sums[i] = _mm256_fmadd_pd(widen(query + c + 4 * i), widen(row + c + 4 * i), sums[i]);
    }
  }
  double sum = total(_mm256_add_pd(sums[0], sums[1]));
  for (; c < columns; ++c) sum += static_cast<double>(query[c]) * row[c];
  return sum;
}

}  // namespace

const ScanKernels avx2ScanKernels = {4,          compareBytes,         squaredDistance,
                                     dotProduct, exactSquaredDistance, exactDotProduct};

}  // namespace neural_lsh::cpu
