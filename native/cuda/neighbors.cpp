#include "neighbors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "bytes.h"
#include "matrix-products.h"
#include "neighbor-kernels.h"
#include "point-blocks.h"
#include "staging.h"
#include "tiles.h"

namespace neural_lsh::cuda {
namespace {

/// Launches that may wait on the device: more would only make a cancelled job end later.
constexpr std::size_t tilesAhead = 16;

float largestMagnitude(NlshMatrix matrix) {
  float largest = 0;
  for (std::size_t i = 0; i < matrix.rows * matrix.columns; ++i)
    largest = std::max(largest, std::abs(matrix.data[i]));
  return largest;
}

/// What is subtracted before the products of Euclidean distances, so that these are small where the data lie
/// far from the origin: about the mean. Anything is right, so a sample of the rows will do.
std::vector<float> shiftOf(NlshMatrix points, NlshMetric metric) {
  if (metric != NLSH_EUCLIDEAN) return {};
  constexpr std::size_t sampled = 4096;
  const std::size_t step = divideUp(points.rows, sampled);
  std::vector<double> sums(points.columns);
  std::size_t count = 0;
  for (std::size_t row = 0; row < points.rows; row += step, ++count) {
    for (std::size_t c = 0; c < points.columns; ++c) sums[c] += points.data[row * points.columns + c];
  }
  std::vector<float> shift(points.columns);
  std::transform(sums.begin(), sums.end(), shift.begin(),
                 [count](double sum) { return static_cast<float>(sum / static_cast<double>(count)); });
  return shift;
}

/// A few more than k, so that the rounding of the tiles seldom hides a neighbor: the coarser, the more.
std::uint32_t listLength(std::size_t k, std::size_t available, Operand operand) {
  const auto margin = [operand]() -> std::size_t {
    switch (operand) {
      case Operand::int8:
        return 0;
      case Operand::bfloat16:
        return 32;
      case Operand::float16:
      case Operand::tensorFloat32:
        return 12;
      default:
        return 4;
    }
  }();
  const std::size_t wanted = margin == 0 ? k : k + std::max(margin, k / 8);
  return static_cast<std::uint32_t>(std::min(available, wanted));
}

Operand operandOf(NlshPrecision precision) {
  switch (precision) {
    case NLSH_TF32:
      return Operand::tensorFloat32;
    case NLSH_BF16:
      return Operand::bfloat16;
    case NLSH_FP16:
      return Operand::float16;
    default:
      return Operand::float32;
  }
}

/// What is searched, and how it is multiplied.
struct Problem {
  NlshMatrix points, queries;  // the same for a graph
  bool isGraph;
  NlshMetric metric;
  NlshPrecision precision;
  Operand operand;
  float unit;  // what operands are multiplied by
  std::vector<float> shift;
  std::size_t k;
  std::uint32_t kept;
  std::int32_t* ids;
  float* distances;

