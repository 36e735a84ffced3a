// The kernels of panels.h, written once over vectors of LANES 32-bit words (GCC and Clang vector extensions).
// The including file sets LANES, TILE_ROWS, TILE_VECTORS, the table's name and, for products of bytes, BYTES,
// and is compiled for its instruction set. As in kernels.inl everything has internal linkage and no header
// with inline code is included.
#include "panels.h"

#ifdef BYTES
#include "byte-products.h"
#else
#include "float-products.h"
#endif

#ifdef NEURAL_LSH_X86
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace neural_lsh::cpu {
namespace {

#ifdef BYTES
using Value = std::int32_t;
#else
using Value = float;
#endif
typedef Value Vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
constexpr std::size_t width = TILE_VECTORS * LANES;

inline Vector load(const void* p) {
  return *static_cast<const Vector*>(p);
}
inline void store(Value* p, Vector v) {
  *reinterpret_cast<Vector*>(p) = v;
}
inline Vector splat(Value value) {
  return value - Vector{};  // no addition to zero, which would have to be carried out: -0 + 0 is 0
}

#ifndef BYTES

constexpr std::size_t elements = 1;
constexpr std::uint32_t signedOffset = 0;

inline Vector factor(std::uint32_t word) {
  return splat(__builtin_bit_cast(float, word));
}
inline Vector multiplyAdd(Vector sums, Vector a, Vector b) {
  return sums + a * b;
}

#elif defined(__AVX512VNNI__)

// One factor must be signed: <a - 128, b>, and the panel's first line holds what is missing, 128 sum(b).
constexpr std::size_t elements = 4;
constexpr std::uint32_t signedOffset = 128;

inline Vector factor(std::uint32_t word) {
  return splat(static_cast<Value>(word ^ 0x80808080U));
}
inline Vector multiplyAdd(Vector sums, Vector a, Vector b) {
  return reinterpret_cast<Vector>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(b), reinterpret_cast<__m512i>(a)));
}

#else

constexpr std::size_t elements = 2;
constexpr std::uint32_t signedOffset = 0;

inline Vector factor(std::uint32_t word) {
  return splat(static_cast<Value>(word));
}
inline Vector multiplyAdd(Vector sums, Vector a, Vector b) {
#if LANES == 16
  return sums + reinterpret_cast<Vector>(
                    _mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif LANES == 8
  return sums + reinterpret_cast<Vector>(
                    _mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(NEURAL_LSH_X86)
  return sums +
         reinterpret_cast<Vector>(_mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#elif defined(__aarch64__)
  const int16x8_t x = reinterpret_cast<int16x8_t>(a), y = reinterpret_cast<int16x8_t>(b);
  return sums + reinterpret_cast<Vector>(
                    vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
#else
  return sums + (a & 0xFFFF) * (b & 0xFFFF) + (a >> 16) * (b >> 16);
#endif
}

#endif

struct Tile {
  Vector sums[TILE_ROWS][TILE_VECTORS];
};

template <typename Body>
inline void forVectors(const Body& body) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < TILE_ROWS; ++i) {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < TILE_VECTORS; ++j) body(i, j);
  }
}

inline void addSteps(Tile& tile, std::size_t steps, const std::uint32_t* a, const std::uint32_t* b) {
#pragma GCC unroll 2
  for (std::size_t step = 0; step < steps; ++step, a += width, b += width) {
    Vector columns[TILE_VECTORS];
#pragma GCC unroll 4
    for (std::size_t j = 0; j < TILE_VECTORS; ++j) columns[j] = load(b + j * LANES);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < TILE_ROWS; ++i) {
      const Vector row = factor(a[i]);
#pragma GCC unroll 4
      for (std::size_t j = 0; j < TILE_VECTORS; ++j)
        tile.sums[i][j] = multiplyAdd(tile.sums[i][j], row, columns[j]);
    }
  }
}

