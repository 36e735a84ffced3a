// Compiled with AVX-512 F, BW, DQ, VL and VNNI: vpdpbusd adds 64 products of bytes to 16 sums.
#define LANES 16
#define MOST_ROWS 6
#define MOST_BLOCKS 4
#include "router-kernels.inl"

namespace neural_lsh::cpu {
namespace {

/// _mm512_dpbusd_epi32, for which GCC 12 copies and stores every sum again and again.
inline void addProducts(__m512i& sums, __m512i bytes, __m512i weights) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(bytes), "v"(weights));
}

/// The products of CHAINS quads of inputs, each added to sums of its own.
template <std::size_t CHAINS, std::size_t ROWS, std::size_t BLOCKS>
inline void addQuads(const std::int8_t* weight, std::size_t blockBytes, const std::uint8_t* bytes,
                     std::size_t strideBytes, __m512i* sums) {
#pragma GCC unroll 2
  for (std::size_t chain = 0; chain < CHAINS; ++chain) {
    __m512i columns[BLOCKS];
#pragma GCC unroll 4
    for (std::size_t b = 0; b < BLOCKS; ++b)
      columns[b] = _mm512_loadu_si512(weight + b * blockBytes + chain * 64);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < ROWS; ++r) {
      std::int32_t four;
      __builtin_memcpy(&four, bytes + r * strideBytes + chain * 4, 4);
      const __m512i row = _mm512_set1_epi32(four);
#pragma GCC unroll 4
      for (std::size_t b = 0; b < BLOCKS; ++b)
        addProducts(sums[(chain * ROWS + r) * BLOCKS + b], row, columns[b]);
    }
  }
}

template <std::size_t ROWS, std::size_t BLOCKS>
void multiplyTile(const ByteWeights& weights, std::size_t block, const std::uint8_t* bytes,
                  std::size_t strideBytes, const ByteRange* ranges, float* out, std::size_t strideOut) {
  constexpr std::size_t tile = ROWS * BLOCKS;
  constexpr std::size_t chains = tile < 8 ? 2 : 1;  // enough sums at once to hide their latency
  const std::size_t blockBytes = weights.quads * 64;
  const std::int8_t* weight = weights.bytes + block * blockBytes;
  __m512i sums[chains * tile];
#pragma GCC unroll 24
  for (std::size_t i = 0; i < chains * tile; ++i) sums[i] = _mm512_setzero_si512();
  std::size_t quad = 0;
  for (; quad + chains <= weights.quads; quad += chains, weight += chains * 64, bytes += chains * 4) {
    addQuads<chains, ROWS, BLOCKS>(weight, blockBytes, bytes, strideBytes, sums);
  }
  if (quad < weights.quads) addQuads<1, ROWS, BLOCKS>(weight, blockBytes, bytes, strideBytes, sums);
#pragma GCC unroll 24
  for (std::size_t i = 0; i < tile; ++i) {
    Integers sum = reinterpret_cast<Integers>(sums[i]);
    if constexpr (chains == 2) sum += reinterpret_cast<Integers>(sums[tile + i]);
    const Integers vectors[parts] = {sum};
    finish(weights, (block + i % BLOCKS) * lanes, vectors, ranges[i / BLOCKS],
           out + i / BLOCKS * strideOut + i % BLOCKS * lanes);
  }
}

std::size_t select(const float* values, std::size_t count, float shift, float above, float most,
                   float* selected, std::int32_t* positions) {
  std::size_t found = 0;
  __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (std::size_t i = 0; i < count; i += lanes) {
    const __m512 v = _mm512_sub_ps(_mm512_loadu_ps(values + i), _mm512_set1_ps(shift));
    const __mmask16 wanted = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(v, _mm512_set1_ps(above), _CMP_GT_OQ),
                                                     v, _mm512_set1_ps(most), _CMP_LE_OQ);
    if (wanted != 0) {
      // Compressed in a register: straight into memory takes ten times as long on some CPUs.
      _mm512_storeu_ps(selected + found, _mm512_maskz_compress_ps(wanted, v));
      _mm512_storeu_si512(positions + found, _mm512_maskz_compress_epi32(wanted, at));
      found += static_cast<std::size_t>(__builtin_popcount(wanted));
    }
    at = _mm512_add_epi32(at, _mm512_set1_epi32(lanes));
  }
  return found;
}

}  // namespace
}  // namespace neural_lsh::cpu

#include "router-tiles.inl"

namespace neural_lsh::cpu {

const RouterKernels vnniRouterKernels = {"vnni", quantize, multiply, largest, select, rank, exponentials};

}  // namespace neural_lsh::cpu