  std::size_t available() const { return points.rows - (isGraph ? 1 : 0); }
  /// Of a product of operands.
  double scale() const { return metric == NLSH_EUCLIDEAN ? -2 : -1; }
};

/// A power of two that brings all numbers into the range of half precision.
float halfUnit(const Problem& problem) {
  constexpr float largestHalf = 32'768;
  float most = largestMagnitude(problem.points);
  if (!problem.isGraph) most = std::max(most, largestMagnitude(problem.queries));
  float shift = 0;
  for (const float value : problem.shift) shift = std::max(shift, std::abs(value));
  if (most + shift == 0) return 1;
  return std::exp2(std::clamp(std::floor(std::log2(largestHalf / (most + shift))), -60.0F, 60.0F));
}

Problem problemOf(const NlshNeighborsRequest& request) {
  Problem problem{};
  problem.points = request.points;
  problem.isGraph = request.queries.data == nullptr;
  problem.queries = problem.isGraph ? request.points : request.queries;
  problem.metric = static_cast<NlshMetric>(request.metric);
  problem.precision = static_cast<NlshPrecision>(request.precision);
  problem.k = request.k;
  problem.ids = request.ids;
  problem.distances = request.distances;
  problem.unit = 1;
  const bool isBytes = problem.metric == NLSH_EUCLIDEAN && problem.points.columns <= maxByteColumns &&
                       areBytes(problem.points) && (problem.isGraph || areBytes(problem.queries));
  problem.operand = isBytes ? Operand::int8 : operandOf(problem.precision);
  problem.kept = listLength(problem.k, problem.available(), problem.operand);
  if (isBytes) return problem;
  problem.shift = shiftOf(problem.points, problem.metric);
  if (problem.operand == Operand::float16) problem.unit = halfUnit(problem);
  return problem;
}

/// How much of a problem is on the device at once.
struct Plan {
  TileShape tile;
  std::size_t queriesPerPass, queriesPerBlock, pointsPerBlock, openRows;
};

/// Bytes of the device that a query's list takes, with its results.
template <typename Value>
std::size_t listBytes(const Problem& problem) {
  const std::size_t ranked = std::is_integral_v<Value> ? 0 : problem.kept * sizeof(double) + sizeof(OpenRow);
  return problem.kept * sizeof(Key) + sizeof(Value) + ranked +
         problem.k * (sizeof(std::int32_t) + sizeof(float));
}

Failure tooSmallDevice() {
  return Failure(
      NLSH_OUT_OF_MEMORY,
      "the device's free memory is too small even for the lists of neighbors and small tiles of products");
}

/// Throws NLSH_OUT_OF_MEMORY where not even small tiles fit into `budget` bytes.
template <typename Value>
Plan makePlan(const Problem& problem, const DeviceLimits& limits, std::size_t budget) {
  const std::size_t rowBytes = blockRowBytes<Value>(problem.points.columns);
  const std::size_t forTiles = budget / 8, forLists = budget / 2, forOpen = budget / 16;
  Plan plan{};
  plan.queriesPerPass = std::min(problem.queries.rows, forLists / listBytes<Value>(problem));
  if (plan.queriesPerPass < (problem.isGraph ? problem.queries.rows : 1)) throw tooSmallDevice();
  plan.tile = tileShape(limits.l2Bytes, forTiles, plan.queriesPerPass, problem.points.rows);
  plan.openRows = std::clamp<std::size_t>(forOpen / (rowBytes + problem.k * sizeof(RankedPoint)),
                                          operandAlignment, std::size_t{1} << 16);
  const std::size_t used = forTiles + forOpen + plan.queriesPerPass * listBytes<Value>(problem);
  const std::size_t left = used < budget ? (budget - used) / rowBytes : 0;
  const bool fits = problem.points.rows + (problem.isGraph ? 0 : plan.queriesPerPass) <= left;
  // Whole tiles, where there is room for one.
  const std::size_t perBlock = left / (problem.isGraph ? 3 : 4);
  const std::size_t step = perBlock > plan.tile.columns ? plan.tile.columns : operandAlignment;
  plan.pointsPerBlock = fits ? problem.points.rows : perBlock / step * step;
  plan.queriesPerBlock = problem.isGraph || !fits ? plan.pointsPerBlock : plan.queriesPerPass;
  if (plan.pointsPerBlock == 0) throw tooSmallDevice();
  return plan;
}

/// How many tiles there are, and how many of them are done.
class TileCount {
 public:
  explicit TileCount(const Watch& watch) : watch_(watch) {}
  void add(std::size_t tiles) { total_ += tiles; }
  void next() {
    watch_.check();
    watch_.progress(++done_, total_);
  }

 private:
  const Watch& watch_;
  std::size_t done_ = 0, total_ = 0;
};

/// Queries of one pass among all points.
template <typename Value>
class NeighborSearch {
 public:
  NeighborSearch(const Problem& problem, const Plan& plan, const DeviceLimits& limits, int device,
                 TileCount& tiles)
      : problem_(problem),
        plan_(plan),
        limits_(limits),
        tileCount_(tiles),
        sizes_{problem.kept, selectionSize(problem.kept)},
        mergeMemory_(limits, sizes_.size * sizeof(Key)),
        keys_(problem.queries.rows * problem.kept),
        listLimits_(problem.queries.rows),
        ids_(problem.queries.rows * problem.k),
        nearest_(problem.queries.rows * problem.k),
        shift_(problem.shift.size()),
        largest_(2),
        products_(device) {
    const std::size_t targets = plan.tile.rows + plan.tile.columns;
    waitingCounts_.require(targets);
    waiting_.require((plan.tile.rows + (problem.isGraph ? plan.tile.columns : 0)) * sizes_.room());
    for (Buffer& buffer : buffers_) buffer.products.require(plan.tile.rows * plan.tile.columns);
    fillZeros(largest_.data(), largest_.size(), select_);
    fillZeros(waitingCounts_.data(), targets, select_);
    writeToDevice(shift_.data(), problem.shift.data(), shift_.size(), select_);
    // The largest point bounds the errors; of queries, each row's own size does.
    points_ =
        std::make_unique<PointBlocks<Value>>(problem.points, format(largest_.data()), plan.pointsPerBlock,
                                             problem.isGraph ? 3 : 2, staging_, select_);
    if (!problem.isGraph)
      queries_ = std::make_unique<PointBlocks<Value>>(problem.queries, format(largest_.data() + 1),
                                                      plan.queriesPerBlock, 1, staging_, select_);
  }

