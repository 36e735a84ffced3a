// The nearest centroid of many rows: what k-means' steps and the assignment to given centroids share.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"
#include "bins.h"

namespace neural_lsh::cpu {

inline std::size_t index(Id id) {
  return static_cast<std::size_t>(id);
}

/// Rows of a bin lie anywhere: the next ones are on their way while one is used.
inline void prefetchRow(const float* row, std::size_t columns) {
  for (std::size_t c = 0; c < columns; c += 16) __builtin_prefetch(row + c);
}

/// What all parts of one computation share. `total` is about how many products of a row with a centroid
/// there will be.
struct CentroidWork {
  CentroidWork(const Matrix& points, std::size_t totalProducts, const Job& jobOfAll);

  void add(std::size_t products) {
    job.check();
    job.progress(std::min(done += products, total), total);
  }

  const Job& job;
  const bool asBytes;  // the rows are integers in 0 .. 255
  const std::size_t total;
  std::atomic<std::size_t> done{0};
};

/// Rows by their labels.
struct Groups {
  Groups(std::span<const Id> labels, std::size_t bins) : offsets(bins + 1), ids(labels.size()) {
    groupIntoBins(labels, bins, offsets, ids);
  }

  std::span<const Id> group(std::size_t bin) const {
    return std::span(ids).subspan(index(offsets[bin]), index(offsets[bin + 1] - offsets[bin]));
  }
  std::size_t size(std::size_t bin) const { return index(offsets[bin + 1] - offsets[bin]); }

  std::vector<Id> offsets, ids;
};

/// What is found of a row: its label, and the squared distance to that centroid.
using CentroidVisit = std::function<void(std::size_t row, Id label, double distance)>;

/// Every row against every centroid of `chosen`, of equally near ones the first. `guesses`, if there are any,
/// are labels that are likely. visit is called from several threads, once for each row.
void searchCentroids(const Matrix& points, const Matrix& centroids, std::span<const Id> chosen,
                     std::span<const Id> guesses, CentroidWork& work, const CentroidVisit& visit);

/// The first of each set of equal centroids: no other can be a row's label.
std::vector<Id> differentCentroids(const Matrix& centroids);

/// The label of each row becomes the nearest of its last one and of the `nearest.size() / centroids.rows`
/// centroids that are nearest to that. Returns how many rows have changed their labels.
std::size_t searchNeighborCentroids(const Matrix& points, const Groups& groups, const Matrix& centroids,
                                    std::span<const Id> nearest, std::span<Id> labels, CentroidWork& work);

}  // namespace neural_lsh::cpu
