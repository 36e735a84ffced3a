#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "../core/error.h"
#include "../core/thread-pool.h"
#include "query-parts.h"

namespace neural_lsh::cpu {
namespace {

/// No vector within the radius has a distance in float32 above this. The n terms of a distance and their sum
/// are off by at most (n + 2) 2^-24 of the sum of the terms' sizes, and by what is too small for a float;
/// that sum is the distance itself where it is Euclidean, and at most 1 for unit vectors; four times as much
/// is allowed. Inner products of any size may cancel: none of them is ruled out.
double reachOf(Metric metric, double radius, std::size_t columns) {
  if (metric == Metric::innerProduct) return FLT_MAX;
  const double size = std::abs(radius) + (metric == Metric::cosine ? 1 : 0);
  return radius + static_cast<double>(columns + 2) * (size * 0x1.0p-22 + FLT_MIN);
}

/// Finds what is within a radius of one query after the other.
class RadiusSearch {
 public:
  RadiusSearch(const SearchIndex& index, const RadiusRequest& request, const Scan& plain)
      : index_(index),
        radius_(request.radius),
        reach_(reachOf(index.bins.metric, request.radius, index.dimensions())),
        plain_(plain) {}

  /// `query` is as the router wants it.
  RadiusMatches::Row find(const float* query, std::span<const RankedBin> chosen, std::size_t candidates) {
    void* const prepared = prepared_.require(std::max(index_.scan->preparedBytes(), plain_.preparedBytes()));
    index_.scan->prepare(query, prepared);
    const auto exactFrom = index_.scan->exactFrom(prepared);
    if (exactFrom) {
      near_.reset(candidates, index_.bins.ids, toThreshold(reach_ - *exactFrom));
      scanBins(*index_.scan, prepared, chosen, near_);
    } else {
      plain_.prepare(query, prepared);
      const bool isCosine = index_.bins.metric == Metric::cosine;
      near_.reset(candidates, index_.bins.ids, toThreshold(isCosine ? reach_ - 1 : reach_));
      scanBins(plain_, prepared, chosen, near_);
    }
    measure(query, exactFrom);
    return sorted();
  }

 private:
  /// A distance that is a float is at most this float if it is at most `limit`.
  static float toThreshold(double limit) {
    return static_cast<float>(std::clamp<double>(limit, -FLT_MAX, FLT_MAX));
  }

  /// Keeps what is within the radius by its exact distance.
  void measure(const float* query, std::optional<double> exactFrom) {
    const std::span<const std::uint32_t> rows = near_.rows();
    matches_.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!exactFrom && i + rowsAhead < rows.size()) prefetchRow(index_.bins.vectors, rows[i + rowsAhead]);
      const double distance =
          exactFrom ? *exactFrom + near_.distance(i) : storedDistance(index_.bins, query, rows[i]);
      if (static_cast<float>(distance) <= radius_) matches_.emplace_back(distance, index_.bins.ids[rows[i]]);
    }
  }

  RadiusMatches::Row sorted() {
    std::sort(matches_.begin(), matches_.end());
    RadiusMatches::Row row{std::vector<Id>(matches_.size()), std::vector<float>(matches_.size())};
    for (std::size_t i = 0; i < matches_.size(); ++i) {
      row.ids[i] = matches_[i].second;
      row.distances[i] = static_cast<float>(matches_[i].first);
    }
    return row;
  }

  const SearchIndex& index_;
  double radius_, reach_;
  const Scan& plain_;
  AlignedBuffer<std::byte> prepared_;
  Shortlist near_;
  std::vector<std::pair<double, Id>> matches_;
};

}  // namespace

RadiusMatches searchRadius(const SearchIndex& index, const Matrix& queries, const RadiusRequest& request,
                           const char* argument, std::span<std::int32_t> candidates,
                           std::span<std::int32_t> probes, const Job& job) {
  const PreparedQueries prepared(index, queries, argument, job);
  const auto plain = makePlainScan(index.bins);
  // Few queries over many candidates are worth several threads, too.
  const std::size_t perTask =
      std::clamp<std::size_t>(queries.rows / (4 * hardwareThreads()), 1, queriesPerTask);
  RadiusMatches matches{std::vector<RadiusMatches::Row>(queries.rows)};
  std::atomic<std::size_t> done{0}, total{0};
  parallelFor((queries.rows + perTask - 1) / perTask, job.threads, [&](std::size_t task) {
    const std::size_t begin = task * perTask, end = std::min(queries.rows, begin + perTask);
    RadiusSearch search(index, request, *plain);
    forEachRouted(index, prepared.rows(), begin, end, {request.probing, index.bins.offsets, 1},
                  [&](std::size_t query, std::span<const RankedBin> chosen) {
                    job.check();
                    const Visited seen = visited(index, chosen);
                    candidates[query] = seen.candidates;
                    probes[query] = seen.probes;
                    auto& row = matches.rows[query];
                    row = search.find(prepared.rows().row(query), chosen,
                                      static_cast<std::size_t>(seen.candidates));
                    if ((total += row.ids.size()) > std::numeric_limits<Id>::max())
                      throw argumentError("radius", "holds more than 2^31 - 1 results: ask for less at once");
                  });
    job.progress(done += end - begin, queries.rows);
  });
  matches.total = total;
  return matches;
}

void gatherMatches(const RadiusMatches& matches, std::span<Id> offsets, std::span<Id> ids,
                   std::span<float> distances, const Job& job) {
  for (std::size_t i = 0; i < matches.rows.size(); ++i)
    offsets[i + 1] = offsets[i] + static_cast<Id>(matches.rows[i].ids.size());
  parallelFor(matches.rows.size(), job.threads, [&](std::size_t query) {
    job.check();
    const RadiusMatches::Row& row = matches.rows[query];
    std::copy(row.ids.begin(), row.ids.end(), ids.begin() + offsets[query]);
    std::copy(row.distances.begin(), row.distances.end(), distances.begin() + offsets[query]);
  });
}

}  // namespace neural_lsh::cpu
