#include <cub/block/block_scan.cuh>

#include "exact-distance.h"
#include "launch.h"
#include "search-kernels.h"

namespace neural_lsh::cuda {
namespace {

__global__ void packQueriesKernel(const float* queries, std::size_t count, std::size_t columns,
                                  std::uint32_t* words, std::int32_t* norms) {
  const Warp lanes;
  const std::size_t stride = divideUp(columns, sizeof(std::uint32_t));
  for (std::size_t query = firstTarget(); query < count; query += targetStep()) {
    std::uint32_t squared = 0;
    for (std::size_t w = lanes.index(); w < stride; w += Warp::count) {
      std::uint32_t word = 0;
      for (std::size_t i = 0; i < sizeof(word); ++i) {
        const std::size_t c = w * sizeof(word) + i;
        const auto value = c < columns ? static_cast<std::uint32_t>(queries[query * columns + c]) : 0U;
        word |= value << (8 * i);
      }
      words[query * stride + w] = word;
      squared = __dp4a(word, word, squared);
    }
    squared = lanes.sum(squared);
    if (lanes.index() == 0) norms[query] = static_cast<std::int32_t>(squared);
  }
}

__global__ void transformQueriesKernel(InputTransform transform, const float* queries, std::size_t count,
                                       std::size_t columns, float* out, std::size_t paddedCount,
                                       std::size_t stride) {
  const Warp lanes;
  for (std::size_t query = firstTarget(); query < paddedCount; query += targetStep()) {
    const float* const row = queries + query * columns;
    double factor = 1;
    if (transform.isUnitLength && query < count) {
      double squared = 0;
      for (std::size_t c = lanes.index(); c < columns; c += Warp::count)
        squared += static_cast<double>(row[c]) * static_cast<double>(row[c]);
      squared = lanes.sum(squared);
      factor = squared > 0 ? 1 / sqrt(squared) : 0;
    }
    for (std::size_t c = lanes.index(); c < stride; c += Warp::count) {
      float value = 0;
      if (query < count && c < columns)
        value = (static_cast<float>(row[c] * factor) - transform.mean[c]) * transform.scale[c];
      out[query * stride + c] = value;
    }
  }
}

__global__ void chooseBinsKernel(BinScores scores, ChosenBin* chosen, Visited* visited, WarpGrid grid) {
  const Warp lanes;
  const WarpPlace place = warpPlace(grid);
  for (std::uint32_t query = place.warp; query < scores.queries; query += place.warps) {
    const Visited found =
        chooseBins(lanes, scores.scores + query * scores.stride, scores.bins, scores.inverseTemperature,
                   scores.offsets, scores.probing, scores.keysPerBin, reinterpret_cast<Key*>(place.memory),
                   chosen + static_cast<std::size_t>(query) * scores.bins);
    if (lanes.index() == 0) visited[query] = found;
    lanes.synchronize();
  }
}

/// body(query, chosen bin) for all visits to bins that are not empty.
template <typename Body>
__device__ void forEachVisit(const Visits& visits, const Body& body) {
  for (std::size_t query = visits.first + firstTarget(); query < visits.end; query += targetStep()) {
    const ChosenBin* const chosen = visits.chosen + query * visits.bins;
    for (std::uint32_t i = threadIdx.x % 32; i < visits.visited[query].bins; i += 32)
      body(static_cast<std::uint32_t>(query), chosen[i]);
  }
}

__global__ void countVisits(Visits visits) {
  forEachVisit(visits,
               [&](std::uint32_t, const ChosenBin& chosen) { atomicAdd(visits.counts + chosen.bin, 1U); });
}

/// One block: the sums of the counts, and of the groups that they make, before each bin and at the end.
constexpr unsigned scanThreads = 1024;
__global__ void __launch_bounds__(scanThreads) startVisits(Visits visits) {
  using Scan = cub::BlockScan<std::uint32_t, scanThreads>;
  __shared__ typename Scan::TempStorage storage;
  std::uint32_t visitsBefore = 0, groupsBefore = 0;
  for (std::uint32_t first = 0; first < visits.bins; first += scanThreads) {
    const std::uint32_t bin = first + threadIdx.x;
    const std::uint32_t count = bin < visits.bins ? visits.counts[bin] : 0;
    std::uint32_t start = 0, groupStart = 0, total = 0, groupTotal = 0;
    Scan(storage).ExclusiveSum(count, start, total);
    __syncthreads();
    Scan(storage).ExclusiveSum(groupsOf(count), groupStart, groupTotal);
    __syncthreads();
    if (bin < visits.bins) {
      visits.visitStarts[bin] = visitsBefore + start;
      visits.groupStarts[bin] = groupsBefore + groupStart;
      visits.cursors[bin] = 0;
    }
    visitsBefore += total;
    groupsBefore += groupTotal;
  }
  if (threadIdx.x == 0) {
    visits.visitStarts[visits.bins] = visitsBefore;
    visits.groupStarts[visits.bins] = groupsBefore;
  }
}

__global__ void placeVisits(Visits visits) {
  forEachVisit(visits, [&](std::uint32_t query, const ChosenBin& chosen) {
    const std::uint32_t place = visits.visitStarts[chosen.bin] + atomicAdd(visits.cursors + chosen.bin, 1U);
    visits.visits[place] = {query, visits.firstKeys[query] + chosen.firstKey};
  });
}

/// Squared differences of floats, in the order of the Euclidean distance.
struct SquaredDifferences {
  using Word = float;
  using Sum = float;
  static __device__ void add(float& sum, float a, float b) {
    const float difference = a - b;
    sum = fmaf(difference, difference, sum);
  }
  static __device__ float distance(float sum, const Scoring&, std::uint32_t, std::size_t) { return sum; }
};

/// In the order of the other two metrics.
struct NegativeProducts {
  using Word = float;
  using Sum = float;
  static __device__ void add(float& sum, float a, float b) { sum = fmaf(a, b, sum); }
  static __device__ float distance(float sum, const Scoring&, std::uint32_t, std::size_t) { return -sum; }
};

/// Exact squared distances of bytes, four at once.
struct ByteDistances {
  using Word = std::uint32_t;
  using Sum = std::uint32_t;
  static __device__ void add(std::uint32_t& sum, std::uint32_t a, std::uint32_t b) {
    sum = __dp4a(a, b, sum);
  }
  static __device__ std::int32_t distance(std::uint32_t sum, const Scoring& scoring, std::uint32_t query,
                                          std::size_t row) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(scoring.queries.squaredNorms[query]) +
                                     static_cast<std::uint32_t>(scoring.vectors.squaredNorms[row]) - 2 * sum);
  }
};

