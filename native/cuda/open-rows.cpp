#include "open-rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace neural_lsh::cuda {
namespace {

PointFormat asFloats(PointFormat format) {
  format.operand = Operand::float32;
  format.unit = 1;
  return format;
}

LargestMagnitudes read(const LargestMagnitudes* largest, const Stream& stream) {
  LargestMagnitudes value{};
  readFromDevice(&value, largest, 1, stream);
  return value;
}

}  // namespace

OpenRowSearch::OpenRowSearch(const Problem& problem, const Plan& plan, const DeviceLimits& limits,
                             const PointFormat& format, PointBlocks<float>& points, Staging& staging,
                             TilePipeline<float>& pipeline)
    : problem_(problem),
      plan_(plan),
      format_(asFloats(format)),
      points_(points),
      staging_(staging),
      pipeline_(pipeline),
      largest_(read(format.largest, pipeline.selecting())),
      memory_(limits, selectExactlyBytes(static_cast<std::uint32_t>(problem.k))) {
  ++format_.largest;
  points_.reformat(Operand::float32, 1);
}

void OpenRowSearch::run(Rows open) {
  std::sort(open.begin(), open.end(), [](const OpenRow& a, const OpenRow& b) { return a.row < b.row; });
  for (std::size_t first = 0; first < open.size(); first += plan_.openRows) {
    const auto begin = open.begin() + static_cast<std::ptrdiff_t>(first);
    const std::size_t count = std::min(plan_.openRows, open.size() - first);
    searchTogether(Rows(begin, begin + static_cast<std::ptrdiff_t>(count)));
  }
}

/// The rows themselves, their numbers, and what no distance of a neighbor in a tile is above.
struct OpenRowSearch::Gathered {
  std::vector<float> rows, limits;
  std::vector<std::int32_t> ids;
};

OpenRowSearch::Gathered OpenRowSearch::gather(const Rows& open) const {
  const std::size_t columns = problem_.points.columns;
  Gathered gathered;
  for (const OpenRow& one : open) {
    const float* const row = problem_.queries.data + static_cast<std::size_t>(one.row) * columns;
    gathered.rows.insert(gathered.rows.end(), row, row + columns);
    gathered.ids.push_back(one.row);
    gathered.limits.push_back(limitOf(row, one.bound, largest_));
  }
  return gathered;
}

void OpenRowSearch::searchTogether(const Rows& open) {
  const Stream& stream = pipeline_.selecting();
  const std::size_t k = problem_.k;
  const Gathered gathered = gather(open);
  const DeviceArray<float> limits(open.size());
  const DeviceArray<std::int32_t> rowIds(open.size());
  const DeviceArray<RankedPoint> nearest(open.size() * k);
  writeToDevice(limits.data(), gathered.limits.data(), open.size(), stream);
  writeToDevice(rowIds.data(), gathered.ids.data(), open.size(), stream);
  clearRanked(nearest.data(), open.size() * k, stream);
  PointBlocks<float> openBlock({gathered.rows.data(), open.size(), problem_.points.columns}, format_,
                               open.size(), 1, staging_, stream);
  for (std::size_t block = 0; block < points_.count(); ++block)
    selectFromBlock(block, open, openBlock, limits, rowIds, nearest);

  std::vector<RankedPoint> found(open.size() * k);
  readFromDevice(found.data(), nearest.data(), found.size(), stream);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::size_t at = static_cast<std::size_t>(open[i / k].row) * k + i % k;
    problem_.ids[at] = found[i].id;
    problem_.distances[at] = static_cast<float>(found[i].distance);
  }
}

void OpenRowSearch::selectFromBlock(std::size_t block, const Rows& open, PointBlocks<float>& openBlock,
                                    const DeviceArray<float>& limits, const DeviceArray<std::int32_t>& rowIds,
                                    const DeviceArray<RankedPoint>& nearest) {
  const std::size_t columns = problem_.points.columns, k = problem_.k;
  const PointBlock<float> rows = openBlock.get(0, pipeline_.multiplying());
  const PointBlock<float> points = points_.get(block, pipeline_.multiplying());
  if (block + 1 < points_.count()) points_.prefetch(block + 1);
  const TileShape shape{std::min(plan_.tile.rows, roundUpToOperands(open.size())), plan_.tile.columns};
  const std::vector<Tile> tiles = listTiles(open.size(), points.rows.size(), shape, false, false);
  pipeline_.count().add(tiles.size());
  const TileOperands operands{Operand::float32, columns, rows.operands, points.operands};
  for (const Tile& tile : tiles) {
    pipeline_.run(operands, tile, [&](const float* products, std::size_t stride) {
      const TileProducts<float> view{products,
                                     static_cast<std::uint32_t>(tile.rows.size()),
                                     static_cast<std::uint32_t>(tile.columns.size()),
                                     static_cast<std::uint32_t>(stride),
                                     0,
                                     static_cast<Id>(points.rows.begin + tile.columns.begin),
                                     static_cast<float>(problem_.productScale(1)),
                                     problem_.isGraph};
      selectExactly({view, problem_.metric, rows.originals + tile.rows.begin * columns,
                     points.originals + tile.columns.begin * columns, columns, rows.terms + tile.rows.begin,
                     points.terms + tile.columns.begin, limits.data() + tile.rows.begin,
                     rowIds.data() + tile.rows.begin, nearest.data() + tile.rows.begin * k,
                     static_cast<std::uint32_t>(k)},
                    memory_, pipeline_.selecting());
    });
    points_.advance();
  }
}

/// No tile distance in full precision of a point at most as far as `bound` is larger.
float OpenRowSearch::limitOf(const float* row, double bound, const LargestMagnitudes& largest) const {
  double squared = 0;
  for (std::size_t c = 0; c < problem_.points.columns; ++c) {
    const float value = problem_.shift.empty() ? row[c] : row[c] - problem_.shift[c];
    squared += static_cast<double>(value) * value;
  }
  const double term = problem_.metric == NLSH_EUCLIDEAN ? squared : problem_.metric == NLSH_COSINE ? 0.5 : 0;
  const double error =
      tileError(productRounding(NLSH_FP32, 1), problem_.points.columns, problem_.scale(),
                {std::sqrt(squared), term}, {bitsAs<float>(largest.norm), bitsAs<float>(largest.term)});
  return std::nextafter(static_cast<float>(bound + error), std::numeric_limits<float>::infinity());
}

}  // namespace neural_lsh::cuda
