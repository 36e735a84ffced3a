// An index on the device, and searches in it: route a batch of queries, group them by the bins that they
// visit, compare each bin with all of its queries at once, and rank the nearest of each query in double
// precision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "router.h"
#include "search-kernels.h"
#include "staging.h"
#include "watch.h"

namespace neural_lsh::cuda {

class SearchLane;

/// The vectors of an index in the order of its bins, on the device.
struct StoredIndex {
  int device;
  NlshMetric metric;
  std::size_t rows, dimensions, bins;
  DeviceLimits limits;
  DeviceArray<float> floats;
  DeviceArray<std::uint8_t> bytes;
  DeviceArray<std::int32_t> squaredNorms;
  DeviceArray<Id> offsets, ids, rowOfId;
  std::unique_ptr<Router> router;

  StoredVectors vectors() const {
    return {floats.data(), bytes.data(), squaredNorms.data(), dimensions, metric};
  }
};

class SearchIndex {
 public:
  SearchIndex(const NlshIndexRequest& request, const Watch& watch);
  ~SearchIndex();
  SearchIndex(const SearchIndex&) = delete;
  SearchIndex& operator=(const SearchIndex&) = delete;

  int device() const { return stored_.device; }
  std::size_t bytes() const;

  /// The answers are those of the CPU's searchBatch with a plain scan. Safe to call from several threads at
  /// once.
  void search(const NlshSearchRequest& request, const Watch& watch);

 private:
  /// One lane, or two that take turns.
  void searchWith(const NlshSearchRequest& request, std::size_t queriesTogether, std::size_t laneCount,
                  const Watch& watch);
  std::unique_ptr<SearchLane> takeLane();
  void giveBack(std::unique_ptr<SearchLane> lane);

  StoredIndex stored_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<SearchLane>> lanes_;  // that nobody uses
};

}  // namespace neural_lsh::cuda
