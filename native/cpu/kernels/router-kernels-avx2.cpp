// Compiled with AVX2: bytes are widened to 16 bits, whose products are added in pairs without loss
// (vpmaddubsw would saturate).
#define LANES 8
#define MOST_ROWS 2
#define MOST_BLOCKS 1
#include "router-kernels.inl"

namespace neural_lsh::cpu {
namespace {

/// sums += more, in place: GCC 12 copies the sums around and runs out of registers.
inline void add(__m256i& sums, __m256i more) {
  asm("vpaddd %1, %0, %0" : "+x"(sums) : "x"(more));
}

template <std::size_t ROWS, std::size_t BLOCKS>
void multiplyTile(const ByteWeights& weights, std::size_t block, const std::uint8_t* bytes,
                  std::size_t strideBytes, const ByteRange* ranges, float* out, std::size_t strideOut) {
  static_assert(BLOCKS == 1);
  constexpr std::size_t quarters = 4;  // of a block: 4 outputs x 4 inputs fill a register
  const std::int8_t* weight = weights.bytes + block * weights.quads * 64;
  __m256i sums[ROWS][quarters];
  for (auto& row : sums) {
    for (__m256i& sum : row) sum = _mm256_setzero_si256();
  }
  for (std::size_t quad = 0; quad < weights.quads; ++quad, weight += 64) {
    __m256i row[ROWS];
#pragma GCC unroll 2
    for (std::size_t r = 0; r < ROWS; ++r) {
      std::int32_t four;
      __builtin_memcpy(&four, bytes + r * strideBytes + quad * 4, 4);
      row[r] = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
    }
#pragma GCC unroll 4
    for (std::size_t q = 0; q < quarters; ++q) {
      const __m256i wide =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weight + q * 16)));
#pragma GCC unroll 2
      for (std::size_t r = 0; r < ROWS; ++r) add(sums[r][q], _mm256_madd_epi16(wide, row[r]));
    }
  }
#pragma GCC unroll 2
  for (std::size_t r = 0; r < ROWS; ++r) {
    Integers vectors[parts];
    for (std::size_t i = 0; i < parts; ++i) {
      const __m256i pairs = _mm256_hadd_epi32(sums[r][2 * i], sums[r][2 * i + 1]);
      vectors[i] = reinterpret_cast<Integers>(_mm256_permute4x64_epi64(pairs, 0b11011000));
    }
    finish(weights, block * ByteWeights::blockOutputs, vectors, ranges[r], out + r * strideOut);
  }
}

std::size_t select(const float* values, std::size_t count, float shift, float above, float most,
                   float* selected, std::int32_t* positions) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; i += LANES) {
    const __m256 v = _mm256_sub_ps(_mm256_loadu_ps(values + i), _mm256_set1_ps(shift));
    const __m256 wanted = _mm256_and_ps(_mm256_cmp_ps(v, _mm256_set1_ps(above), _CMP_GT_OQ),
                                        _mm256_cmp_ps(v, _mm256_set1_ps(most), _CMP_LE_OQ));
    for (unsigned mask = static_cast<unsigned>(_mm256_movemask_ps(wanted)); mask != 0; mask &= mask - 1) {
      const std::size_t at = i + static_cast<std::size_t>(__builtin_ctz(mask));
      selected[found] = values[at] - shift;
      positions[found++] = static_cast<std::int32_t>(at);
    }
  }
  return found;
}

}  // namespace
}  // namespace neural_lsh::cpu

#include "router-tiles.inl"

namespace neural_lsh::cpu {

const RouterKernels avx2RouterKernels = {"avx2", quantize, multiply, largest, select, rank, exponentials};

}  // namespace neural_lsh::cpu
