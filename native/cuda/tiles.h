// How two sets of points are cut into tiles, one product of matrices each.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <vector>

#include "alignment.h"

namespace neural_lsh::cuda {

struct Range {
  std::size_t begin, end;
  std::size_t size() const { return end - begin; }
};

struct TileShape {
  std::size_t rows, columns;
};

/// Two tiles stay in the L2 cache, one that is multiplied and one that is selected from, with room for what
/// they are made of. Few rows make wide tiles. Both sides are multiples of operandAlignment.
inline TileShape tileShape(std::size_t l2Bytes, std::size_t mostBytes, std::size_t rows,
                           std::size_t columns) {
  constexpr std::size_t smallest = 256, widest = std::size_t{1} << 16;
  const std::size_t area = std::min(l2Bytes / 3, mostBytes / 2) / sizeof(float);
  const auto root = static_cast<std::size_t>(std::sqrt(static_cast<double>(area)));
  const std::size_t side = std::max(smallest, std::bit_floor(root));
  const std::size_t tileRows = std::min(side, roundUpToOperands(rows));
  const std::size_t wide = std::clamp(std::bit_floor(side * side / tileRows), side, widest);
  return {tileRows, std::min(wide, roundUpToOperands(columns))};
}

/// Of a block of rows and one of columns.
struct Tile {
  Range rows, columns;
  /// Whether what is found is a neighbor in both directions.
  bool isMutual;
};

/// All tiles of rows x columns or, where both are the same points (isSame), those that hold each pair once,
/// but on the diagonal both of its orders: these tiles come first, so that there are limits for the others.
/// Of a graph's other blocks (isGraph), too, each tile serves both directions. `side`: of a graph, the tiles
/// are squares.
inline std::vector<Tile> listTiles(std::size_t rows, std::size_t columns, TileShape shape, bool isGraph,
                                   bool isSame) {
  std::vector<Tile> tiles;
  const auto range = [](std::size_t begin, std::size_t size, std::size_t end) {
    return Range{begin, std::min(begin + size, end)};
  };
  if (isSame) {
    for (std::size_t row = 0; row < rows; row += shape.rows) {
      const Range both = range(row, shape.rows, rows);
      tiles.push_back({both, both, false});
    }
  }
  for (std::size_t row = 0; row < rows; row += shape.rows) {
    for (std::size_t column = isSame ? row + shape.rows : 0; column < columns; column += shape.columns) {
      tiles.push_back({range(row, shape.rows, rows), range(column, shape.columns, columns), isGraph});
    }
  }
  return tiles;
}

}  // namespace neural_lsh::cuda
