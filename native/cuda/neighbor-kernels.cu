#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "launch.h"
#include "neighbor-kernels.h"

namespace neural_lsh::cuda {
namespace {

template <Operand operand>
struct OperandType {
  using Type = float;
  static __device__ Type from(float value) { return value; }
};
template <>
struct OperandType<Operand::tensorFloat32> {
  using Type = float;
  static __device__ Type from(float value) { return toTensorFloat32(value); }
};
template <>
struct OperandType<Operand::bfloat16> {
  using Type = __nv_bfloat16;
  static __device__ Type from(float value) { return __float2bfloat16_rn(value); }
};
template <>
struct OperandType<Operand::float16> {
  using Type = __half;
  static __device__ Type from(float value) { return __float2half_rn(value); }
};

template <Operand operand>
__global__ void prepareFloatsKernel(FloatRows from, float unit, FloatOperands to) {
  const Warp lanes;
  using Converted = OperandType<operand>;
  for (std::size_t row = firstTarget(); row < to.paddedRows; row += targetStep()) {
    auto* const out = static_cast<typename Converted::Type*>(to.operands) + row * to.stride;
    const bool isRow = row < from.count;
    double squared = 0;
    for (std::size_t c = lanes.index(); c < to.stride; c += Warp::count) {
      float value = 0;
      if (isRow && c < from.columns) {
        value = from.rows[row * from.columns + c];
        if (from.shift != nullptr) value -= from.shift[c];
      }
      squared += static_cast<double>(value) * value;
      out[c] = Converted::from(value * unit);
    }
    squared = lanes.sum(squared);
    if (!isRow || lanes.index() != 0) continue;
    const float norm = __double2float_ru(sqrt(squared));
    const float term = from.metric == NLSH_EUCLIDEAN ? static_cast<float>(squared)
                       : from.metric == NLSH_COSINE  ? 0.5F
                                                     : 0.0F;
    to.norms[row] = norm;
    to.terms[row] = term;
    atomicMax(&to.largest->norm, __float_as_int(norm));
    atomicMax(&to.largest->term, __float_as_int(term));
  }
}

template <typename Value>
__global__ void clearListsKernel(Key* keys, Value* limits, std::size_t rows, std::uint32_t kept) {
  for (std::size_t i = firstItem(); i < rows * kept; i += itemStep()) keys[i] = noKey;
  for (std::size_t i = firstItem(); i < rows; i += itemStep()) limits[i] = anyDistance<Value>();
}

template <typename Value>
struct Four;
template <>
struct Four<float> {
  using Type = float4;
};
template <>
struct Four<std::int32_t> {
  using Type = int4;
};

constexpr std::uint32_t tileColumnsPerThread = 4, tileRowsPerThread = 8;

struct Reserve {
  __device__ std::uint32_t operator()(std::uint32_t* counter) const { return atomicAdd(counter, 1U); }
};

/// Each thread looks at 4 columns of 8 rows.
template <typename Value>
__global__ void __launch_bounds__(threadsPerBlock)
    filterTile(TileProducts<Value> tile, TileLists<Value> rows, TileLists<Value> columns, bool isMutual,
               ListSizes sizes) {
  const std::uint32_t column = (blockIdx.x * blockDim.x + threadIdx.x) * tileColumnsPerThread;
  if (column >= tile.columns) return;
  const std::uint32_t firstRow = blockIdx.y * tileRowsPerThread;

  // The stride is a multiple of 16, and so are the columns that there is memory for.
  union Products {
    typename Four<Value>::Type vector;
    Value values[tileColumnsPerThread];
  };
  Products products[tileRowsPerThread];
#pragma unroll
  for (std::uint32_t r = 0; r < tileRowsPerThread; ++r) {
    const std::size_t row = min(firstRow + r, tile.rows - 1);
    products[r].vector =
        *reinterpret_cast<const typename Four<Value>::Type*>(tile.products + row * tile.stride + column);
  }

  constexpr Value never = noDistance<Value>();
  Value terms[tileColumnsPerThread], limits[tileColumnsPerThread];
#pragma unroll
  for (std::uint32_t c = 0; c < tileColumnsPerThread; ++c) {
    const bool isColumn = column + c < tile.columns;
    terms[c] = isColumn ? columns.terms[column + c] : Value{0};
    limits[c] = isColumn && isMutual ? columns.limits[column + c] : never;
  }

#pragma unroll
  for (std::uint32_t r = 0; r < tileRowsPerThread; ++r) {
    const std::uint32_t row = firstRow + r;
    if (row >= tile.rows) return;
    const Value term = rows.terms[row], limit = rows.limits[row];
#pragma unroll
    for (std::uint32_t c = 0; c < tileColumnsPerThread; ++c) {
      const Value distance = tileDistance(term + terms[c], tile.scale, products[r].values[c]);
      const bool entersRow = distance <= limit, entersColumn = distance <= limits[c];
      if (!entersRow && !entersColumn) continue;
      offerPair(tile, rows, columns, row, column + c, distance, entersRow, entersColumn, sizes, Reserve());
    }
  }
}

template <typename Value>
__global__ void mergeTile(TileProducts<Value> tile, TileLists<Value> rows, TileLists<Value> columns,
                          bool isMutual, ListSizes sizes, WarpGrid grid) {
  const WarpPlace place = warpPlace(grid);
  auto* const workspace = reinterpret_cast<Key*>(place.memory);
  const std::uint32_t targets = tile.rows + (isMutual ? tile.columns : 0);
  for (std::uint32_t i = place.warp; i < targets; i += place.warps) {
    if (i < tile.rows) {
      mergeWaiting(Warp(), tile, rows, columns.terms, false, i, sizes, workspace);
    } else {
      mergeWaiting(Warp(), tile, columns, rows.terms, true, i - tile.rows, sizes, workspace);
    }
  }
}

__global__ void listedDistancesKernel(ListedDistances lists) {
  const Warp lanes;
  for (std::size_t row = firstTarget(); row < lists.rowCount; row += targetStep()) {
    for (std::uint32_t i = 0; i < lists.kept; ++i) {
      const Key key = lists.keys[row * lists.kept + i];
      if (key == noKey) break;
      const std::int64_t column = static_cast<std::int64_t>(keyId(key)) - lists.firstColumn;
      if (column < 0 || column >= static_cast<std::int64_t>(lists.columnCount)) continue;
      const double distance = exactDistance(
          lanes, lists.metric, lists.rows + row * lists.dimensions,
          lists.columns + static_cast<std::size_t>(column) * lists.dimensions, lists.dimensions);
      if (lanes.index() == 0) lists.distances[row * lists.kept + i] = distance;
    }
  }
}

constexpr RankedPoint noPoint{__builtin_huge_val(), 0x7FFFFFFF};

__global__ void rankListsKernel(RankedLists lists, WarpGrid grid) {
  const Warp lanes;
  const WarpPlace place = warpPlace(grid);
  auto* const ranked = reinterpret_cast<RankedPoint*>(place.memory);
  const std::uint32_t size = powerOfTwoFrom(lists.kept);
  for (std::size_t row = place.warp; row < lists.rows; row += place.warps) {
    const Key* const keys = lists.keys + row * lists.kept;
    for (std::uint32_t i = lanes.index(); i < size; i += Warp::count) {
      const bool isListed = i < lists.kept && keys[i] != noKey;
      ranked[i] = isListed ? RankedPoint{lists.distances[row * lists.kept + i], keyId(keys[i])} : noPoint;
    }
    sortAscending(lanes, ranked, size);
    for (std::uint32_t i = lanes.index(); i < lists.k; i += Warp::count) {
      lists.ids[row * lists.k + i] = ranked[i].id;
      lists.nearest[row * lists.k + i] = static_cast<float>(ranked[i].distance);
    }
    if (lanes.index() == 0 && !lists.holdsAll) {
      const double last = ranked[lists.k - 1].distance;
      const double error =
          tileError(lists.rounding, lists.dimensions, lists.scale, {lists.norms[row], lists.terms[row]},
                    {__int_as_float(lists.largest->norm), __int_as_float(lists.largest->term)});
      if (!(last < static_cast<double>(keyDistance<float>(keys[lists.kept - 1])) - error)) {
        const std::uint32_t open = atomicAdd(lists.openCount, 1U);
        lists.open[open] = {last, lists.firstRow + static_cast<std::int32_t>(row)};
      }
    }
    lanes.synchronize();
  }
}

__global__ void writeListsKernel(const Key* keys, std::size_t count, std::int32_t* ids, float* nearest) {
  for (std::size_t i = firstItem(); i < count; i += itemStep()) {
    ids[i] = keyId(keys[i]);
    nearest[i] = static_cast<float>(keyDistance<std::int32_t>(keys[i]));
  }
}

__global__ void selectExactlyKernel(ExactTile tile, WarpGrid grid) {
  const Warp lanes;
  const WarpPlace place = warpPlace(grid);
  auto* const workspace = reinterpret_cast<RankedPoint*>(place.memory);
  const TileProducts<float>& products = tile.products;
  for (std::uint32_t row = place.warp; row < products.rows; row += place.warps) {
    RankedPoint* const nearest = tile.nearest + static_cast<std::size_t>(row) * tile.k;
    Selection<Warp, RankedPoint> selection(lanes, workspace, tile.k, selectionSize(tile.k), noPoint);
    selection.resume(nearest);
    const float limit = tile.limits[row], rowTerm = tile.rowTerms[row];
    for (std::uint32_t first = 0; first < products.columns; first += Warp::count) {
      const std::uint32_t column = first + lanes.index();
      bool isNear = false;
      if (column < products.columns) {
        const float product = products.products[static_cast<std::size_t>(row) * products.stride + column];
        const float distance = tileDistance(rowTerm + tile.columnTerms[column], products.scale, product);
        const Id id = products.firstColumn + static_cast<Id>(column);
        // Where the list is full of copies of the row, no larger id can enter.
        const RankedPoint best{tile.metric == NLSH_EUCLIDEAN ? 0 : -__builtin_huge_val(), id};
        isNear =
            distance <= limit && !(products.isGraph && id == tile.rowIds[row]) && best < selection.limit();
      }
      RankedPoint found = noPoint;
      for (unsigned votes = __ballot_sync(Warp::all, isNear); votes != 0; votes &= votes - 1) {
        const std::uint32_t lane = static_cast<std::uint32_t>(__ffs(static_cast<int>(votes))) - 1;
        const std::uint32_t candidate = first + lane;
        const double distance = exactDistance(
            lanes, tile.metric, tile.rows + static_cast<std::size_t>(row) * tile.dimensions,
            tile.columns + static_cast<std::size_t>(candidate) * tile.dimensions, tile.dimensions);
        if (lanes.index() == lane) found = {distance, products.firstColumn + static_cast<Id>(candidate)};
      }
      selection.offer(isNear, found);
    }
    selection.settle();
    for (std::uint32_t i = lanes.index(); i < tile.k; i += Warp::count) nearest[i] = workspace[i];
    lanes.synchronize();
  }
}

__global__ void clearRankedKernel(RankedPoint* nearest, std::size_t count) {
  for (std::size_t i = firstItem(); i < count; i += itemStep()) nearest[i] = noPoint;
}

}  // namespace

void prepareFloats(const FloatRows& from, Operand operand, float unit, const FloatOperands& to,
                   const Stream& stream) {
  const auto kernel = operand == Operand::bfloat16        ? prepareFloatsKernel<Operand::bfloat16>
                      : operand == Operand::float16       ? prepareFloatsKernel<Operand::float16>
                      : operand == Operand::tensorFloat32 ? prepareFloatsKernel<Operand::tensorFloat32>
                                                          : prepareFloatsKernel<Operand::float32>;
  launch("prepareFloats", kernel, blocksFor(to.paddedRows, warpsPerBlock), stream, from, unit, to);
}

template <typename Value>
void clearLists(Key* keys, Value* limits, std::size_t rows, std::uint32_t kept, const Stream& stream) {
  launch("clearLists", clearListsKernel<Value>, blocksFor(rows * kept, threadsPerBlock), stream, keys, limits,
         rows, kept);
}
template void clearLists(Key*, float*, std::size_t, std::uint32_t, const Stream&);
template void clearLists(Key*, std::int32_t*, std::size_t, std::uint32_t, const Stream&);

template <typename Value>
void selectTile(const TileProducts<Value>& tile, const TileLists<Value>& rows,
                const TileLists<Value>& columns, bool isMutual, ListSizes sizes, const WarpMemory& memory,
                const Stream& stream) {
  const dim3 blocks(static_cast<unsigned>(divideUp(tile.columns, threadsPerBlock * tileColumnsPerThread)),
                    static_cast<unsigned>(divideUp(tile.rows, tileRowsPerThread)));
  launch("filterTile", filterTile<Value>, LaunchShape{blocks}, stream, tile, rows, columns, isMutual, sizes);
  const WarpGrid grid = memory.grid(tile.rows + (isMutual ? tile.columns : 0));
  launch("mergeTile", mergeTile<Value>, shapeOf(grid), stream, tile, rows, columns, isMutual, sizes, grid);
}
template void selectTile(const TileProducts<float>&, const TileLists<float>&, const TileLists<float>&, bool,
                         ListSizes, const WarpMemory&, const Stream&);
template void selectTile(const TileProducts<std::int32_t>&, const TileLists<std::int32_t>&,
                         const TileLists<std::int32_t>&, bool, ListSizes, const WarpMemory&, const Stream&);

void computeListedDistances(const ListedDistances& lists, const Stream& stream) {
  launch("listedDistances", listedDistancesKernel, blocksFor(lists.rowCount, warpsPerBlock), stream, lists);
}

std::size_t rankBytes(std::uint32_t kept) {
  return powerOfTwoFrom(kept) * sizeof(RankedPoint);
}

void rankLists(const RankedLists& lists, const WarpMemory& memory, const Stream& stream) {
  const WarpGrid grid = memory.grid(lists.rows);
  launch("rankLists", rankListsKernel, shapeOf(grid), stream, lists, grid);
}

void writeLists(const Key* keys, std::size_t rows, std::uint32_t kept, std::int32_t* ids, float* nearest,
                const Stream& stream) {
  launch("writeLists", writeListsKernel, blocksFor(rows * kept, threadsPerBlock), stream, keys, rows * kept,
         ids, nearest);
}

std::size_t selectExactlyBytes(std::uint32_t k) {
  return selectionSize(k) * sizeof(RankedPoint);
}

void selectExactly(const ExactTile& tile, const WarpMemory& memory, const Stream& stream) {
  const WarpGrid grid = memory.grid(tile.products.rows);
  launch("selectExactly", selectExactlyKernel, shapeOf(grid), stream, tile, grid);
}

void clearRanked(RankedPoint* nearest, std::size_t count, const Stream& stream) {
  launch("clearRanked", clearRankedKernel, blocksFor(count, threadsPerBlock), stream, nearest, count);
}

}  // namespace neural_lsh::cuda
