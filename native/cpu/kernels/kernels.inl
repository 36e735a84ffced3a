// The kernels, written once over vectors of LANES floats (GCC and Clang vector extensions). The including
// file sets LANES, TILE_ROWS, TILE_VECTORS and the table's name, and is compiled for its instruction set.
// Everything here has internal linkage and no standard header with inline code is included: otherwise the
// linker could keep, for the whole program, a copy of a shared function that only some CPUs can run.
#include "kernels.h"

#ifdef NEURAL_LSH_X86
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace neural_lsh::cpu {
namespace {

typedef float Vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));
typedef float HalfVector __attribute__((vector_size(LANES * 2), aligned(4), may_alias));
typedef double DoubleVector
    __attribute__((vector_size(LANES * 4)));  // half as many doubles in the same register
constexpr std::size_t halfLanes = LANES / 2;

inline Vector load(const float* p) {
  return *reinterpret_cast<const Vector*>(p);
}
inline void store(float* p, Vector v) {
  *reinterpret_cast<Vector*>(p) = v;
}

/// The first `count` < LANES floats, zeros behind them.
inline Vector loadPartial(const float* p, std::size_t count) {
#if LANES == 16
  return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1), p));
#elif LANES == 8
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
  return reinterpret_cast<Vector>(_mm256_maskload_ps(p, mask));
#else
  Vector v = {};
  for (std::size_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
#endif
}

inline Vector squareRoot(Vector v) {
#if LANES == 16
  return reinterpret_cast<Vector>(_mm512_maskz_sqrt_ps(0xFFFF, v));  // the plain form warns in GCC 12
#elif LANES == 8
  return reinterpret_cast<Vector>(_mm256_sqrt_ps(v));
#elif defined(NEURAL_LSH_X86)
  return reinterpret_cast<Vector>(_mm_sqrt_ps(v));
#elif defined(__aarch64__)
  return reinterpret_cast<Vector>(vsqrtq_f32(v));
#else
  for (std::size_t i = 0; i < LANES; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

inline float sum(Vector v) {
  float total = 0;
  for (std::size_t width = LANES / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) v[i] += v[i + width];
  }
  total = v[0];
  return total;
}

void sgemmTile(std::size_t k, const float* a, const float* b, float* c, std::size_t strideC,
               bool accumulate) {
  Vector sums[TILE_ROWS][TILE_VECTORS] = {};
  for (std::size_t p = 0; p < k; ++p, a += TILE_ROWS, b += TILE_VECTORS * LANES) {
    Vector columns[TILE_VECTORS];
#pragma GCC unroll 4
    for (std::size_t j = 0; j < TILE_VECTORS; ++j) columns[j] = load(b + j * LANES);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < TILE_ROWS; ++i) {
#pragma GCC unroll 4
      for (std::size_t j = 0; j < TILE_VECTORS; ++j) sums[i][j] += a[i] * columns[j];
    }
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < TILE_ROWS; ++i) {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < TILE_VECTORS; ++j) {
      float* target = c + i * strideC + j * LANES;
      store(target, accumulate ? load(target) + sums[i][j] : sums[i][j]);
    }
  }
}

inline void transposeQuad(const float* in, std::size_t inStride, float* out, std::size_t outStride) {
  const auto at = [&](std::size_t r) { return *reinterpret_cast<const Quad*>(in + r * inStride); };
  const Quad r0 = at(0), r1 = at(1), r2 = at(2), r3 = at(3);
  const Quad a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), b = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const Quad c = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  const auto put = [&](std::size_t r, Quad v) { *reinterpret_cast<Quad*>(out + r * outStride) = v; };
  put(0, __builtin_shufflevector(a, c, 0, 1, 4, 5));
  put(1, __builtin_shufflevector(a, c, 2, 3, 6, 7));
  put(2, __builtin_shufflevector(b, d, 0, 1, 4, 5));
  put(3, __builtin_shufflevector(b, d, 2, 3, 6, 7));
}

void transpose(const float* in, std::size_t inStride, std::size_t rows, std::size_t columns, float* out,
               std::size_t outStride) {
  const std::size_t quadRows = rows & ~std::size_t{3}, quadColumns = columns & ~std::size_t{3};
  for (std::size_t c = 0; c < quadColumns; c += 4) {
    for (std::size_t r = 0; r < quadRows; r += 4) {
      transposeQuad(in + r * inStride + c, inStride, out + c * outStride + r, outStride);
    }
    for (std::size_t r = quadRows; r < rows; ++r) {
      for (std::size_t i = 0; i < 4; ++i) out[(c + i) * outStride + r] = in[r * inStride + c + i];
    }
  }
  for (std::size_t c = quadColumns; c < columns; ++c) {
    for (std::size_t r = 0; r < rows; ++r) out[c * outStride + r] = in[r * inStride + c];
  }
}

