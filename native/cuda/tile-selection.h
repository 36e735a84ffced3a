// From tiles of products into the list of each row and, where a tile serves both directions, of each column.
// Most pairs cost one comparison: those within the limit of a list wait beside it, and are merged into it
// when the tile was looked through. Where more wait than there is room for, the row or column is gone through
// once more.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "keys.h"
#include "selection.h"

namespace neural_lsh::cuda {

/// Distances term + term' + scale * product; of bytes all integers, and exact.
template <typename Value>
struct TileProducts {
  const Value* products;
  std::uint32_t rows, columns, stride;
  Id firstRow, firstColumn;
  Value scale;
  bool isGraph;  // nothing is its own neighbor
};

/// The lists that a tile is selected into, from its first row (column) on.
template <typename Value>
struct TileLists {
  const Value* terms;
  Value* limits;  // the largest distance that can enter
  Key* keys;      // `kept` each, ascending; noKey where there are fewer
  std::uint32_t* waitingCounts;
  Key* waiting;  // `room` each
};

/// How long the lists are.
struct ListSizes {
  std::uint32_t kept, size;  // selectionSize(kept)
  /// What can wait beside a list: of long ones not all that could be merged at once.
  NLSH_BOTH std::uint32_t room() const {
    constexpr std::uint32_t most = 4096;
    return size - kept < most ? size - kept : most;
  }
};

template <typename Value>
NLSH_BOTH constexpr Value anyDistance() {
  if constexpr (std::is_integral_v<Value>) {
    return 0x7FFFFFFF;
  } else {
    return __builtin_huge_valf();
  }
}

template <typename Value>
NLSH_BOTH constexpr Value noDistance() {
  if constexpr (std::is_integral_v<Value>) {
    return -0x7FFFFFFF - 1;
  } else {
    return -__builtin_huge_valf();
  }
}

/// The limit of a list whose last key is this.
template <typename Value>
NLSH_BOTH inline Value limitOf(Key last) {
  return last == noKey ? anyDistance<Value>() : keyDistance<Value>(last);
}

NLSH_BOTH inline float tileDistance(float terms, float scale, float product) {
  return fmaf(scale, product, terms);
}
/// What overflows on the way comes back.
NLSH_BOTH inline std::int32_t tileDistance(std::int32_t terms, std::int32_t scale, std::int32_t product) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(terms) +
                                   static_cast<std::uint32_t>(scale) * static_cast<std::uint32_t>(product));
}

/// The key of a pair in the list of its row (or column), or noKey for a point and itself.
template <typename Value>
NLSH_BOTH Key tileKey(const TileProducts<Value>& tile, Value terms, std::uint32_t row, std::uint32_t column,
                      bool ofColumn) {
  const Id rowId = tile.firstRow + static_cast<Id>(row),
           columnId = tile.firstColumn + static_cast<Id>(column);
  if (tile.isGraph && rowId == columnId) return noKey;
  const Value product = tile.products[static_cast<std::size_t>(row) * tile.stride + column];
  return keyOf(tileDistance(terms, tile.scale, product), ofColumn ? rowId : columnId);
}

/// Puts a pair beside the list of its row and that of its column, where it can enter them. reserve(counter):
/// adds one and returns what it was before.
template <typename Value, typename Reserve>
NLSH_BOTH inline void offerPair(const TileProducts<Value>& tile, const TileLists<Value>& rows,
                                const TileLists<Value>& columns, std::uint32_t row, std::uint32_t column,
                                Value distance, bool entersRow, bool entersColumn, ListSizes sizes,
                                const Reserve& reserve) {
  const Id rowId = tile.firstRow + static_cast<Id>(row),
           columnId = tile.firstColumn + static_cast<Id>(column);
  if (column >= tile.columns || (tile.isGraph && rowId == columnId)) return;
  const auto wait = [=](const TileLists<Value>& lists, std::uint32_t target, Key key) {
    if (key >= lists.keys[static_cast<std::size_t>(target) * sizes.kept + sizes.kept - 1]) return;
    const std::uint32_t place = reserve(lists.waitingCounts + target);
    if (place < sizes.room()) lists.waiting[static_cast<std::size_t>(target) * sizes.room() + place] = key;
  };
  if (entersRow) wait(rows, row, keyOf(distance, columnId));
  if (entersColumn) wait(columns, column, keyOf(distance, rowId));
}

/// Merges what waits for list number `target` of the rows, or of the columns, into it.
template <typename Lanes, typename Value>
NLSH_BOTH void mergeWaiting(const Lanes& lanes, const TileProducts<Value>& tile,
                            const TileLists<Value>& lists, const Value* otherTerms, bool ofColumns,
                            std::uint32_t target, ListSizes sizes, Key* workspace) {
  const std::uint32_t count = lists.waitingCounts[target];
  if (count == 0) return;
  Key* const keys = lists.keys + static_cast<std::size_t>(target) * sizes.kept;
  Selection<Lanes, Key> selection(lanes, workspace, sizes.kept, sizes.size, noKey);
  selection.resume(keys);
  if (count <= sizes.room()) {
    const Key* const waiting = lists.waiting + static_cast<std::size_t>(target) * sizes.room();
    selectFrom(selection, lanes, count, noKey, [=](std::uint32_t i) { return waiting[i]; });
  } else {
    const Value term = lists.terms[target];
    selectFrom(selection, lanes, ofColumns ? tile.rows : tile.columns, noKey, [=, &tile](std::uint32_t i) {
      return ofColumns ? tileKey(tile, otherTerms[i] + term, i, target, true)
                       : tileKey(tile, term + otherTerms[i], target, i, false);
    });
  }
  for (std::uint32_t i = lanes.index(); i < sizes.kept; i += Lanes::count) keys[i] = workspace[i];
  if (lanes.index() == 0) {
    lists.limits[target] = limitOf<Value>(workspace[sizes.kept - 1]);
    lists.waitingCounts[target] = 0;
  }
  lanes.synchronize();
}

}  // namespace neural_lsh::cuda
