// k-means as a partitioner: bins are the Voronoi cells of centroids that Lloyd's iterations have found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

struct KmeansOptions {
  std::size_t bins;             // in [1, rows]
  std::size_t iterations = 10;  // of Lloyd, at most
  std::uint64_t seed = 1;
  double largest = 0;  // a bin holds at most so many times the mean, and ceil(rows / bins); 0: any number
};

struct Kmeans {
  std::vector<float> centroids;  // bins x columns
  std::vector<Id> labels;        // of each row its nearest centroid; with `largest`, one near it
  double meanSquaredError;       // of the rows to their centroids: mean |x - c|^2
};

/// Partitions the rows by k-means under Euclidean distance (unit rows, for cosine, arrive as such): k-means++
/// (Arthur & Vassilvitskii 2007) inside the cells of a coarser k-means, Lloyd's iterations over a sample of
/// at most 256 rows a bin in which a row looks for its next centroid among those nearest to its last one
/// (Wang et al., "Fast approximate k-means via cluster closures", 2012), and in the end the exact nearest
/// centroid of every row. Where `largest` bounds the bins, they then take turns with their means in
/// finding the rows that fit into them (bin-auction.h), and the centroids are the bins' means. No bin is
/// empty unless there are fewer different rows than bins. The result depends on the seed and the CPU's
/// instruction set, not on the number of threads.
Kmeans kmeans(const Matrix& points, const KmeansOptions& options, const Job& job);

/// The nearest centroid of each row, as by brute force in double precision, ties to the smaller number.
/// `centroids` is (any number >= 1) x points.columns; `labels` and, unless empty, `squaredDistances` have one
/// element a row.
void assignToCentroids(const Matrix& points, std::span<const float> centroids, std::span<Id> labels,
                       std::span<float> squaredDistances, const Job& job);

}  // namespace neural_lsh::cpu