std::size_t selectBelow(const float* products, std::size_t count, float rowTerm, const float* columnTerms,
                        float scale, float rowThreshold, const float* columnThresholds, TileCandidate* out) {
  std::size_t found = 0;
  std::size_t j = 0;
  for (; j + LANES <= count; j += LANES) {
    const Vector distances = (rowTerm + load(columnTerms + j)) + scale * load(products + j);
#if LANES == 16
    const __m512 d = reinterpret_cast<__m512>(distances);
    unsigned mask = _mm512_cmp_ps_mask(d, _mm512_set1_ps(rowThreshold), _CMP_LE_OQ) |
                    _mm512_cmp_ps_mask(d, _mm512_loadu_ps(columnThresholds + j), _CMP_LE_OQ);
#elif LANES == 8
    const __m256 d = reinterpret_cast<__m256>(distances);
    const __m256 below = _mm256_or_ps(_mm256_cmp_ps(d, _mm256_set1_ps(rowThreshold), _CMP_LE_OQ),
                                      _mm256_cmp_ps(d, _mm256_loadu_ps(columnThresholds + j), _CMP_LE_OQ));
    unsigned mask = static_cast<unsigned>(_mm256_movemask_ps(below));
#else
    const auto below = (distances <= rowThreshold) | (distances <= load(columnThresholds + j));
    unsigned mask = 0;
    for (std::size_t i = 0; i < LANES; ++i) mask |= (below[i] ? 1U : 0U) << i;
#endif
    for (; mask != 0; mask &= mask - 1) {
      const unsigned lane = static_cast<unsigned>(__builtin_ctz(mask));
      out[found++] = {static_cast<std::uint32_t>(j) + lane, distances[lane]};
    }
  }
  for (; j < count; ++j) {
    const float distance = (rowTerm + columnTerms[j]) + scale * products[j];
    if (distance <= rowThreshold || distance <= columnThresholds[j]) {
      out[found++] = {static_cast<std::uint32_t>(j), distance};
    }
  }
  return found;
}

struct Difference {
  static Vector step(Vector sums, Vector a, Vector b) {
    const Vector difference = a - b;
    return sums + difference * difference;
  }
  static DoubleVector step(DoubleVector sums, DoubleVector a, DoubleVector b) {
    const DoubleVector difference = a - b;
    return sums + difference * difference;
  }
  static double step(double sum, double a, double b) { return sum + (a - b) * (a - b); }
};

struct Product {
  static Vector step(Vector sums, Vector a, Vector b) { return sums + a * b; }
  static DoubleVector step(DoubleVector sums, DoubleVector a, DoubleVector b) { return sums + a * b; }
  static double step(double sum, double a, double b) { return sum + a * b; }
};

/// ROWS rows at once, so that the query is loaded once for all of them and their additions overlap.
template <typename Step, std::size_t ROWS>
inline void scanRows(const float* query, const float* rows, std::size_t columns, float* out) {
  Vector sums[ROWS] = {};
  std::size_t c = 0;
  for (; c + LANES <= columns; c += LANES) {
    const Vector q = load(query + c);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < ROWS; ++r) sums[r] = Step::step(sums[r], q, load(rows + r * columns + c));
  }
  if (c < columns) {
    const Vector q = loadPartial(query + c, columns - c);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < ROWS; ++r) {
      sums[r] = Step::step(sums[r], q, loadPartial(rows + r * columns + c, columns - c));
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < ROWS; ++r) out[r] = sum(sums[r]);
}

template <typename Step>
void scan(const float* query, const float* rows, std::size_t count, std::size_t columns, float* out) {
  std::size_t r = 0;
  for (; r + 4 <= count; r += 4) scanRows<Step, 4>(query, rows + r * columns, columns, out + r);
  for (; r < count; ++r) scanRows<Step, 1>(query, rows + r * columns, columns, out + r);
}

inline DoubleVector widen(const float* p) {
  return __builtin_convertvector(*reinterpret_cast<const HalfVector*>(p), DoubleVector);
}

template <typename Step>
double exact(const float* a, const float* b, std::size_t columns) {
  DoubleVector sums[2] = {};
  std::size_t c = 0;
  for (; c + LANES <= columns; c += LANES) {
    sums[0] = Step::step(sums[0], widen(a + c), widen(b + c));
    sums[1] = Step::step(sums[1], widen(a + c + halfLanes), widen(b + c + halfLanes));
  }
  sums[0] += sums[1];
  double total = 0;
  for (std::size_t i = 0; i < halfLanes; ++i) total += sums[0][i];
  for (; c < columns; ++c) total = Step::step(total, a[c], b[c]);
  return total;
}

inline void adamVector(const AdamStep& step, const float* gradient, float* parameters, float* firstMoments,
                       float* secondMoments) {
  const Vector g = load(gradient), first = load(firstMoments), second = load(secondMoments);
  const Vector newFirst = first + step.firstRate * (g - first);
  const Vector newSecond = step.secondDecay * second + step.secondRate * (g * g);
  store(firstMoments, newFirst);
  store(secondMoments, newSecond);
  const Vector denominator = squareRoot(newSecond) * step.rootCorrection + step.epsilon;
  store(parameters, load(parameters) - step.stepSize * newFirst / denominator);
}

void adam(const AdamStep& step, std::size_t count, const float* gradient, float* parameters,
          float* firstMoments, float* secondMoments) {
  std::size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    adamVector(step, gradient + i, parameters + i, firstMoments + i, secondMoments + i);
  }
  if (i == count) return;
  float rest[4][LANES] = {};
  for (std::size_t r = 0; i + r < count; ++r) {
    rest[0][r] = gradient[i + r];
    rest[1][r] = parameters[i + r];
    rest[2][r] = firstMoments[i + r];
    rest[3][r] = secondMoments[i + r];
  }
  adamVector(step, rest[0], rest[1], rest[2], rest[3]);
  for (std::size_t r = 0; i + r < count; ++r) {
    parameters[i + r] = rest[1][r];
    firstMoments[i + r] = rest[2][r];
    secondMoments[i + r] = rest[3][r];
  }
}

}  // namespace

const Kernels KERNELS_TABLE = {
    KERNELS_NAME,     TILE_ROWS,     TILE_VECTORS* LANES, sgemmTile,      transpose, selectBelow,
    scan<Difference>, scan<Product>, exact<Difference>,   exact<Product>, adam,
};

}  // namespace neural_lsh::cpu
