// The inner loops of the CPU engine. Each is compiled several times, once for every instruction set worth
// having, and picked once at run time; all variants compute the same thing, in an order of additions of their
// own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {

/// A pair that passed a threshold: the column inside the row that was scanned, and the distance.
struct TileCandidate {
  std::uint32_t column;
  float distance;
};

/// What one step of Adam needs beside the arrays (cpu/adam.h): 1 - beta1, beta2, 1 - beta2, the learning rate
/// / (1 - beta1^t), 1 / sqrt(1 - beta2^t), and epsilon.
struct AdamStep {
  float firstRate, secondDecay, secondRate, stepSize, rootCorrection, epsilon;
};

/// How far behind what it keeps `keepUpTo` may write: a register of keys.
inline constexpr std::size_t keysBeyond = 16;

struct Kernels {
  const char* name;

  /// Register tile of the matrix product: C[rows x columns] (+)= A B, A with strideA floats from row to row
  /// or, where strideA is 0, packed as k x tileRows, B with strideB floats from row to row; rows in [1,
  /// tileRows], columns in [1, tileColumns]. Where `columns` are fewer, B is read as if they were not.
  std::size_t tileRows;
  std::size_t tileColumns;
  void (*sgemmTile)(std::size_t rows, std::size_t columns, std::size_t k, const float* a, std::size_t strideA,
                    const float* b, std::size_t strideB, float* c, std::size_t strideC, bool accumulate);

  /// One panel, `depth` x `width`: out[p * width + i] = in[i * stride + p] (rows) or in[p * stride + i]
  /// (columns) for i < count, 0 for count <= i < width.
  void (*packRows)(const float* in, std::size_t stride, std::size_t count, std::size_t depth,
                   std::size_t width, float* out);
  void (*packColumns)(const float* in, std::size_t stride, std::size_t count, std::size_t depth,
                      std::size_t width, float* out);
  /// out[c * strideOut + r] = in[r * strideIn + c] for r < rows, c < columns.
  void (*transpose)(const float* in, std::size_t strideIn, std::size_t rows, std::size_t columns, float* out,
                    std::size_t strideOut);

  /// One row of a tile of products: d_j = rowTerm + columnTerms[j] + scale * products[j]; writes every (j,
  /// d_j) with d_j <= rowThreshold or d_j <= columnThresholds[j] to out (room for `count`) and returns how
  /// many.
  std::size_t (*selectBelow)(const float* products, std::size_t count, float rowTerm,
                             const float* columnTerms, float scale, float rowThreshold,
                             const float* columnThresholds, TileCandidate* out);

  /// out[r] = |query - rows[r]|^2 and <query, rows[r]>, rows contiguous, in float.
  void (*squaredDistances)(const float* query, const float* rows, std::size_t count, std::size_t columns,
                           float* out);
  void (*dotProducts)(const float* query, const float* rows, std::size_t count, std::size_t columns,
                      float* out);
  /// The same of rows[places[r]].
  void (*squaredDistancesAt)(const float* query, const float* rows, const std::uint32_t* places,
                             std::size_t count, std::size_t columns, float* out);
  void (*dotProductsAt)(const float* query, const float* rows, const std::uint32_t* places, std::size_t count,
                        std::size_t columns, float* out);

  /// The same of one pair, every operation in double.
  double (*exactSquaredDistance)(const float* a, const float* b, std::size_t columns);
  double (*exactDotProduct)(const float* a, const float* b, std::size_t columns);

  /// One step of Adam on `count` parameters and their moments.
  void (*adam)(const AdamStep& step, std::size_t count, const float* gradient, float* parameters,
               float* firstMoments, float* secondMoments);

  /// values[i] = exp(values[i] - shift), the difference rounded to float, its exponential to within 2e-7
  /// relative; what would be below FLT_MIN is 0, NaN stays NaN. Returns the sum.
  float (*exponentials)(float* values, std::size_t count, float shift);

  /// The largest of at least one number; NaN counts only where it comes first.
  float (*largest)(const float* values, std::size_t count);
  /// values[i] *= factor.
  void (*scale)(float* values, std::size_t count, float factor);
  /// To each of `rows` rows of `columns` values the numbers `added` are added, or each is added to `sums`.
  void (*addToRows)(const float* added, std::size_t rows, std::size_t columns, float* values);
  void (*sumRows)(const float* values, std::size_t rows, std::size_t columns, float* sums);
  /// out[i] = (values[i] - center[i]) * scale[i].
  void (*standardize)(const float* values, const float* center, const float* scale, std::size_t count,
                      float* out);

  /// A bound that exactly `wanted` of the keys (fewer than 2^31, at least `wanted` and one) do not exceed;
  /// where equal keys forbid that, the lowest that more do not exceed.
  std::int32_t (*boundOf)(const std::int32_t* keys, std::size_t count, std::size_t wanted);
  /// Writes the keys that are at most `bound`, and the rows that go with them, in their order, and returns
  /// how many they are; in place, or elsewhere. What follows them is written, too: there must be room for
  /// `count` and keysBeyond more.
  std::size_t (*keepUpTo)(std::int32_t bound, const std::int32_t* keys, const std::uint32_t* rows,
                          std::size_t count, std::int32_t* keptKeys, std::uint32_t* keptRows);
};

extern const Kernels baselineKernels;
#ifdef NEURAL_LSH_X86
extern const Kernels avx2Kernels;
extern const Kernels avx512Kernels;
#endif

/// The fastest variant that this CPU runs (instruction-set.h).
const Kernels& kernels();

}  // namespace neural_lsh::cpu
