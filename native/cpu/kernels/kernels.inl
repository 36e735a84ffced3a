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

}  // namespace
}  // namespace neural_lsh::cpu

#include "transposition.inl"

namespace neural_lsh::cpu {
namespace {

typedef std::int32_t Integers __attribute__((vector_size(LANES * 4)));
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
  return Vector{count > 0 ? p[0] : 0, count > 1 ? p[1] : 0, count > 2 ? p[2] : 0, 0};
#endif
}

/// The first `count` <= LANES floats.
inline void storePartial(float* p, std::size_t count, Vector v) {
#if LANES == 16
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << count) - 1), reinterpret_cast<__m512>(v));
#else
  for (std::size_t i = 0; i < count; ++i) p[i] = v[i];
#endif
}

/// The same of 1 to LANES floats.
inline Vector loadUpTo(const float* p, std::size_t count) {
  return count == LANES ? load(p) : loadPartial(p, count);
}
inline void storeUpTo(float* p, std::size_t count, Vector v) {
  if (count == LANES) {
    store(p, v);
  } else {
    storePartial(p, count, v);
  }
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

/// Tile of ROWS x (VECTORS * LANES) sums, of which `columns` columns are wanted; element (i, p) of A at a[i *
/// rowA + p * stepA].
template <std::size_t ROWS, std::size_t VECTORS>
inline void multiplyTile(std::size_t columns, std::size_t k, const float* a, std::size_t rowA,
                         std::size_t stepA, const float* b, std::size_t strideB, float* c,
                         std::size_t strideC, bool accumulate) {
  if (k >= 128) {  // C is on its way while the sums are formed; shorter sums would wait for it
#pragma GCC unroll 16
    for (std::size_t i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
      for (std::size_t j = 0; j < VECTORS; ++j) __builtin_prefetch(c + i * strideC + j * LANES, 1);
    }
  }
  Vector sums[ROWS][VECTORS] = {};
  for (std::size_t p = 0; p < k; ++p, a += stepA, b += strideB) {
    Vector columns[VECTORS];
#pragma GCC unroll 4
    for (std::size_t j = 0; j < VECTORS; ++j) columns[j] = load(b + j * LANES);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
      for (std::size_t j = 0; j < VECTORS; ++j) sums[i][j] += a[i * rowA] * columns[j];
    }
  }
  const std::size_t rest = columns - (VECTORS - 1) * LANES;
#pragma GCC unroll 16
  for (std::size_t i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < VECTORS; ++j) {
      float* target = c + i * strideC + j * LANES;
      if (j + 1 < VECTORS || rest == LANES) {
        store(target, accumulate ? load(target) + sums[i][j] : sums[i][j]);
      } else {
        storePartial(target, rest, accumulate ? loadPartial(target, rest) + sums[i][j] : sums[i][j]);
      }
    }
  }
}

/// The tile of the smallest height and width that holds what is wanted: edges are not multiplied in vain.
template <std::size_t ROWS = TILE_ROWS, std::size_t VECTORS = TILE_VECTORS>
void sgemmTile(std::size_t rows, std::size_t columns, std::size_t k, const float* a, std::size_t strideA,
               const float* b, std::size_t strideB, float* c, std::size_t strideC, bool accumulate) {
  if constexpr (VECTORS > 1) {
    if (columns <= (VECTORS - 1) * LANES) {
      return sgemmTile<ROWS, VECTORS - 1>(rows, columns, k, a, strideA, b, strideB, c, strideC, accumulate);
    }
  }
  if constexpr (ROWS > 1) {
    if (rows < ROWS) {
      return sgemmTile<ROWS - 1, VECTORS>(rows, columns, k, a, strideA, b, strideB, c, strideC, accumulate);
    }
  }
  if (strideA == 0) {
    multiplyTile<ROWS, VECTORS>(columns, k, a, 1, TILE_ROWS, b, strideB, c, strideC, accumulate);
  } else {
    multiplyTile<ROWS, VECTORS>(columns, k, a, strideA, 1, b, strideB, c, strideC, accumulate);
  }
}