inline Tile products(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b) {
  Tile tile;
  forVectors([&](std::size_t i, std::size_t j) { tile.sums[i][j] = load(b + j * LANES); });
  a += width;
  b += width;
#ifndef BYTES
  // In blocks, so that rounding errors grow with a block and the number of blocks, not with the depth.
  if (steps > panelBlockSteps) {
    alignas(64) Value total[TILE_ROWS * width] = {};
    for (std::size_t first = 0; first < steps; first += panelBlockSteps) {
      const std::size_t rest = steps - first;
      addSteps(tile, rest < panelBlockSteps ? rest : panelBlockSteps, a + first * width, b + first * width);
      forVectors([&](std::size_t i, std::size_t j) {
        Value* const target = total + i * width + j * LANES;
        store(target, load(target) + tile.sums[i][j]);
        tile.sums[i][j] = Vector{};
      });
    }
    forVectors([&](std::size_t i, std::size_t j) { tile.sums[i][j] = load(total + i * width + j * LANES); });
    return tile;
  }
#endif
  addSteps(tile, steps, a, b);
  return tile;
}

void multiply(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, Value* c,
              std::size_t strideC) {
  const Tile tile = products(steps, a, b);
  forVectors([&](std::size_t i, std::size_t j) { store(c + i * strideC + j * LANES, tile.sums[i][j]); });
}

inline Vector greater(Vector a, Vector b) {
#if LANES == 16 && defined(BYTES)
  return reinterpret_cast<Vector>(
      _mm512_maskz_max_epi32(0xFFFF, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif LANES == 16
  return reinterpret_cast<Vector>(
      _mm512_maskz_max_ps(0xFFFF, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#else
  return a > b ? a : b;
#endif
}

/// A bit for each lane.
inline unsigned atMost(Vector distance, Vector limits) {
#if LANES == 16 && defined(BYTES)
  return _mm512_cmple_epi32_mask(reinterpret_cast<__m512i>(distance), reinterpret_cast<__m512i>(limits));
#elif LANES == 16
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(distance), reinterpret_cast<__m512>(limits), _CMP_LE_OQ);
#else
  const auto below = distance <= limits;
#if LANES == 8
  return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(below)));
#elif defined(NEURAL_LSH_X86)
  return static_cast<unsigned>(_mm_movemask_ps(reinterpret_cast<__m128>(below)));
#else
  unsigned mask = 0;
  for (std::size_t lane = 0; lane < LANES; ++lane) mask |= (below[lane] ? 1U : 0U) << lane;
  return mask;
#endif
#endif
}

static_assert(width <= 64, "a row's pairs are the bits of one mask");

/// Out of the way of the many tiles in which there is nothing.
__attribute__((noinline)) std::size_t collect(const Value* sums, const std::uint64_t* masks, Value scale,
                                              TileSide<Value> rows, TileSide<Value> columns,
                                              TilePair<Value>* out) {
  std::size_t found = 0;
  for (std::uint32_t i = 0; i < TILE_ROWS; ++i) {
    for (std::uint64_t mask = masks[i]; mask != 0; mask &= mask - 1) {
      const auto j = static_cast<std::uint32_t>(__builtin_ctzll(mask));
      out[found++] = {i, j, (rows.terms[i] + columns.terms[j]) + scale * sums[i * width + j]};
    }
  }
  return found;
}

std::size_t select(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, Value scale,
                   TileSide<Value> rows, TileSide<Value> columns, TilePair<Value>* out) {
  const Tile tile = products(steps, a, b);
  std::uint64_t masks[TILE_ROWS] = {}, any = 0;
  forVectors([&](std::size_t i, std::size_t j) {
    const Vector distance = (rows.terms[i] + load(columns.terms + j * LANES)) + scale * tile.sums[i][j];
    const Vector limits = greater(splat(rows.limits[i]), load(columns.limits + j * LANES));
    masks[i] |= std::uint64_t{atMost(distance, limits)} << j * LANES;
    any |= masks[i];
  });
  if (any == 0) return 0;
  alignas(64) Value sums[TILE_ROWS * width];
  forVectors([&](std::size_t i, std::size_t j) { store(sums + i * width + j * LANES, tile.sums[i][j]); });
  return collect(sums, masks, scale, rows, columns, out);
}

}  // namespace

const PanelKernels<Value> KERNELS_TABLE = {KERNELS_NAME, elements, 1,     width, TILE_ROWS, 0,
                                           signedOffset, multiply, select};

}  // namespace neural_lsh::cpu
