// Selects from a tile of products that lie in memory (panels.h).
#include <immintrin.h>

#include "panels.h"

namespace neural_lsh::cpu {
namespace {

/// 16 numbers of a kind, and what the selection does with them.
struct Integers {
  using Vector = __m512i;
  static Vector load(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static Vector splat(std::int32_t x) { return _mm512_set1_epi32(x); }
  static void store(std::int32_t* p, Vector x) { _mm512_storeu_si512(p, x); }
  static Vector add(Vector x, Vector y) { return _mm512_add_epi32(x, y); }
  static Vector greater(Vector x, Vector y) { return _mm512_maskz_max_epi32(0xFFFF, x, y); }
  static unsigned atMost(Vector x, Vector y) { return _mm512_cmple_epi32_mask(x, y); }
};

struct Floats {
  using Vector = __m512;
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static Vector splat(float x) { return _mm512_set1_ps(x); }
  static void store(float* p, Vector x) { _mm512_storeu_ps(p, x); }
  static Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
  static Vector greater(Vector x, Vector y) { return _mm512_maskz_max_ps(0xFFFF, x, y); }
  static unsigned atMost(Vector x, Vector y) { return _mm512_cmp_ps_mask(x, y, _CMP_LE_OQ); }
};

inline Integers lanesOf(std::int32_t) {
  return {};
}
inline Floats lanesOf(float) {
  return {};
}

/// Out of the way of the many in which there is nothing.
template <typename Lanes, typename Value>
__attribute__((noinline)) std::size_t collect(unsigned mask, typename Lanes::Vector distances,
                                              std::uint32_t row, std::uint32_t column, TilePair<Value>* out) {
  Value stored[16];
  Lanes::store(stored, distances);
  std::size_t found = 0;
  for (; mask != 0; mask &= mask - 1) {
    const auto lane = static_cast<std::uint32_t>(__builtin_ctz(mask));
    out[found++] = {row, column + lane, stored[lane]};
  }
  return found;
}

/// Of products[width x width]; scaled(x) is the scale times 16 of them.
template <std::size_t width, typename Value, typename Scaled>
std::size_t selectFrom(const Value* products, TileSide<Value> rows, TileSide<Value> columns,
                       TilePair<Value>* out, const Scaled& scaled) {
  using Lanes = decltype(lanesOf(Value{}));
  std::size_t found = 0;
  for (std::uint32_t j = 0; j < width; j += 16) {
    const auto terms = Lanes::load(columns.terms + j), limits = Lanes::load(columns.limits + j);
    for (std::uint32_t i = 0; i < width; ++i) {
      const auto distances = Lanes::add(Lanes::add(Lanes::splat(rows.terms[i]), terms),
                                        scaled(Lanes::load(products + i * width + j)));
      const unsigned mask = Lanes::atMost(distances, Lanes::greater(Lanes::splat(rows.limits[i]), limits));
      if (mask != 0) found += collect<Lanes>(mask, distances, i, j, out + found);
    }
  }
  return found;
}

}  // namespace
}  // namespace neural_lsh::cpu