/// The square of a panel's packing at `in`: LANES of its vectors, of which the first `rows` > 0 count, and
/// LANES of their numbers.
inline void packSquare(const float* in, std::size_t stride, std::size_t rows, std::size_t width, float* out) {
  Vector square[LANES];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < LANES; ++r) {
    const float* const row = in + (r < rows ? r : rows - 1) * stride;
    __builtin_prefetch(row + 4 * LANES);  // so many rows are too many for the CPU to see where they lead
    square[r] = load(row);
  }
  transpose(square);
#pragma GCC unroll 16
  for (std::size_t p = 0; p < LANES; ++p) store(out + p * width, square[p]);
}

/// The same at the edge: of the vectors from `rows` on zeros, of the numbers the first `depth` <= LANES, of
/// the last of which `room` floats are written.
inline void packEdge(const float* in, std::size_t stride, std::size_t rows, std::size_t depth,
                     std::size_t width, std::size_t room, float* out) {
  Vector square[LANES];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < LANES; ++r) {
    const float* const row = in + r * stride;
    square[r] = r >= rows ? Vector{} : depth < LANES ? loadPartial(row, depth) : load(row);
  }
  transpose(square);
#pragma GCC unroll 16
  for (std::size_t p = 0; p < LANES; ++p) {
    if (p + 1 < depth || (p + 1 == depth && room >= LANES)) {
      store(out + p * width, square[p]);
    } else if (p + 1 == depth) {
      storePartial(out + p * width, room, square[p]);
    }
  }
}

/// One panel of packRows (packed-product.h), in squares: a cache line of `in` is read once. Those on the left
/// come last: what vectors on the right write behind their row is overwritten, as it is by the rows that
/// follow; behind the last row nothing is written.
void packRows(const float* in, std::size_t stride, std::size_t rows, std::size_t depth, std::size_t width,
              float* out) {
  for (std::size_t p = 0; p < depth; p += LANES) {
    const bool last = depth - p <= LANES;
    for (std::size_t r = (width - 1) / LANES * LANES + LANES; r > 0;) {
      r -= LANES;
      const std::size_t there = r < rows ? rows - r : 0, wanted = width - r;
      const float* const from = in + r * stride + p;
      float* const to = out + p * width + r;
      if (!last && there > 0 && (there >= wanted || there >= LANES)) {
        packSquare(from, stride, there, width, to);
      } else {
        packEdge(from, stride, there, last ? depth - p : LANES, width, last ? wanted : LANES, to);
      }
    }
  }
}

/// One panel of packColumns, in the same way.
void packColumns(const float* in, std::size_t stride, std::size_t columns, std::size_t depth,
                 std::size_t width, float* out) {
  for (std::size_t p = 0; p < depth; ++p, in += stride, out += width) {
    for (std::size_t c = 0; c < width; c += LANES) {
      __builtin_prefetch(in + 12 * stride + c);
      const std::size_t there = c < columns ? columns - c : 0;
      const Vector v = there >= LANES ? load(in + c) : loadPartial(in + c, there);
      if (c + LANES <= width || p + 1 < depth) {
        store(out + c, v);
      } else {
        storePartial(out + c, width - c, v);
      }
    }
  }
}

/// Square by square; at the edges the lanes that are wanted.
void transpose(const float* in, std::size_t strideIn, std::size_t rows, std::size_t columns, float* out,
               std::size_t strideOut) {
  for (std::size_t r = 0; r < rows; r += LANES) {
    const std::size_t height = rows - r < LANES ? rows - r : LANES;
    for (std::size_t c = 0; c < columns; c += LANES) {
      const std::size_t width = columns - c < LANES ? columns - c : LANES;
      Vector square[LANES];
#pragma GCC unroll 16
      for (std::size_t i = 0; i < LANES; ++i) {
        square[i] = i < height ? loadUpTo(in + (r + i) * strideIn + c, width) : Vector{};
      }
      transpose(square);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < LANES; ++i) {
        if (i < width) storeUpTo(out + (c + i) * strideOut + r, height, square[i]);
      }
    }
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
inline void scanRows(const float* query, const float* const (&rows)[ROWS], std::size_t columns, float* out) {
  Vector sums[ROWS] = {};
  std::size_t c = 0;
  for (; c + LANES <= columns; c += LANES) {
    const Vector q = load(query + c);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < ROWS; ++r) sums[r] = Step::step(sums[r], q, load(rows[r] + c));
  }
  if (c < columns) {
    const Vector q = loadPartial(query + c, columns - c);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < ROWS; ++r) {
      sums[r] = Step::step(sums[r], q, loadPartial(rows[r] + c, columns - c));
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < ROWS; ++r) out[r] = sum(sums[r]);
}

