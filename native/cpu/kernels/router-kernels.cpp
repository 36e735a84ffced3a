// What every CPU of the architecture runs: products and choices in plain loops, and the pick among the
// variants.
#define LANES 4
#include "router-kernels.inl"

#include "instruction-set.h"

namespace neural_lsh::cpu {
namespace {

typedef std::int16_t Shorts __attribute__((vector_size(16)));

/// Products of 8 neighbors, added in pairs.
inline Integers pairProducts(Shorts a, Shorts b) {
#ifdef NEURAL_LSH_X86
  return reinterpret_cast<Integers>(
      _mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#elif defined(__aarch64__)
  return vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
#else
  Integers sums;
  for (std::size_t i = 0; i < LANES; ++i) sums[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
  return sums;
#endif
}

/// 8 signed bytes.
inline Shorts widen(const std::int8_t* p) {
#ifdef NEURAL_LSH_X86
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return reinterpret_cast<Shorts>(_mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8));
#else
  typedef std::int8_t Eight __attribute__((vector_size(8), aligned(1), may_alias));
  return __builtin_convertvector(*reinterpret_cast<const Eight*>(p), Shorts);
#endif
}

/// 4 unsigned bytes, twice.
inline Shorts widenFour(const std::uint8_t* p) {
  [[maybe_unused]] std::uint32_t four;
  __builtin_memcpy(&four, p, 4);
#ifdef NEURAL_LSH_X86
  const __m128i bytes = _mm_set1_epi32(static_cast<int>(four));
  return reinterpret_cast<Shorts>(_mm_unpacklo_epi8(bytes, _mm_setzero_si128()));
#elif defined(__aarch64__)
  return reinterpret_cast<Shorts>(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four))));
#else
  return Shorts{p[0], p[1], p[2], p[3], p[0], p[1], p[2], p[3]};
#endif
}

void multiply(const ByteWeights& weights, std::size_t begin, std::size_t end, const std::uint8_t* bytes,
              std::size_t strideBytes, const ByteRange* ranges, std::size_t rows, float* out,
              std::size_t strideOut) {
  constexpr std::size_t pairs = lanes / 2;  // of outputs: 2 x 4 inputs fill a register
  for (std::size_t block = begin; block < end; ++block) {
    for (std::size_t row = 0; row < rows; ++row) {
      const std::int8_t* weight = weights.bytes + block * weights.quads * 64;
      const std::uint8_t* byte = bytes + row * strideBytes;
      Integers sums[pairs] = {};
      for (std::size_t quad = 0; quad < weights.quads; ++quad, weight += 64, byte += 4) {
        const Shorts four = widenFour(byte);
#pragma GCC unroll 8
        for (std::size_t p = 0; p < pairs; ++p) sums[p] += pairProducts(widen(weight + p * 8), four);
      }
      Integers vectors[parts];
      for (std::size_t i = 0; i < parts; ++i) {
        const Integers first = sums[2 * i], second = sums[2 * i + 1];
        vectors[i] =
            Integers{first[0] + first[1], first[2] + first[3], second[0] + second[1], second[2] + second[3]};
      }
      finish(weights, block * lanes, vectors, ranges[row], out + row * strideOut + (block - begin) * lanes);
    }
  }
}

std::size_t select(const float* values, std::size_t count, float shift, float above, float most,
                   float* selected, std::int32_t* positions) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float value = values[i] - shift;
    selected[found] = value;
    positions[found] = static_cast<std::int32_t>(i);
    found += value > above && value <= most ? 1 : 0;
  }
  return found;
}

}  // namespace

const RouterKernels baselineRouterKernels = {"baseline", quantize, multiply,    largest,
                                             select,     rank,     exponentials};

const RouterKernels& routerKernels() {
#ifdef NEURAL_LSH_X86
  static const RouterKernels picked = instructionSet() >= InstructionSet::amx    ? amxRouterKernels()
                                      : instructionSet() >= InstructionSet::vnni ? vnniRouterKernels
                                      : instructionSet() >= InstructionSet::avx2 ? avx2RouterKernels
                                                                                 : baselineRouterKernels;
  return picked;
#else
  return baselineRouterKernels;
#endif
}

}  // namespace neural_lsh::cpu
