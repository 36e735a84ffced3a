// The kernels of a search, each behind the function that starts it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bin-choice.h"
#include "device.h"
#include "interface.h"
#include "visits.h"
#include "warp-memory.h"

namespace neural_lsh::cuda {

/// Vectors in the bins' order: floats, or bytes that are padded with zeros to whole words.
struct StoredVectors {
  const float* floats;
  const std::uint8_t* bytes;         // null where they are floats
  const std::int32_t* squaredNorms;  // of bytes
  std::size_t columns;
  NlshMetric metric;

  NLSH_BOTH std::size_t byteStride() const { return roundUp(columns, sizeof(std::uint32_t)); }
};

/// Queries as they came and, where all are bytes like the vectors, as such.
struct StoredQueries {
  const float* floats;
  const std::uint32_t* words;  // null: not bytes
  const std::int32_t* squaredNorms;
};

/// Floats that are integers in 0 .. 255 as bytes, with their squared norms.
void packQueries(const float* queries, std::size_t count, std::size_t columns, std::uint32_t* words,
                 std::int32_t* norms, const Stream& stream);

/// x' = (x - mean) * scale of x or, for unit length, x / |x|; filled up with zeros to paddedCount x stride.
struct InputTransform {
  const float *mean, *scale;
  bool isUnitLength;
};
void transformQueries(const InputTransform& transform, const float* queries, std::size_t count,
                      std::size_t columns, float* out, std::size_t paddedCount, std::size_t stride,
                      const Stream& stream);

/// The bins of each query: chosen has room for all bins of each.
struct BinScores {
  const float* scores;
  std::size_t stride;
  std::uint32_t queries, bins;
  float inverseTemperature;
  const Id* offsets;
  Probing probing;
  std::uint32_t keysPerBin;
};
void chooseBins(const BinScores& scores, const WarpMemory& memory, ChosenBin* chosen, Visited* visited,
                const Stream& stream);
constexpr std::size_t chooseBinsBytes() {
  return selectionSize(rankedBins) * sizeof(Key);
}

/// Queries [first, end) of those that were routed, whose visits are grouped by bin.
struct Visits {
  std::uint32_t first, end, bins;
  const ChosenBin* chosen;  // `bins` for each query
  const Visited* visited;
  const std::uint32_t* firstKeys;            // of each query
  std::uint32_t *counts, *cursors;           // bins
  std::uint32_t *visitStarts, *groupStarts;  // bins + 1
  Visit* visits;
};
void groupVisits(const Visits& visits, const Stream& stream);

/// Compares the rows of each bin with the queries that visit it: the `kept` nearest of each visit.
struct Scoring {
  Visits visits;
  std::size_t mostGroups;
  StoredVectors vectors;
  StoredQueries queries;
  const Id *offsets, *ids;
  std::uint32_t kept;
  Key* keys;
};

/// Where the lists of a block of the scoring are.
class ScoringMemory {
 public:
  ScoringMemory(const DeviceLimits& limits, std::uint32_t kept);
  std::size_t sharedBytes() const { return lists_.data() == nullptr ? blockBytes_ : 0; }
  Key* lists() const { return lists_.data(); }
  std::size_t mostBlocks() const { return mostBlocks_; }

 private:
  std::size_t blockBytes_, mostBlocks_;
  DeviceArray<Key> lists_;
};
void scoreVisits(const Scoring& scoring, const ScoringMemory& memory, const Stream& stream);

/// The k nearest of what was kept of a query, ranked in double precision.
struct Ranking {
  std::uint32_t first, end;  // queries
  const Visited* visited;
  const std::uint32_t* firstKeys;
  const Key* keys;
  StoredVectors vectors;
  const float* queries;
  const Id* rowOfId;
  std::uint32_t kept, k;
  std::int32_t* ids;
  float* distances;
};
void rankVisits(const Ranking& ranking, const WarpMemory& memory, const Stream& stream);
std::size_t rankVisitsBytes(std::uint32_t kept);

}  // namespace neural_lsh::cuda
