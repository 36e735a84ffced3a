#include "neighbor-search.h"

#include <algorithm>
#include <type_traits>

#include "open-rows.h"

namespace neural_lsh::cuda {

template <typename Value>
NeighborSearch<Value>::NeighborSearch(const Problem& problem, const Plan& plan, const DeviceLimits& limits,
                                      int device, TileCount& count)
    : problem_(problem),
      plan_(plan),
      limits_(limits),
      sizes_{problem.kept, selectionSize(problem.kept)},
      mergeMemory_(limits, sizes_.size * sizeof(Key)),
      keys_(problem.queries.rows * problem.kept),
      listLimits_(problem.queries.rows),
      ids_(problem.queries.rows * problem.k),
      nearest_(problem.queries.rows * problem.k),
      shift_(problem.shift.size()),
      largest_(2),
      pipeline_(device, plan.tile, count) {
  const Stream& stream = pipeline_.selecting();
  const std::size_t targets = plan.tile.rows + plan.tile.columns;
  waitingCounts_.require(targets);
  waiting_.require((plan.tile.rows + (problem.isGraph ? plan.tile.columns : 0)) * sizes_.room());
  fillZeros(largest_.data(), largest_.size(), stream);
  fillZeros(waitingCounts_.data(), targets, stream);
  writeToDevice(shift_.data(), problem.shift.data(), shift_.size(), stream);
  // The largest point bounds the errors; of queries, each row's own size does.
  points_ = std::make_unique<PointBlocks<Value>>(problem.points, format(largest_.data()), plan.pointsPerBlock,
                                                 problem.isGraph ? 3 : 2, staging_, stream);
  if (!problem.isGraph)
    queries_ = std::make_unique<PointBlocks<Value>>(problem.queries, format(largest_.data() + 1),
                                                    plan.queriesPerBlock, 1, staging_, stream);
}

template <typename Value>
void NeighborSearch<Value>::run() {
  const Stream& stream = pipeline_.selecting();
  clearLists(keys_.data(), listLimits_.data(), problem_.queries.rows, problem_.kept, stream);
  forEachPair(
      [&](std::size_t row, std::size_t column) { pipeline_.count().add(tilesOf(row, column).size()); });
  forEachPair([&](std::size_t row, std::size_t column) { select(row, column); });
  if constexpr (std::is_integral_v<Value>) {
    writeLists(keys_.data(), problem_.queries.rows, problem_.kept, ids_.data(), nearest_.data(), stream);
    writeResults();
  } else {
    rank();
  }
}

template <typename Value>
PointFormat NeighborSearch<Value>::format(LargestMagnitudes* largest) const {
  return {problem_.operand,        problem_.metric,
          problem_.points.columns, problem_.shift.empty() ? nullptr : shift_.data(),
          problem_.unit,           largest};
}

/// Blocks of rows and of columns; of a graph once, as a pair serves both directions.
template <typename Value>
template <typename Body>
void NeighborSearch<Value>::forEachPair(const Body& body) {
  for (std::size_t row = 0; row < rowBlocks().count(); ++row) {
    for (std::size_t column = problem_.isGraph ? row : 0; column < points_->count(); ++column)
      body(row, column);
  }
}

template <typename Value>
std::vector<Tile> NeighborSearch<Value>::tilesOf(std::size_t rowBlock, std::size_t columnBlock) {
  const auto size = [](std::size_t block, std::size_t perBlock, std::size_t all) {
    return std::min((block + 1) * perBlock, all) - block * perBlock;
  };
  return listTiles(size(rowBlock, rowBlocks().rowsPerBlock(), problem_.queries.rows),
                   size(columnBlock, points_->rowsPerBlock(), problem_.points.rows), plan_.tile,
                   problem_.isGraph, problem_.isGraph && rowBlock == columnBlock);
}

template <typename Value>
void NeighborSearch<Value>::select(std::size_t rowBlock, std::size_t columnBlock) {
  const PointBlock<Value> rows = rowBlocks().get(rowBlock, pipeline_.multiplying());
  const PointBlock<Value> columns = points_->get(columnBlock, pipeline_.multiplying());
  // All blocks that there is room for at once were seen; of others, the next is brought ahead.
  if (columnBlock + 1 < points_->count()) points_->prefetch(columnBlock + 1);
  const TileOperands operands{problem_.operand, problem_.points.columns, rows.operands, columns.operands};
  for (const Tile& tile : tilesOf(rowBlock, columnBlock)) {
    pipeline_.run(operands, tile, [&](const Value* products, std::size_t stride) {
      selectFromTile(rows, columns, tile, products, stride);
    });
    points_->advance();
  }
}

template <typename Value>
void NeighborSearch<Value>::selectFromTile(const PointBlock<Value>& rows, const PointBlock<Value>& columns,
                                           const Tile& tile, const Value* products, std::size_t stride) {
  const std::size_t firstRow = rows.rows.begin + tile.rows.begin;
  const std::size_t firstColumn = columns.rows.begin + tile.columns.begin;
  const TileProducts<Value> view{products,
                                 static_cast<std::uint32_t>(tile.rows.size()),
                                 static_cast<std::uint32_t>(tile.columns.size()),
                                 static_cast<std::uint32_t>(stride),
                                 static_cast<Id>(firstRow),
                                 static_cast<Id>(firstColumn),
                                 static_cast<Value>(problem_.productScale(problem_.unit)),
                                 problem_.isGraph};
  const TileLists<Value> rowLists{rows.terms + tile.rows.begin, listLimits_.data() + firstRow,
                                  keys_.data() + firstRow * problem_.kept, waitingCounts_.data(),
                                  waiting_.data()};
  TileLists<Value> columnLists{};
  columnLists.terms = columns.terms + tile.columns.begin;
  if (tile.isMutual) {
    columnLists.limits = listLimits_.data() + firstColumn;
    columnLists.keys = keys_.data() + firstColumn * problem_.kept;
    columnLists.waitingCounts = waitingCounts_.data() + plan_.tile.rows;
    columnLists.waiting = waiting_.data() + plan_.tile.rows * sizes_.room();
  }
  selectTile(view, rowLists, columnLists, tile.isMutual, sizes_, mergeMemory_, pipeline_.selecting());
}

template <typename Value>
void NeighborSearch<Value>::writeResults() {
  const std::size_t count = problem_.queries.rows * problem_.k;
  staging_.read(problem_.ids, ids_.data(), count * sizeof(*problem_.ids), pipeline_.selecting());
  staging_.read(problem_.distances, nearest_.data(), count * sizeof(*problem_.distances),
                pipeline_.selecting());
}

/// In double precision, and once more what that leaves open.
template <typename Value>
void NeighborSearch<Value>::rank()
  requires std::is_floating_point_v<Value>
{
  std::vector<OpenRow> open = rankAll();
  if (open.empty()) return;
  OpenRowSearch(problem_, plan_, limits_, format(largest_.data()), *points_, staging_, pipeline_)
      .run(std::move(open));
}

template <typename Value>
std::vector<OpenRow> NeighborSearch<Value>::rankAll()
  requires std::is_floating_point_v<Value>
{
  const Stream& stream = pipeline_.selecting();
  const std::size_t rows = problem_.queries.rows;
  const DeviceArray<double> distances(rows * problem_.kept);
  const DeviceArray<OpenRow> openRows(rows);
  const DeviceArray<std::uint32_t> openCount(1);
  const WarpMemory memory(limits_, rankBytes(problem_.kept));
  fillZeros(openCount.data(), 1, stream);
  for (std::size_t block = 0; block < rowBlocks().count(); ++block)
    rankBlock(block, distances.data(), openRows.data(), openCount.data(), memory);
  writeResults();
  std::uint32_t count = 0;
  readFromDevice(&count, openCount.data(), 1, stream);
  std::vector<OpenRow> open(count);
  readFromDevice(open.data(), openRows.data(), count, stream);
  return open;
}

template <typename Value>
void NeighborSearch<Value>::rankBlock(std::size_t block, double* distances, OpenRow* open,
                                      std::uint32_t* openCount, const WarpMemory& memory)
  requires std::is_floating_point_v<Value>
{
  const Stream& stream = pipeline_.selecting();
  for (std::size_t column = 0; column < points_->count(); ++column) {
    const PointBlock<Value> rows = rowBlocks().get(block, stream);
    const PointBlock<Value> columns = points_->get(column, stream);
    computeListedDistances({problem_.metric, rows.originals, columns.originals, rows.rows.size(),
                            columns.rows.size(), problem_.points.columns, static_cast<Id>(columns.rows.begin),
                            keys_.data() + rows.rows.begin * problem_.kept, problem_.kept,
                            distances + rows.rows.begin * problem_.kept},
                           stream);
  }
  const PointBlock<Value> rows = rowBlocks().get(block, stream);
  const std::size_t first = rows.rows.begin;
  rankLists({keys_.data() + first * problem_.kept, distances + first * problem_.kept, rows.rows.size(),
             problem_.kept, static_cast<std::uint32_t>(problem_.k), problem_.kept == problem_.available(),
             productRounding(problem_.precision, problem_.unit), problem_.points.columns, problem_.scale(),
             rows.norms, rows.terms, largest_.data(), ids_.data() + first * problem_.k,
             nearest_.data() + first * problem_.k, open, openCount, static_cast<std::int32_t>(first)},
            memory, stream);
}

template class NeighborSearch<float>;
template class NeighborSearch<std::int32_t>;

}  // namespace neural_lsh::cuda