/// rowAt(r): where row r begins.
template <typename Step, typename RowAt>
inline void scanAll(const float* query, const RowAt& rowAt, std::size_t count, std::size_t columns,
                    float* out) {
  std::size_t r = 0;
  for (; r + 4 <= count; r += 4)
    scanRows<Step, 4>(query, {rowAt(r), rowAt(r + 1), rowAt(r + 2), rowAt(r + 3)}, columns, out + r);
  for (; r < count; ++r) scanRows<Step, 1>(query, {rowAt(r)}, columns, out + r);
}

template <typename Step>
void scan(const float* query, const float* rows, std::size_t count, std::size_t columns, float* out) {
  scanAll<Step>(query, [=](std::size_t r) { return rows + r * columns; }, count, columns, out);
}

template <typename Step>
void scanPlaces(const float* query, const float* rows, const std::uint32_t* places, std::size_t count,
                std::size_t columns, float* out) {
  scanAll<Step>(query, [=](std::size_t r) { return rows + places[r] * columns; }, count, columns, out);
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

/// e^x = 2^n e^r for x = n ln 2 + r, |r| <= ln 2 / 2: a polynomial (the coefficients of Moshier's Cephes
/// expf), and n added to the bits of its exponent.
inline Vector exponential(Vector x) {
  constexpr float largest = 88.72283F, smallest = -87.33654F;  // outside, e^x is no normal number
  const Vector magic = Vector{} + 12582912.0F;                 // what is added to it is rounded to an integer
  const Vector rounded = x * 1.44269504F + magic;
  const Vector n = rounded - magic;
  const Vector r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Vector y = Vector{} + 1.9875691500e-4F;
  y = y * r + 1.3981999507e-3F;
  y = y * r + 8.3334519073e-3F;
  y = y * r + 4.1665795894e-2F;
  y = y * r + 1.6666665459e-1F;
  y = y * r + 5.0000001201e-1F;
  y = y * (r * r) + r + 1.0F;
  const auto bits = [](Vector v) { return reinterpret_cast<Integers>(v); };
  const Vector power = reinterpret_cast<Vector>(bits(y) + ((bits(rounded) - bits(magic)) << 23));
  const Vector infinite = x + __builtin_inff();  // or NaN, where x is
  return x <= largest ? (x >= smallest ? power : Vector{}) : infinite;
}

float exponentials(float* values, std::size_t count, float shift) {
  Vector sums = {};
  std::size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    const Vector e = exponential(load(values + i) - shift);
    store(values + i, e);
    sums += e;
  }
  if (i < count) {
    storePartial(values + i, count - i, exponential(loadPartial(values + i, count - i) - shift));
    sums += loadPartial(values + i, count - i);
  }
  return sum(sums);
}

float largest(const float* values, std::size_t count) {
  float result = values[0];
  std::size_t i = 0;
  if (count >= LANES) {
    constexpr std::size_t chains = 4;  // of comparisons that do not wait for each other
    Vector most[chains];
    for (Vector& chain : most) chain = load(values);
    for (; i + chains * LANES <= count; i += chains * LANES) {
#pragma GCC unroll 4
      for (std::size_t j = 0; j < chains; ++j) {
        const Vector v = load(values + i + j * LANES);
        most[j] = v > most[j] ? v : most[j];
      }
    }
    for (; i + LANES <= count; i += LANES) {
      const Vector v = load(values + i);
      most[0] = v > most[0] ? v : most[0];
    }
    for (std::size_t j = 1; j < chains; ++j) most[0] = most[j] > most[0] ? most[j] : most[0];
    for (std::size_t lane = 0; lane < LANES; ++lane) result = most[0][lane] > result ? most[0][lane] : result;
  }
  for (; i < count; ++i) result = values[i] > result ? values[i] : result;
  return result;
}

/// apply(first number, their count) for vectors of LANES and what is left behind them.
template <typename Apply>
inline void forVectors(std::size_t count, const Apply& apply) {
  std::size_t i = 0;
  for (; i + LANES <= count; i += LANES) apply(i, std::size_t{LANES});
  if (i < count) apply(i, count - i);
}

