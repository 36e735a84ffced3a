// The inner loop of the scan over codes of four bits: tables of 16 entries that are looked up in registers
// (Andre, Kermarrec & Le Scouarnec, "Quicker ADC", 2019). Integers only, so that all variants give the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {

/// Vectors of a block. For every pair of parts a block has a byte of each, the first part's code in the lower
/// half; then come a byte of each with its factor and a byte of each with its term.
inline constexpr std::size_t fourBitVectors = 16;

inline constexpr std::size_t fourBitBlockBytes(std::size_t pairs) {
  return fourBitVectors * (pairs + 2);
}

/// Pairs of parts that the widest registers look up at once; tables are padded to so many with zeros.
inline constexpr std::size_t pairsTogether = 4;

/// How a block's bytes are ordered: pair by pair, 16 vectors each, or by groups of pairsTogether pairs,
/// within which a vector's bytes stand together.
enum class FourBitOrder { pairs, vectors };
inline constexpr std::size_t fourBitPlace(FourBitOrder order, std::size_t pairs, std::size_t pair,
                                          std::size_t vector) {
  if (order == FourBitOrder::pairs) return pair * fourBitVectors + vector;
  const std::size_t first = pair / pairsTogether * pairsTogether;
  const std::size_t together = pairs - first < pairsTogether ? pairs - first : pairsTogether;
  return first * fourBitVectors + vector * together + (pair - first);
}

/// Blocks that the kernel compares at once; callers that give it multiples of so many lose nothing.
inline constexpr std::size_t blocksTogether = 4;

/// Queries that the kernel compares with one block at a time; more are answered in turns.
inline constexpr std::size_t fourBitQueriesTogether = 4;

/// A query against blocks. With S the sum of a vector's entries, its value is
/// ((S - zero) * 128 * factor + 2^14) >> 15, plus (256 * term * termScale) >> 16. Neither S - zero
/// nor any value leaves -32768 .. 32767.
struct FourBitQuery {
  const std::uint8_t* tables;  // of first parts: pairs x 16 (padded), then of second parts; entries <= 126
  std::size_t pairs;
  std::int16_t zero;
  std::uint16_t termScale;
  std::int16_t threshold;
  /// Of the vectors whose value is not above the threshold, in any order: their places, counted from the
  /// first block's first vector, and their values. Room for all vectors and one block more.
  std::uint32_t* places;
  std::int32_t* values;
  std::size_t found;  // how many they are; is written
};

inline constexpr std::size_t fourBitEntries = 16;

/// How far products reach: the widest part's range, the sums of all parts' lowest ones below and highest ones
/// above zero. Every range holds a zero.
struct FourBitReach {
  float widest = 0;
  double below = 0, above = 0;
};

/// All variants give the same bits: products are rounded before they are added.
struct FourBitKernels {
  FourBitOrder order;

  /// At most fourBitQueriesTogether queries against `count` blocks; they differ in all but the pairs.
  /// Meanwhile the same number of bytes from `next` on, which need not be readable, are asked for.
  void (*compare)(FourBitQuery* queries, std::size_t queryCount, const std::uint8_t* blocks,
                  std::size_t count, const std::uint8_t* next);

  /// query (parts x 2) times the entries of codebooks (parts x 2 x 16): products (parts x 16), and the least
  /// of each part's.
  FourBitReach (*multiply)(const float* query, const float* codebooks, std::size_t parts, float* products,
                           float* lowest);

  /// The products in units, rounded and counted from their part's lowest (a byte each): those of even parts
  /// from `tables` on, those of odd ones from tables + tableBytes on, 16 a part. Returns the sum of the
  /// parts' zeros.
  std::int32_t (*round)(const float* products, const float* lowest, std::size_t parts, float perUnit,
                        std::uint8_t* tables, std::size_t tableBytes);

  /// Of a query and numbers of which the upper 16 bits are given; `count` is a multiple of 16.
  double (*squaredDistance)(const float* query, const std::uint16_t* numbers, std::size_t count);
  double (*dotProduct)(const float* query, const std::uint16_t* numbers, std::size_t count);
};

extern const FourBitKernels baselineFourBitKernels;
#ifdef NEURAL_LSH_X86
extern const FourBitKernels avx2FourBitKernels;
extern const FourBitKernels avx512FourBitKernels;
extern const FourBitKernels vbmiFourBitKernels;
#endif

/// The fastest variant that this CPU runs (instruction-set.h).
const FourBitKernels& fourBitKernels();

}  // namespace neural_lsh::cpu