/// How the words of queries and rows are read.
struct FloatReader {
  static __device__ std::size_t words(const Scoring& scoring) { return scoring.vectors.columns; }
  static __device__ float query(const Scoring& scoring, std::size_t query, std::size_t word) {
    return scoring.queries.floats[query * scoring.vectors.columns + word];
  }
  static __device__ float row(const Scoring& scoring, std::size_t row, std::size_t word) {
    return scoring.vectors.floats[row * scoring.vectors.columns + word];
  }
};
struct WidenedByteReader : FloatReader {
  static __device__ float row(const Scoring& scoring, std::size_t row, std::size_t word) {
    return static_cast<float>(scoring.vectors.bytes[row * scoring.vectors.byteStride() + word]);
  }
};
struct PackedByteReader {
  static __device__ std::size_t words(const Scoring& scoring) {
    return scoring.vectors.byteStride() / sizeof(std::uint32_t);
  }
  static __device__ std::uint32_t query(const Scoring& scoring, std::size_t query, std::size_t word) {
    return scoring.queries.words[query * words(scoring) + word];
  }
  static __device__ std::uint32_t row(const Scoring& scoring, std::size_t row, std::size_t word) {
    return reinterpret_cast<const std::uint32_t*>(scoring.vectors.bytes)[row * words(scoring) + word];
  }
};

constexpr std::uint32_t depthTogether = 32;  // words
constexpr std::uint32_t queriesPerThread = 2, rowsPerThread = 4;
constexpr std::uint32_t rowThreads = rowsTogether / rowsPerThread;  // 16 x 16 threads make a tile
constexpr std::uint32_t listsPerWarp = queriesTogether / warpsPerBlock;
static_assert(rowThreads * (queriesTogether / queriesPerThread) == threadsPerBlock);

