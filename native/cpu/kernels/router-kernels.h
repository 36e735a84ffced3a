// The inner loops of routing: linear layers in 8-bit integers, and what a choice among many logits needs.
// Compiled for several instruction sets and picked at run time; all variants give the same bits: integer sums
// are exact, and everything in float is done element by element, or in 16 sums that are added up in one
// order, without fusing a multiplication and an addition.
#pragma once

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {

/// Rows of bytes begin at multiples of this.
inline constexpr std::size_t rowAlignment = 64;

/// A row of numbers as bytes: number = lowest + step * byte.
struct ByteRange {
  float lowest, step;
};

/// A linear layer's weights as signed bytes, weight = scale of its output * byte, in blocks of blockOutputs
/// outputs. Outputs and inputs are filled up with zeros.
struct ByteWeights {
  static constexpr std::size_t blockOutputs = 16, quadInputs = 4;
  /// Inputs of a layer at most, so that no sum of products of two bytes leaves 32 bits.
  static constexpr std::size_t mostInputs = 65536;
  /// So many bytes after the last block must be readable, whatever they are.
  static constexpr std::size_t padding = 15 * blockOutputs * quadInputs;

  std::size_t quads;         // ceil(inputs / 4)
  const std::int8_t* bytes;  // blocks x quads x 16 outputs x 4 inputs
  const float* scales;       // of each output, like those below
  const float* sums;         // of its bytes
  const float* biases;
  bool relu;
};

struct RouterKernels {
  const char* name;

  /// The nearest bytes of `count` numbers, 0 .. 255 from the least to the largest, and zeros up to the next
  /// multiple of rowAlignment. NaN becomes 0.
  ByteRange (*quantize)(const float* values, std::size_t count, std::uint8_t* bytes);

  /// Blocks [begin, end) of a layer for `rows` rows of bytes, strideBytes apart: out[row * strideOut + i] of
  /// output begin * 16 + i is scale * (step * sum of products + lowest * sum of weights) + bias, then ReLU.
  void (*multiply)(const ByteWeights& weights, std::size_t begin, std::size_t end, const std::uint8_t* bytes,
                   std::size_t strideBytes, const ByteRange* ranges, std::size_t rows, float* out,
                   std::size_t strideOut);

  /// The largest of `count` numbers, which must be a multiple of 16; NaN does not count.
  float (*largest)(const float* values, std::size_t count);

  /// Of `count` numbers (a multiple of 16) minus `shift`: writes those that are > above and <= most, in their
  /// order, and where they stand, and returns how many. Both outputs need room for 16 more than that.
  std::size_t (*select)(const float* values, std::size_t count, float shift, float above, float most,
                        float* selected, std::int32_t* positions);

  /// ranks[i] = how many of `count` numbers are larger than values[i], or equal and before it. Both arrays
  /// are read and written up to the next multiple of 16.
  void (*rank)(const float* values, std::size_t count, std::int32_t* ranks);

  /// out[i] = exp(values[i]) for values <= 0, to within 2e-7 relative; below FLT_MIN 0. Returns the sum.
  /// `count` must be a multiple of 16.
  float (*exponentials)(const float* values, std::size_t count, float* out);
};

extern const RouterKernels baselineRouterKernels;
#ifdef NEURAL_LSH_X86
extern const RouterKernels avx2RouterKernels;
extern const RouterKernels vnniRouterKernels;
RouterKernels amxRouterKernels();
#endif

/// The fastest variant that this CPU runs (instruction-set.h).
const RouterKernels& routerKernels();

}  // namespace neural_lsh::cpu