void scale(float* values, std::size_t count, float factor) {
  forVectors(count, [=](std::size_t i, std::size_t n) {
    storeUpTo(values + i, n, loadUpTo(values + i, n) * factor);
  });
}

void addToRows(const float* added, std::size_t rows, std::size_t columns, float* values) {
  for (std::size_t row = 0; row < rows; ++row, values += columns) {
    forVectors(columns, [=](std::size_t i, std::size_t n) {
      storeUpTo(values + i, n, loadUpTo(values + i, n) + loadUpTo(added + i, n));
    });
  }
}

void sumRows(const float* values, std::size_t rows, std::size_t columns, float* sums) {
  forVectors(columns, [=](std::size_t i, std::size_t n) {
    Vector sum = loadUpTo(sums + i, n);
    for (std::size_t row = 0; row < rows; ++row) sum += loadUpTo(values + row * columns + i, n);
    storeUpTo(sums + i, n, sum);
  });
}

void standardize(const float* values, const float* center, const float* scale, std::size_t count,
                 float* out) {
  forVectors(count, [=](std::size_t i, std::size_t n) {
    const Vector difference = loadUpTo(values + i, n) - loadUpTo(center + i, n);
    storeUpTo(out + i, n, difference * loadUpTo(scale + i, n));
  });
}

/// By bisection: counting has no branches that nobody could foresee, as a selection by comparisons has.
std::int32_t boundOf(const std::int32_t* keys, std::size_t count, std::size_t wanted) {
  std::int32_t least = keys[0], most = keys[0];
  for (std::size_t i = 1; i < count; ++i) {
    least = keys[i] < least ? keys[i] : least;
    most = keys[i] > most ? keys[i] : most;
  }
  std::int64_t low = least, high = most;
  while (low < high) {
    const auto middle = static_cast<std::int32_t>(low + (high - low) / 2);
    std::int32_t below = 0;  // as wide as the keys
    for (std::size_t i = 0; i < count; ++i) below += keys[i] <= middle ? 1 : 0;
    const auto found = static_cast<std::size_t>(below);
    if (found == wanted) return middle;
    high = found > wanted ? middle : high;
    low = found > wanted ? low : middle + std::int64_t{1};
  }
  return static_cast<std::int32_t>(low);
}

/// Without a branch that nobody could foresee.
std::size_t keepUpTo(std::int32_t bound, const std::int32_t* keys, const std::uint32_t* rows,
                     std::size_t count, std::int32_t* keptKeys, std::uint32_t* keptRows) {
  std::size_t kept = 0, i = 0;
#if LANES == 16
  static_assert(keysBeyond >= LANES);
  const __m512i most = _mm512_set1_epi32(bound);
  for (; i < count; i += LANES) {
    const auto present = static_cast<__mmask16>(count - i < LANES ? (1U << (count - i)) - 1 : 0xFFFFU);
    const __m512i key = _mm512_maskz_loadu_epi32(present, keys + i);
    const __m512i row = _mm512_maskz_loadu_epi32(present, rows + i);
    const __mmask16 stays = _mm512_mask_cmple_epi32_mask(present, key, most);
    _mm512_storeu_si512(keptKeys + kept, _mm512_maskz_compress_epi32(stays, key));
    _mm512_storeu_si512(keptRows + kept, _mm512_maskz_compress_epi32(stays, row));
    kept += static_cast<std::size_t>(__builtin_popcount(stays));
  }
#endif
  for (; i < count; ++i) {
    const std::int32_t key = keys[i];
    keptKeys[kept] = key;
    keptRows[kept] = rows[i];
    kept += key <= bound ? 1 : 0;
  }
  return kept;
}

}  // namespace

const Kernels KERNELS_TABLE = {
    KERNELS_NAME,
    TILE_ROWS,
    TILE_VECTORS* LANES,
    sgemmTile<>,
    packRows,
    packColumns,
    transpose,
    selectBelow,
    scan<Difference>,
    scan<Product>,
    scanPlaces<Difference>,
    scanPlaces<Product>,
    exact<Difference>,
    exact<Product>,
    adam,
    exponentials,
    largest,
    scale,
    addToRows,
    sumRows,
    standardize,
    boundOf,
    keepUpTo,
};

}  // namespace neural_lsh::cpu