/// A tile of queries and rows of a bin; one more column keeps the banks apart.
template <typename Word, typename Distance>
struct ScoringTile {
  Word queries[depthTogether][queriesTogether + 1];
  Word rows[depthTogether][rowsTogether + 1];
  Distance distances[queriesTogether][rowsTogether + 1];
  Visit visits[queriesTogether];
};

/// Fills the tile with the words from `depth` on of up to queriesTogether queries and rowsTogether rows.
template <typename Reader, typename Tile>
__device__ void loadTile(const Scoring& scoring, Tile& tile, std::uint32_t queries, std::size_t firstRow,
                         std::uint32_t rows, std::size_t depth) {
  using Word = std::remove_reference_t<decltype(tile.queries[0][0])>;
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const bool isWord = depth + lane < Reader::words(scoring);
  for (std::uint32_t q = warp; q < queriesTogether; q += warpsPerBlock) {
    tile.queries[lane][q] =
        isWord && q < queries ? Reader::query(scoring, tile.visits[q].query, depth + lane) : Word{0};
  }
  for (std::uint32_t r = warp; r < rowsTogether; r += warpsPerBlock)
    tile.rows[lane][r] = isWord && r < rows ? Reader::row(scoring, firstRow + r, depth + lane) : Word{0};
}

template <typename Reader, typename Comparison>
__global__ void __launch_bounds__(threadsPerBlock, 4) scoreVisitsKernel(Scoring scoring, Key* memory) {
  using Sum = typename Comparison::Sum;
  using Distance = decltype(Comparison::distance(Sum{}, scoring, 0, 0));
  __shared__ ScoringTile<typename Comparison::Word, Distance> tile;

  const Warp lanes;
  const std::uint32_t warp = threadIdx.x / 32;
  const std::uint32_t size = selectionSize(scoring.kept);
  Key* const lists = memory == nullptr
                         ? reinterpret_cast<Key*>(sharedMemory())
                         : memory + static_cast<std::size_t>(blockIdx.x) * queriesTogether * size;
  const Visits& visits = scoring.visits;
  const std::uint32_t groups = visits.groupStarts[visits.bins];
  const std::uint32_t rowThread = threadIdx.x % rowThreads, queryThread = threadIdx.x / rowThreads;

  for (std::uint32_t group = blockIdx.x; group < groups; group += gridDim.x) {
    const std::uint32_t bin = binOfGroup(visits.groupStarts, visits.bins, group);
    const std::uint32_t firstVisit =
        visits.visitStarts[bin] + (group - visits.groupStarts[bin]) * queriesTogether;
    const std::uint32_t queries = min(queriesTogether, visits.visitStarts[bin + 1] - firstVisit);
    if (threadIdx.x < queries) tile.visits[threadIdx.x] = visits.visits[firstVisit + threadIdx.x];
    __syncthreads();

    const auto list = [&](std::uint32_t i) {
      return Selection<Warp, Key>(lanes, lists + static_cast<std::size_t>(warp * listsPerWarp + i) * size,
                                  scoring.kept, size, noKey);
    };
    Selection<Warp, Key> selections[listsPerWarp] = {list(0), list(1), list(2), list(3)};
    static_assert(listsPerWarp == 4);

    const auto begin = static_cast<std::size_t>(scoring.offsets[bin]);
    const auto end = static_cast<std::size_t>(scoring.offsets[bin + 1]);
    for (std::size_t firstRow = begin; firstRow < end; firstRow += rowsTogether) {
      const auto rows =
          static_cast<std::uint32_t>(min(static_cast<std::size_t>(rowsTogether), end - firstRow));
      Sum sums[queriesPerThread][rowsPerThread] = {};
      for (std::size_t depth = 0; depth < Reader::words(scoring); depth += depthTogether) {
        loadTile<Reader>(scoring, tile, queries, firstRow, rows, depth);
        __syncthreads();
        if (queryThread * queriesPerThread < queries) {
#pragma unroll 8
          for (std::uint32_t d = 0; d < depthTogether; ++d) {
#pragma unroll
            for (std::uint32_t q = 0; q < queriesPerThread; ++q) {
#pragma unroll
              for (std::uint32_t r = 0; r < rowsPerThread; ++r)
                Comparison::add(sums[q][r], tile.queries[d][queryThread * queriesPerThread + q],
                                tile.rows[d][rowThread + r * rowThreads]);
            }
          }
        }
        __syncthreads();
      }
#pragma unroll
      for (std::uint32_t q = 0; q < queriesPerThread; ++q) {
#pragma unroll
        for (std::uint32_t r = 0; r < rowsPerThread; ++r) {
          const std::uint32_t query = queryThread * queriesPerThread + q, row = rowThread + r * rowThreads;
          if (query >= queries || row >= rows) continue;
          tile.distances[query][row] =
              Comparison::distance(sums[q][r], scoring, tile.visits[query].query, firstRow + row);
        }
      }
      __syncthreads();
#pragma unroll
      for (std::uint32_t i = 0; i < listsPerWarp; ++i) {
        const std::uint32_t query = warp * listsPerWarp + i;
        if (query >= queries) break;
        for (std::uint32_t first = 0; first < rows; first += Warp::count) {
          const std::uint32_t row = first + lanes.index();
          const bool isRow = row < rows;
          selections[i].offer(isRow,
                              isRow ? keyOf(tile.distances[query][row], scoring.ids[firstRow + row]) : noKey);
        }
      }
      __syncthreads();
    }

    const auto keys = static_cast<std::uint32_t>(min(static_cast<std::size_t>(scoring.kept), end - begin));
#pragma unroll
    for (std::uint32_t i = 0; i < listsPerWarp; ++i) {
      const std::uint32_t query = warp * listsPerWarp + i;
      if (query >= queries) break;
      selections[i].settle();
      const Key* const found = lists + static_cast<std::size_t>(query) * size;
      Key* const out = scoring.keys + tile.visits[query].firstKey;
      for (std::uint32_t j = lanes.index(); j < keys; j += Warp::count) out[j] = found[j];
    }
    __syncthreads();
  }
}

