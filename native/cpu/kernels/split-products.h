// Products of floats where the CPU multiplies only halves of them fast: a float is the sum of two bfloat16
// and of a rest of at most 2^-17 of it, and of a product of two floats the three parts that count are
// multiplied in tiles and summed in float32 (Henry, Tang & Heinecke, ARITH 2019: "bf16x2").
#pragma once

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {

/// Where a float that a packed block is made of lies: vector i's number p at data[i * stride + p], or at
/// data[p * stride + i] if the vectors are columns. From rows `shift`, if any, is subtracted before.
struct SplitSource {
  const float* data;
  std::size_t stride;
  bool columns;
  const float* shift = nullptr;
};

/// One block is up to `vectors` vectors, of which `depth` numbers follow each other in steps; all is filled
/// up with zeros. The two operands of a product are packed differently.
struct SplitKernels {
  std::size_t vectors, step, stepWords;
  void (*packLeft)(const SplitSource& source, std::size_t count, std::size_t depth, std::uint32_t* out);
  void (*packRight)(const SplitSource& source, std::size_t count, std::size_t depth, std::uint32_t* out);
  /// c[vectors x vectors] = left right + (accumulate ? c : 0) for a row of pairs of blocks `steps` deep: of
  /// `blocks` left ones, `leftWords` apart, and a right one; c goes down the rows.
  void (*multiply)(std::size_t blocks, std::size_t steps, const std::uint32_t* left, std::size_t leftWords,
                   const std::uint32_t* right, float* c, std::size_t strideC, bool accumulate);
};

#ifdef NEURAL_LSH_X86
extern const SplitKernels amxSplitKernels;
#endif

/// nullptr where nothing is won by them.
const SplitKernels* splitKernels();

}  // namespace neural_lsh::cpu
