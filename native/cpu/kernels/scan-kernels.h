// The inner loops of the scans over codes of one byte a number and over stored bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {

/// Vectors that are compared at once: a block holds their biases (one float each), then for every group of
/// four dimensions 64 bytes, four of each vector. Dimensions and vectors that are not there are zeros, a
/// vector that is not there has the bias NaN.
inline constexpr std::size_t blockVectors = 16;
inline constexpr std::size_t groupDimensions = 4;
inline constexpr std::size_t groupBytes = blockVectors * groupDimensions;

inline constexpr std::size_t byteBlockBytes(std::size_t groups) {
  return blockVectors * sizeof(float) + groups * groupBytes;
}

/// A vector that passed the threshold: its place, counted from the first block's first vector.
struct Survivor {
  std::uint32_t place;
  float value;
};

/// A query against blocks. The value of a vector x is bias + scale * <x, high + low / 128>, the float of the
/// integer products times scale rounded, then the sum rounded; `low` may be absent.
struct ByteQuery {
  const std::int8_t* high;  // 4 * groups
  const std::int8_t* low;   // the same, or nullptr
  float scale;
  float threshold;
  Survivor* survivors;  // room for every vector
  std::size_t found;    // is written
};

/// No variant compares more queries with a block at a time.
inline constexpr std::size_t mostQueriesTogether = 16;

/// So many bytes after the last block must be readable, whatever they are.
inline constexpr std::size_t tilePadding = 15 * groupBytes;

/// Blocks in a row, and others that are asked for meanwhile, a block for a block, because they are compared
/// next.
struct ByteBlocks {
  const std::uint8_t* blocks;
  std::size_t count;
  const std::uint8_t* next;
  std::size_t nextCount;
};

struct ScanKernels {
  /// Queries that are compared with one block at a time; more are answered in turns.
  std::size_t queriesTogether;

  /// For each of at most queriesTogether queries, the vectors whose value is not above its
  /// threshold, in their order. All queries have a `low`, or none has. All variants give the same bits.
  void (*compareBytes)(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries,
                       std::size_t queryCount);

  /// Of a query and stored bytes, in float.
  float (*squaredDistance)(const float* query, const std::uint8_t* row, std::size_t columns);
  float (*dotProduct)(const float* query, const std::uint8_t* row, std::size_t columns);

  /// The same, every operation in double.
  double (*exactSquaredDistance)(const float* query, const std::uint8_t* row, std::size_t columns);
  double (*exactDotProduct)(const float* query, const std::uint8_t* row, std::size_t columns);
};

extern const ScanKernels baselineScanKernels;
#ifdef NEURAL_LSH_X86
extern const ScanKernels avx2ScanKernels;
extern const ScanKernels vnniScanKernels;
ScanKernels amxScanKernels();
#endif

/// The fastest variant that this CPU runs (instruction-set.h).
const ScanKernels& scanKernels();

}  // namespace neural_lsh::cpu