__device__ double storedDistance(const Warp& lanes, const StoredVectors& vectors, const float* query,
                                 std::size_t row) {
  return vectors.bytes == nullptr
             ? exactDistance(lanes, vectors.metric, query, vectors.floats + row * vectors.columns,
                             vectors.columns)
             : exactDistance(lanes, vectors.metric, query, vectors.bytes + row * vectors.byteStride(),
                             vectors.columns);
}

__global__ void rankVisitsKernel(Ranking ranking, WarpGrid grid) {
  const Warp lanes;
  const WarpPlace place = warpPlace(grid);
  const std::uint32_t size = selectionSize(ranking.kept), rankedSize = powerOfTwoFrom(ranking.kept);
  auto* const nearest = reinterpret_cast<Key*>(place.memory);
  auto* const ranked = reinterpret_cast<RankedPoint*>(place.memory + size * sizeof(Key));
  for (std::uint32_t query = ranking.first + place.warp; query < ranking.end; query += place.warps) {
    const Key* const keys = ranking.keys + ranking.firstKeys[query];
    Selection<Warp, Key> selection(lanes, nearest, ranking.kept, size, noKey);
    selectFrom(selection, lanes, ranking.visited[query].keys, noKey,
               [=](std::uint32_t i) { return keys[i]; });
    for (std::uint32_t i = 0; i < rankedSize; ++i) {
      const Key key = i < ranking.kept ? nearest[i] : noKey;
      RankedPoint point{__builtin_huge_val(), 0x7FFFFFFF};
      if (key != noKey) {
        const auto row = static_cast<std::size_t>(ranking.rowOfId[keyId(key)]);
        const float* const floats = ranking.queries + query * ranking.vectors.columns;
        point = {storedDistance(lanes, ranking.vectors, floats, row), keyId(key)};
      }
      if (lanes.index() == 0) ranked[i] = point;
    }
    sortAscending(lanes, ranked, rankedSize);
    for (std::uint32_t i = lanes.index(); i < ranking.k; i += Warp::count) {
      ranking.ids[static_cast<std::size_t>(query) * ranking.k + i] = ranked[i].id;
      ranking.distances[static_cast<std::size_t>(query) * ranking.k + i] =
          static_cast<float>(ranked[i].distance);
    }
    lanes.synchronize();
  }
}

