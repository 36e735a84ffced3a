// What answers one part of a batch after the other, with its own stream and memory: two of them work by
// turns, so that one's queries are on their way while the other's are compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "search-index.h"

namespace neural_lsh::cuda {

/// A search as all of its parts have it.
struct SearchJob {
  const NlshSearchRequest& request;
  Probing probing;
  std::uint32_t kept;  // candidates that are ranked exactly
  bool areBytes;       // queries and vectors: their distances are exact
};

/// The memory is kept from search to search, and grows as it must.
class SearchLane {
 public:
  explicit SearchLane(const StoredIndex& index);

  /// Sends and routes queries [first, first + count); does not wait.
  void route(const SearchJob& job, std::size_t first, std::size_t count);
  /// Compares them with their bins; waits only until it is known which these are.
  void compare(const SearchJob& job);
  /// Waits for the answers, and writes them.
  void finish(const SearchJob& job);

  bool isRouted() const { return state_ == State::routed; }
  bool isBusy() const { return state_ != State::idle; }
  std::size_t count() const { return count_; }

 private:
  /// Queries [begin, end) whose keys fit into the memory together.
  struct Part {
    std::size_t begin, end, keys, visits;
  };
  Part nextPart(std::size_t begin) const;
  void comparePart(const SearchJob& job, const Part& part);
  void prepareMemory(const SearchJob& job);

  enum class State { idle, routed, compared };

  const StoredIndex& index_;
  State state_ = State::idle;
  std::size_t first_ = 0, count_ = 0;
  std::uint32_t kept_ = 0;
  std::unique_ptr<ScoringMemory> scoringMemory_;
  std::unique_ptr<WarpMemory> rankMemory_;
  WarpMemory chooseMemory_;
  MatrixProducts products_;

  PinnedArray<float> hostQueries_, hostDistances_;
  PinnedArray<std::int32_t> hostIds_;
  PinnedArray<Visited> hostVisited_;
  PinnedArray<std::uint32_t> hostFirstKeys_;

  DeviceArray<float> queries_, activationsA_, activationsB_, distances_;
  DeviceArray<std::uint32_t> words_, firstKeys_, counts_, cursors_, visitStarts_, groupStarts_;
  DeviceArray<std::int32_t> squaredNorms_, ids_;
  DeviceArray<ChosenBin> chosen_;
  DeviceArray<Visited> visited_;
  DeviceArray<Visit> visits_;
  DeviceArray<Key> keys_;
  Stream stream_;
};

}  // namespace neural_lsh::cuda
