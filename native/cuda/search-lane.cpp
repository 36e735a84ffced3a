#include "search-lane.h"

#include <algorithm>

namespace neural_lsh::cuda {
namespace {

/// Of a part of a batch, unless a single query has more.
constexpr std::size_t mostKeys = std::size_t{1} << 25, mostVisits = std::size_t{1} << 24;

}  // namespace

SearchLane::SearchLane(const StoredIndex& index)
    : index_(index), chooseMemory_(index.limits, chooseBinsBytes()), products_(index.device) {
  counts_.require(index.bins);
  cursors_.require(index.bins);
  visitStarts_.require(index.bins + 1);
  groupStarts_.require(index.bins + 1);
}

void SearchLane::prepareMemory(const SearchJob& job) {
  const std::size_t padded = roundUpToOperands(count_), k = job.request.k;
  const std::size_t numbers = count_ * index_.dimensions;
  hostQueries_.require(numbers);
  queries_.require(numbers);
  activationsA_.require(padded * index_.router->widest());
  activationsB_.require(padded * index_.router->widest());
  chosen_.require(count_ * index_.bins);
  hostVisited_.require(count_);
  visited_.require(count_);
  hostFirstKeys_.require(count_);
  firstKeys_.require(count_);
  hostIds_.require(count_ * k);
  ids_.require(count_ * k);
  hostDistances_.require(count_ * k);
  distances_.require(count_ * k);
  if (job.areBytes) {
    words_.require(count_ * divideUp(index_.dimensions, sizeof(std::uint32_t)));
    squaredNorms_.require(count_);
  }
  if (kept_ == job.kept) return;
  kept_ = 0;
  scoringMemory_ = std::make_unique<ScoringMemory>(index_.limits, job.kept);
  rankMemory_ = std::make_unique<WarpMemory>(index_.limits, rankVisitsBytes(job.kept));
  kept_ = job.kept;
}

void SearchLane::route(const SearchJob& job, std::size_t first, std::size_t count) {
  first_ = first;
  count_ = count;
  prepareMemory(job);
  const std::size_t numbers = count * index_.dimensions;
  std::copy_n(job.request.queries.data + first * index_.dimensions, numbers, hostQueries_.data());
  copyToDevice(queries_.data(), hostQueries_.data(), numbers, stream_);
  if (job.areBytes)
    packQueries(queries_.data(), count, index_.dimensions, words_.data(), squaredNorms_.data(), stream_);

  const Router& router = *index_.router;
  const float* const scores =
      router.run(queries_.data(), count, activationsA_.data(), activationsB_.data(), products_, stream_);
  chooseBins({scores, router.scoreStride(), static_cast<std::uint32_t>(count),
              static_cast<std::uint32_t>(index_.bins), router.inverseTemperature(), index_.offsets.data(),
              job.probing, job.kept},
             chooseMemory_, chosen_.data(), visited_.data(), stream_);
  copyToHost(hostVisited_.data(), visited_.data(), count, stream_);
  state_ = State::routed;
}

SearchLane::Part SearchLane::nextPart(std::size_t begin) const {
  Part part{begin, begin, 0, 0};
  for (; part.end < count_; ++part.end) {
    const Visited& visited = hostVisited_.data()[part.end];
    const bool fits = part.keys + visited.keys <= mostKeys && part.visits + visited.bins <= mostVisits;
    if (!fits && part.end > begin) break;
    part.keys += visited.keys;
    part.visits += visited.bins;
  }
  return part;
}

void SearchLane::compare(const SearchJob& job) {
  stream_.synchronize();
  std::vector<Part> parts;
  for (std::size_t begin = 0; begin < count_; begin = parts.back().end) {
    parts.push_back(nextPart(begin));
    std::uint32_t keys = 0;
    for (std::size_t query = begin; query < parts.back().end; ++query) {
      hostFirstKeys_.data()[query] = keys;
      keys += hostVisited_.data()[query].keys;
    }
    keys_.require(parts.back().keys);
    visits_.require(parts.back().visits);
  }
  copyToDevice(firstKeys_.data(), hostFirstKeys_.data(), count_, stream_);
  for (const Part& part : parts) comparePart(job, part);
  copyToHost(hostIds_.data(), ids_.data(), count_ * job.request.k, stream_);
  copyToHost(hostDistances_.data(), distances_.data(), count_ * job.request.k, stream_);
  state_ = State::compared;
}

void SearchLane::comparePart(const SearchJob& job, const Part& part) {
  const auto begin = static_cast<std::uint32_t>(part.begin), end = static_cast<std::uint32_t>(part.end);
  const Visits visits{begin,
                      end,
                      static_cast<std::uint32_t>(index_.bins),
                      chosen_.data(),
                      visited_.data(),
                      firstKeys_.data(),
                      counts_.data(),
                      cursors_.data(),
                      visitStarts_.data(),
                      groupStarts_.data(),
                      visits_.data()};
  groupVisits(visits, stream_);
  const std::size_t mostGroups = part.visits / queriesTogether + std::min(index_.bins, part.visits);
  scoreVisits({visits,
               mostGroups,
               index_.vectors(),
               {queries_.data(), job.areBytes ? words_.data() : nullptr, squaredNorms_.data()},
               index_.offsets.data(),
               index_.ids.data(),
               job.kept,
               keys_.data()},
              *scoringMemory_, stream_);
  rankVisits({begin, end, visited_.data(), firstKeys_.data(), keys_.data(), index_.vectors(), queries_.data(),
              index_.rowOfId.data(), job.kept, static_cast<std::uint32_t>(job.request.k), ids_.data(),
              distances_.data()},
             *rankMemory_, stream_);
}

void SearchLane::finish(const SearchJob& job) {
  stream_.synchronize();
  const NlshSearchRequest& request = job.request;
  const std::size_t results = count_ * request.k;
  std::copy_n(hostIds_.data(), results, request.ids + first_ * request.k);
  std::copy_n(hostDistances_.data(), results, request.distances + first_ * request.k);
  for (std::size_t i = 0; i < count_; ++i) {
    request.visited_candidates[first_ + i] = static_cast<std::int32_t>(hostVisited_.data()[i].rows);
    request.visited_probes[first_ + i] = static_cast<std::int32_t>(hostVisited_.data()[i].bins);
  }
  state_ = State::idle;
}

}  // namespace neural_lsh::cuda