template <typename Reader, typename Comparison>
void launchScoring(const Scoring& scoring, const ScoringMemory& memory, const Stream& stream) {
  const auto kernel = scoreVisitsKernel<Reader, Comparison>;
  if (memory.sharedBytes() > 0)
    NLSH_CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(memory.sharedBytes())));
  const auto blocks =
      static_cast<unsigned>(std::clamp<std::size_t>(scoring.mostGroups, 1, memory.mostBlocks()));
  launch("scoreVisits", kernel, LaunchShape{dim3(blocks), threadsPerBlock, memory.sharedBytes()}, stream,
         scoring, memory.lists());
}

}  // namespace

void packQueries(const float* queries, std::size_t count, std::size_t columns, std::uint32_t* words,
                 std::int32_t* norms, const Stream& stream) {
  launch("packQueries", packQueriesKernel, blocksFor(count, warpsPerBlock), stream, queries, count, columns,
         words, norms);
}

void transformQueries(const InputTransform& transform, const float* queries, std::size_t count,
                      std::size_t columns, float* out, std::size_t paddedCount, std::size_t stride,
                      const Stream& stream) {
  launch("transformQueries", transformQueriesKernel, blocksFor(paddedCount, warpsPerBlock), stream, transform,
         queries, count, columns, out, paddedCount, stride);
}

void chooseBins(const BinScores& scores, const WarpMemory& memory, ChosenBin* chosen, Visited* visited,
                const Stream& stream) {
  const WarpGrid grid = memory.grid(scores.queries);
  launch("chooseBins", chooseBinsKernel, shapeOf(grid), stream, scores, chosen, visited, grid);
}

void groupVisits(const Visits& visits, const Stream& stream) {
  fillZeros(visits.counts, visits.bins, stream);
  const LaunchShape shape = blocksFor(visits.end - visits.first, warpsPerBlock);
  launch("countVisits", countVisits, shape, stream, visits);
  launch("startVisits", startVisits, LaunchShape{dim3(1), scanThreads}, stream, visits);
  launch("placeVisits", placeVisits, shape, stream, visits);
}

ScoringMemory::ScoringMemory(const DeviceLimits& limits, std::uint32_t kept)
    : blockBytes_(queriesTogether * std::size_t{selectionSize(kept)} * sizeof(Key)) {
  constexpr std::size_t mostShared = std::size_t{64} << 10, mostMemory = std::size_t{256} << 20;
  constexpr std::size_t tileBytes = sizeof(ScoringTile<float, float>);
  if (blockBytes_ <= mostShared && blockBytes_ + tileBytes <= limits.sharedBytes) {
    mostBlocks_ = std::size_t{1} << 20;
  } else {
    mostBlocks_ =
        requireParts(lists_, blockBytes_ / sizeof(Key),
                     std::clamp<std::size_t>(mostMemory / blockBytes_, 1, limits.multiprocessors * 4));
  }
}

void scoreVisits(const Scoring& scoring, const ScoringMemory& memory, const Stream& stream) {
  const bool isEuclidean = scoring.vectors.metric == NLSH_EUCLIDEAN;
  if (scoring.queries.words != nullptr) {
    launchScoring<PackedByteReader, ByteDistances>(scoring, memory, stream);
  } else if (scoring.vectors.bytes != nullptr) {
    (isEuclidean ? launchScoring<WidenedByteReader, SquaredDifferences>
                 : launchScoring<WidenedByteReader, NegativeProducts>)(scoring, memory, stream);
  } else {
    (isEuclidean ? launchScoring<FloatReader, SquaredDifferences>
                 : launchScoring<FloatReader, NegativeProducts>)(scoring, memory, stream);
  }
}

std::size_t rankVisitsBytes(std::uint32_t kept) {
  return selectionSize(kept) * sizeof(Key) + powerOfTwoFrom(kept) * sizeof(RankedPoint);
}

void rankVisits(const Ranking& ranking, const WarpMemory& memory, const Stream& stream) {
  const WarpGrid grid = memory.grid(ranking.end - ranking.first);
  launch("rankVisits", rankVisitsKernel, shapeOf(grid), stream, ranking, grid);
}

}  // namespace neural_lsh::cuda