  void run() {
    clearLists(keys_.data(), listLimits_.data(), problem_.queries.rows, problem_.kept, select_);
    countTiles();
    forEachPair(problem_.isGraph, [&](std::size_t row, std::size_t column) { select(row, column); });
    if constexpr (std::is_integral_v<Value>) {
      writeLists(keys_.data(), problem_.queries.rows, problem_.kept, ids_.data(), nearest_.data(), select_);
      writeResults();
    } else {
      rank();
    }
  }

 private:
  struct Buffer {
    DeviceArray<Value> products;
    Event multiplied, selected;
  };

  PointFormat format(LargestMagnitudes* largest) const {
    return {problem_.operand,        problem_.metric,
            problem_.points.columns, problem_.shift.empty() ? nullptr : shift_.data(),
            problem_.unit,           largest};
  }

  PointBlocks<Value>& rowBlocks() { return problem_.isGraph ? *points_ : *queries_; }

  /// Blocks of rows and of columns; once where a pair serves both directions.
  template <typename Body>
  void forEachPair(bool isHalf, const Body& body) {
    for (std::size_t row = 0; row < rowBlocks().count(); ++row) {
      for (std::size_t column = isHalf ? row : 0; column < points_->count(); ++column) body(row, column);
    }
  }

  std::vector<Tile> tilesOf(std::size_t row, std::size_t column) {
    const auto size = [](std::size_t block, std::size_t perBlock, std::size_t all) {
      return std::min((block + 1) * perBlock, all) - block * perBlock;
    };
    return listTiles(size(row, rowBlocks().rowsPerBlock(), problem_.queries.rows),
                     size(column, points_->rowsPerBlock(), problem_.points.rows), plan_.tile,
                     problem_.isGraph, problem_.isGraph && row == column);
  }

  void countTiles() {
    forEachPair(problem_.isGraph,
                [&](std::size_t row, std::size_t column) { tileCount_.add(tilesOf(row, column).size()); });
  }

  /// All blocks that there is room for at once were seen; of others, the one after this pair's is brought
  /// ahead.
  void prefetchAfter(std::size_t column) {
    if (column + 1 < points_->count()) points_->prefetch(column + 1);
  }

  /// Launches a tile's product and then, on the other stream, work(product): while that runs, the next is
  /// multiplied.
  template <typename Work>
  void multiplyTile(Operand operand, const std::byte* rows, const std::byte* columns, const Tile& tile,
                    const Work& work) {
    Buffer& buffer = buffers_[nextBuffer_];
    nextBuffer_ = (nextBuffer_ + 1) % buffers_.size();
    const std::size_t stride = roundUpToOperands(problem_.points.columns),
                      bytes = stride * operandBytes(operand);
    const ProductShape shape{
        operand, roundUpToOperands(tile.rows.size()),   roundUpToOperands(tile.columns.size()), stride,
        stride,  roundUpToOperands(tile.columns.size())};
    multiply_.wait(buffer.selected);
    products_.multiply(shape, rows + tile.rows.begin * bytes, columns + tile.columns.begin * bytes,
                       buffer.products.data(), nullptr, multiply_);
    buffer.multiplied.record(multiply_);
    select_.wait(buffer.multiplied);
    work(buffer.products.data(), shape.outStride);
    buffer.selected.record(select_);
    throttle();
  }

  /// Waits until only few launches are ahead of the device.
  void throttle() {
    Event& event = launched_[nextLaunch_];
    nextLaunch_ = (nextLaunch_ + 1) % launched_.size();
    event.synchronize();
    event.record(select_);
    tileCount_.next();
  }

