// Products of all pairs of vectors, register tile by register tile, from panels that both operands share:
// what exact distances are selected from before they ever reach memory. Value is float (float-products.h) or
// std::int32_t (products of bytes, byte-products.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {

/// One side of a tile of distances: of each vector a term t, where distance(a, b) = t_a + t_b + scale * <a,
/// b>, and the largest distance that it wants.
template <typename Value>
struct TileSide {
  const Value* terms;
  const Value* limits;
};

/// A pair that one of its two vectors wants: row and column inside the tile.
template <typename Value>
struct TilePair {
  std::uint32_t row, column;
  Value distance;
};

/// A panel holds `panelWidth` packed vectors side by side in words of 32 bits: first a word a vector that the
/// kernels keep for themselves, then for each of `steps` groups of `elements` dimensions `stepWords` words a
/// vector. The rows of a tile are `tileRows` neighbors of a panel: `a` points to the first of them in the
/// first line of its panel, `b` to a whole panel.
template <typename Value>
struct PanelKernels {
  const char* name;
  std::size_t elements, stepWords;
  std::size_t panelWidth;
  std::size_t tileRows;  // divides panelWidth
  std::size_t rowWords;  // 0, or: a panel then holds its vectors one after the other, too, as the rows of a
                         // tile, each filled up with zeros to a multiple of so many words
  std::uint32_t
      signedOffset;  // what is subtracted from the bytes of `a`: 128 where one factor must be signed

  /// c[i * strideC + j] = <a_i, b_j> for i < tileRows, j < panelWidth.
  void (*multiply)(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, Value* c,
                   std::size_t strideC);

  /// The pairs of that tile whose distance is at most the limit of the row or of the column, to `out` (room
  /// for tileRows * panelWidth); returns how many. Both sides' arrays hold a number for every vector of the
  /// tile.
  std::size_t (*select)(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, Value scale,
                        TileSide<Value> rows, TileSide<Value> columns, TilePair<Value>* out);

  std::size_t steps(std::size_t depth) const { return (depth + elements - 1) / elements; }
  /// The words of a vector where it is the row of a tile.
  std::size_t wordsOfRow(std::size_t depth) const {
    return rowWords == 0 ? 0 : (steps(depth) * stepWords + rowWords - 1) / rowWords * rowWords;
  }
  std::size_t panelWords(std::size_t depth) const {
    return panelWidth * (1 + steps(depth) * stepWords + wordsOfRow(depth));
  }
  /// Words that `count` packed vectors take, in whole panels.
  std::size_t packedWords(std::size_t count, std::size_t depth) const {
    return (count + panelWidth - 1) / panelWidth * panelWords(depth);
  }
  /// Where packed vector i begins, a multiple of tileRows.
  const std::uint32_t* rowsFrom(const std::uint32_t* packed, std::size_t i, std::size_t depth) const {
    return packed + i / panelWidth * panelWords(depth) + i % panelWidth;
  }
};

/// Of float products: steps that are summed up before they are added to the rest.
constexpr std::size_t panelBlockSteps = 256;

}  // namespace neural_lsh::cpu
