// The kernels of the exact neighbors, each behind the function that starts it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device.h"
#include "exact-distance.h"
#include "matrix-products.h"
#include "rounding.h"
#include "tile-selection.h"
#include "warp-memory.h"

namespace neural_lsh::cuda {

/// The largest of all points looked at so far: float bits, which order like integers as none is negative.
struct LargestMagnitudes {
  std::int32_t norm, term;
};

/// Rows of floats -> operands of products of `unit` * (row - shift), filled up with zeros to paddedRows x
/// stride, with what distances need besides.
struct FloatRows {
  const float* rows;
  std::size_t count, columns;
  NlshMetric metric;
  const float* shift;  // null: none
};
struct FloatOperands {
  void* operands;
  std::size_t paddedRows, stride;
  float* terms;
  float* norms;  // |row - shift|, rounded up
  LargestMagnitudes* largest;
};
void prepareFloats(const FloatRows& from, Operand operand, float unit, const FloatOperands& to,
                   const Stream& stream);

/// Empty lists.
template <typename Value>
void clearLists(Key* keys, Value* limits, std::size_t rows, std::uint32_t kept, const Stream& stream);

/// Selects from a tile of products into the lists of its rows and, where it is mutual, of its columns.
template <typename Value>
void selectTile(const TileProducts<Value>& tile, const TileLists<Value>& rows,
                const TileLists<Value>& columns, bool isMutual, ListSizes sizes, const WarpMemory& memory,
                const Stream& stream);

/// For the ids of the lists that are in [first, first + columnCount): distances[row][i] in double precision.
struct ListedDistances {
  NlshMetric metric;
  const float *rows, *columns;
  std::size_t rowCount, columnCount, dimensions;
  Id firstColumn;
  const Key* keys;
  std::uint32_t kept;
  double* distances;
};
void computeListedDistances(const ListedDistances& lists, const Stream& stream);

/// Where results go, and rows whose list may lack a neighbor, with an upper bound of the k-th distance.
struct OpenRow {
  double bound;
  std::int32_t row;
};
struct RankedLists {
  const Key* keys;
  const double* distances;
  std::size_t rows;
  std::uint32_t kept, k;
  bool holdsAll;  // there are no more than `kept` points
  ProductRounding rounding;
  std::size_t dimensions;
  double scale;
  const float *norms, *terms;  // of these rows
  const LargestMagnitudes* largest;
  std::int32_t* ids;
  float* nearest;
  OpenRow* open;
  std::uint32_t* openCount;
  std::int32_t firstRow;
};
void rankLists(const RankedLists& lists, const WarpMemory& memory, const Stream& stream);
std::size_t rankBytes(std::uint32_t kept);

/// Lists of integers are exact as they are.
void writeLists(const Key* keys, std::size_t rows, std::uint32_t kept, std::int32_t* ids, float* nearest,
                const Stream& stream);

/// A tile of rows that are searched again: each point within the row's limit is ranked in double precision.
struct ExactTile {
  TileProducts<float> products;
  NlshMetric metric;
  const float *rows, *columns;  // originals of the tile's first row and column
  std::size_t dimensions;
  const float *rowTerms, *columnTerms;
  const float* limits;
  const std::int32_t* rowIds;  // which row of the graph each is
  RankedPoint* nearest;        // k each
  std::uint32_t k;
};
void selectExactly(const ExactTile& tile, const WarpMemory& memory, const Stream& stream);
std::size_t selectExactlyBytes(std::uint32_t k);
void clearRanked(RankedPoint* nearest, std::size_t count, const Stream& stream);

}  // namespace neural_lsh::cuda