  void select(std::size_t rowBlock, std::size_t columnBlock) {
    const PointBlock<Value> rows = rowBlocks().get(rowBlock, multiply_);
    const PointBlock<Value> columns = points_->get(columnBlock, multiply_);
    prefetchAfter(columnBlock);
    for (const Tile& tile : tilesOf(rowBlock, columnBlock)) {
      multiplyTile(problem_.operand, rows.operands, columns.operands, tile,
                   [&](const Value* products, std::size_t stride) {
                     selectFromTile(rows, columns, tile, products, stride);
                   });
      points_->advance();
    }
  }

  void selectFromTile(const PointBlock<Value>& rows, const PointBlock<Value>& columns, const Tile& tile,
                      const Value* products, std::size_t stride) {
    const std::size_t firstRow = rows.rows.begin + tile.rows.begin;
    const std::size_t firstColumn = columns.rows.begin + tile.columns.begin;
    const TileProducts<Value> view{products,
                                   static_cast<std::uint32_t>(tile.rows.size()),
                                   static_cast<std::uint32_t>(tile.columns.size()),
                                   static_cast<std::uint32_t>(stride),
                                   static_cast<Id>(firstRow),
                                   static_cast<Id>(firstColumn),
                                   static_cast<Value>(productScale(problem_.unit)),
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
    selectTile(view, rowLists, columnLists, tile.isMutual, sizes_, mergeMemory_, select_);
  }

  /// Of products of operands that were multiplied by `unit`.
  double productScale(double unit) const { return problem_.scale() / (unit * unit); }

  void writeResults() {
    const std::size_t count = problem_.queries.rows * problem_.k;
    readFromDevice(problem_.ids, ids_.data(), count, select_);
    readFromDevice(problem_.distances, nearest_.data(), count, select_);
  }

  /// In double precision, and once more what that leaves open.
  void rank() {
    const std::size_t rows = problem_.queries.rows;
    std::vector<OpenRow> open;
    {
      const DeviceArray<double> distances(rows * problem_.kept);
      const DeviceArray<OpenRow> openRows(rows);
      const DeviceArray<std::uint32_t> openCount(1);
      const WarpMemory memory(limits_, rankBytes(problem_.kept));
      fillZeros(openCount.data(), 1, select_);
      for (std::size_t block = 0; block < rowBlocks().count(); ++block)
        rankBlock(block, distances.data(), openRows.data(), openCount.data(), memory);
      writeResults();
      std::uint32_t count = 0;
      readFromDevice(&count, openCount.data(), 1, select_);
      open.resize(count);
      readFromDevice(open.data(), openRows.data(), count, select_);
    }
    if (open.empty()) return;
    std::sort(open.begin(), open.end(), [](const OpenRow& a, const OpenRow& b) { return a.row < b.row; });
    searchAgain(open);
  }

  void rankBlock(std::size_t block, double* distances, OpenRow* open, std::uint32_t* openCount,
                 const WarpMemory& memory) {
    for (std::size_t column = 0; column < points_->count(); ++column) {
      const PointBlock<Value> rows = rowBlocks().get(block, select_);
      const PointBlock<Value> columns = points_->get(column, select_);
      computeListedDistances(
          {problem_.metric, rows.originals, columns.originals, rows.rows.size(), columns.rows.size(),
           problem_.points.columns, static_cast<Id>(columns.rows.begin),
           keys_.data() + rows.rows.begin * problem_.kept, problem_.kept,
           distances + rows.rows.begin * problem_.kept},
          select_);
    }
    const PointBlock<Value> rows = rowBlocks().get(block, select_);
    const std::size_t first = rows.rows.begin;
    rankLists({keys_.data() + first * problem_.kept, distances + first * problem_.kept, rows.rows.size(),
               problem_.kept, static_cast<std::uint32_t>(problem_.k), problem_.kept == problem_.available(),
               productRounding(problem_.precision, problem_.unit), problem_.points.columns, problem_.scale(),
               rows.norms, rows.terms, largest_.data(), ids_.data() + first * problem_.k,
               nearest_.data() + first * problem_.k, open, openCount, static_cast<std::int32_t>(first)},
              memory, select_);
  }

  /// Rows whose ranking was not certain: many equal or nearly equal distances, or coarse products. In full
  /// precision, with what is known of each row's k-th distance.
  void searchAgain(const std::vector<OpenRow>& open) {
    points_->reformat(Operand::float32, 1);
    const WarpMemory memory(limits_, selectExactlyBytes(static_cast<std::uint32_t>(problem_.k)));
    for (std::size_t first = 0; first < open.size(); first += plan_.openRows) {
      const std::size_t count = std::min(plan_.openRows, open.size() - first);
      searchAgain(std::vector<OpenRow>(open.begin() + static_cast<std::ptrdiff_t>(first),
                                       open.begin() + static_cast<std::ptrdiff_t>(first + count)),
                  memory);
    }
  }

  void searchAgain(const std::vector<OpenRow>& open, const WarpMemory& memory) {
    const std::size_t columns = problem_.points.columns, k = problem_.k;
    std::vector<float> gathered(open.size() * columns), limits(open.size());
    std::vector<std::int32_t> rowIds(open.size());
    LargestMagnitudes largest{};
    readFromDevice(&largest, largest_.data(), 1, select_);
    for (std::size_t i = 0; i < open.size(); ++i) {
      const float* const row = problem_.queries.data + static_cast<std::size_t>(open[i].row) * columns;
      std::copy_n(row, columns, gathered.data() + i * columns);
      rowIds[i] = open[i].row;
      limits[i] = exactLimit(row, open[i].bound, largest);
    }

    const DeviceArray<float> deviceLimits(open.size());
    const DeviceArray<std::int32_t> deviceIds(open.size());
    const DeviceArray<RankedPoint> nearest(open.size() * k);
    writeToDevice(deviceLimits.data(), limits.data(), limits.size(), select_);
    writeToDevice(deviceIds.data(), rowIds.data(), rowIds.size(), select_);
    clearRanked(nearest.data(), open.size() * k, select_);
    PointFormat asFloats = format(largest_.data() + 1);
    asFloats.operand = Operand::float32;
    asFloats.unit = 1;
    PointBlocks<float> openBlock({gathered.data(), open.size(), columns}, asFloats, open.size(), 1, staging_,
                                 select_);

    const TileShape shape{std::min(plan_.tile.rows, roundUpToOperands(open.size())), plan_.tile.columns};
    for (std::size_t block = 0; block < points_->count(); ++block) {
      const PointBlock<float> rows = openBlock.get(0, multiply_);
      const PointBlock<float> points = points_->get(block, multiply_);
      prefetchAfter(block);
      const std::vector<Tile> tiles = listTiles(open.size(), points.rows.size(), shape, false, false);
      tileCount_.add(tiles.size());
      for (const Tile& tile : tiles) {
        multiplyTile(Operand::float32, rows.operands, points.operands, tile,
                     [&](const float* products, std::size_t stride) {
                       const TileProducts<float> view{products,
                                                      static_cast<std::uint32_t>(tile.rows.size()),
                                                      static_cast<std::uint32_t>(tile.columns.size()),
                                                      static_cast<std::uint32_t>(stride),
                                                      0,
                                                      static_cast<Id>(points.rows.begin + tile.columns.begin),
                                                      static_cast<float>(productScale(1)),
                                                      problem_.isGraph};
                       selectExactly(
                           {view, problem_.metric, rows.originals + tile.rows.begin * columns,
                            points.originals + tile.columns.begin * columns, columns,
                            rows.terms + tile.rows.begin, points.terms + tile.columns.begin,
                            deviceLimits.data() + tile.rows.begin, deviceIds.data() + tile.rows.begin,
                            nearest.data() + tile.rows.begin * k, static_cast<std::uint32_t>(k)},
                           memory, select_);
                     });
        points_->advance();
      }
    }

    std::vector<RankedPoint> found(open.size() * k);
    readFromDevice(found.data(), nearest.data(), found.size(), select_);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(open[i / k].row) * k + i % k;
      problem_.ids[at] = found[i].id;
      problem_.distances[at] = static_cast<float>(found[i].distance);
    }
  }

  /// No tile distance in full precision of a point at most as far as `bound` is larger.
  float exactLimit(const float* row, double bound, const LargestMagnitudes& largest) const {
    double squared = 0;
    for (std::size_t c = 0; c < problem_.points.columns; ++c) {
      const float value = problem_.shift.empty() ? row[c] : row[c] - problem_.shift[c];
      squared += static_cast<double>(value) * value;
    }
    const double term = problem_.metric == NLSH_EUCLIDEAN ? squared
                        : problem_.metric == NLSH_COSINE  ? 0.5
                                                          : 0;
    const double error =
        tileError(productRounding(NLSH_FP32, 1), problem_.points.columns, problem_.scale(),
                  {std::sqrt(squared), term}, {bitsAs<float>(largest.norm), bitsAs<float>(largest.term)});
    return std::nextafter(static_cast<float>(bound + error), std::numeric_limits<float>::infinity());
  }

  const Problem& problem_;
  const Plan& plan_;
  const DeviceLimits& limits_;
  TileCount& tileCount_;
  ListSizes sizes_;
  WarpMemory mergeMemory_;
  DeviceArray<Key> keys_, waiting_;
  DeviceArray<Value> listLimits_;
  DeviceArray<std::uint32_t> waitingCounts_;
  DeviceArray<std::int32_t> ids_;
  DeviceArray<float> nearest_, shift_;
  DeviceArray<LargestMagnitudes> largest_;  // of the points, of the queries
  MatrixProducts products_;
  std::array<Buffer, 2> buffers_;
  std::size_t nextBuffer_ = 0, nextLaunch_ = 0;
  std::array<Event, tilesAhead> launched_;
  std::unique_ptr<PointBlocks<Value>> points_, queries_;
  Staging staging_;
  Stream multiply_, select_;
};

/// Pass after pass, with as much of the device's memory as it turns out to have.
template <typename Value>
void solve(const Problem& problem, int device, const Watch& watch) {
  constexpr std::size_t leastBudget = std::size_t{4} << 20;
  const DeviceLimits limits = deviceLimits(device);
  const std::size_t left = limits.freeBytes - std::min(limits.freeBytes, workspaceBytes(device));
  for (std::size_t budget = left / 10 * 9;; budget /= 2) {
    try {
      const Plan plan = makePlan<Value>(problem, limits, budget);
      TileCount tiles(watch);
      for (std::size_t first = 0; first < problem.queries.rows; first += plan.queriesPerPass) {
        Problem pass = problem;
        const std::size_t count = std::min(plan.queriesPerPass, problem.queries.rows - first);
        pass.queries.rows = count;
        pass.queries.data += first * problem.queries.columns;
        pass.ids += first * problem.k;
        pass.distances += first * problem.k;
        NeighborSearch<Value>(pass, plan, limits, device, tiles).run();
      }
      return;
    } catch (const Failure& failure) {
      // Others may have taken memory in the meantime: with less, blocks and tiles are smaller.
      if (failure.status() != NLSH_OUT_OF_MEMORY || budget / 2 < leastBudget) throw;
    }
  }
}

void checkRequest(const NlshNeighborsRequest& request) {
  const bool isGraph = request.queries.data == nullptr;
  const auto require = [](bool isRight, const char* argument, const char* message) {
    if (!isRight) throw badArgument(argument, message);
  };
  require(request.metric >= NLSH_EUCLIDEAN && request.metric <= NLSH_INNER_PRODUCT, "metric", "is not known");
  require(request.precision >= NLSH_FP32 && request.precision <= NLSH_FP16, "precision", "is not known");
  require(request.points.data != nullptr && request.points.rows > 0 && request.points.columns > 0, "points",
          "must have rows and columns");
  require(request.points.rows <= std::numeric_limits<Id>::max(), "points", "has more rows than 32-bit ids");
  require(isGraph || request.queries.columns == request.points.columns, "queries",
          "must have as many columns as the points");
  require(request.k >= 1 && request.k <= request.points.rows - (isGraph ? 1 : 0), "k",
          "must be at least 1 and at most the number of points that there are to be found");
  require(request.ids != nullptr && request.distances != nullptr, "ids", "must not be null, nor distances");
}

}  // namespace

void findNeighbors(const NlshNeighborsRequest& request, const Watch& watch) {
  checkRequest(request);
  checkDevice(request.device);
  if (request.queries.data != nullptr && request.queries.rows == 0) return;
  const DeviceGuard guard(request.device);
  const Problem problem = problemOf(request);
  if (problem.operand == Operand::int8) {
    solve<std::int32_t>(problem, request.device, watch);
  } else {
    solve<float>(problem, request.device, watch);
  }
}

}  // namespace neural_lsh::cuda
