#include "kmeans.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "../core/random.h"
#include "../core/thread-pool.h"
#include "bin-auction.h"
#include "chunks.h"
#include "kernels/kernels.h"
#include "knn-graph.h"
#include "nearest-centroids.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t sampleRowsPerBin = 256;
constexpr std::size_t closureSize = 64;   // centroids that a row is compared with in an iteration
constexpr std::size_t seededAtOnce = 32;  // more bins than these are seeded inside the cells of fewer
constexpr std::size_t boundedRounds = 3;  // of bins with bounded sizes and their means
constexpr float infinity = std::numeric_limits<float>::infinity();

struct Assignment {
  explicit Assignment(std::size_t rows) : labels(rows), distances(rows) {}

  std::vector<Id> labels;
  std::vector<double> distances;  // squared
};

void assignAll(const Matrix& points, const Matrix& centroids, std::span<const Id> guesses, Assignment& out,
               CentroidWork& work) {
  searchCentroids(points, centroids, differentCentroids(centroids), guesses, work,
                  [&](std::size_t row, Id label, double distance) {
                    out.labels[row] = label;
                    out.distances[row] = distance;
                  });
}

// ------------------------------------------------------------------------------------------------- seeding

std::vector<float> gatherRows(const Matrix& points, std::span<const Id> ids) {
  std::vector<float> rows(ids.size() * points.columns);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    std::copy_n(points.row(index(ids[i])), points.columns, rows.data() + i * points.columns);
  }
  return rows;
}

/// k-means++ among the given rows: labels[id] = firstBin + the number of the nearest seed. Where there are
/// fewer different rows than bins, the last bins get none.
void seed(const Matrix& points, std::span<const Id> ids, std::size_t firstBin, std::size_t bins,
          Random random, std::span<Id> labels, CentroidWork& work) {
  if (ids.empty()) return;
  const std::vector<float> rows = gatherRows(points, ids);
  std::vector<float> nearest(ids.size(), infinity), distances(ids.size());
  std::size_t chosen = random.below(ids.size());
  for (std::size_t bin = 0; bin < bins; ++bin) {
    work.job.check();
    kernels().squaredDistances(rows.data() + chosen * points.columns, rows.data(), ids.size(), points.columns,
                               distances.data());
    double total = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (distances[i] < nearest[i]) {
        nearest[i] = distances[i];
        labels[index(ids[i])] = static_cast<Id>(firstBin + bin);
      }
      total += nearest[i];
    }
    if (!(total > 0)) return;
    double rest = random.uniform() * total;
    for (chosen = 0; chosen + 1 < ids.size() && (rest -= nearest[chosen]) >= 0;) ++chosen;
  }
}

/// How many of `bins` each group gets, in proportion to its rows (by the method of Webster and Sainte-Lague):
/// at most one a row, at least one if it has any. There are fewer groups than bins.
std::vector<std::size_t> shareOut(std::size_t bins, std::size_t groupCount, const Groups& groups) {
  std::vector<std::size_t> shares(groupCount);
  std::size_t given = 0;
  for (std::size_t g = 0; g < groupCount; ++g) given += shares[g] = groups.size(g) > 0 ? 1 : 0;
  for (; given < bins; ++given) {
    std::size_t best = 0;
    double most = -1;
    for (std::size_t g = 0; g < groupCount; ++g) {
      const double each = static_cast<double>(groups.size(g)) / (static_cast<double>(shares[g]) + 0.5);
      if (shares[g] >= groups.size(g) || each <= most) continue;
      most = each;
      best = g;
    }
    ++shares[best];
  }
  return shares;
}

/// The centroids, and the last labels of the rows if none was left out.
struct Trained {
  std::vector<float> centroids;
  std::vector<Id> labels;
};

Trained train(const Matrix& points, std::size_t bins, std::size_t iterations, Random& random,
              CentroidWork& work);

/// A first label for each row.
void start(const Matrix& points, std::size_t bins, std::size_t iterations, Random& random,
           std::span<Id> labels, CentroidWork& work) {
  const std::size_t groupCount =
      bins <= seededAtOnce ? 1 : static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(bins))));
  Assignment groupOf(points.rows);
  if (groupCount > 1) {
    const Trained coarse = train(points, groupCount, iterations, random, work);
    assignAll(points, {coarse.centroids.data(), groupCount, points.columns}, coarse.labels, groupOf, work);
  }
  const Groups groups(groupOf.labels, groupCount);
  const std::vector<std::size_t> shares = shareOut(bins, groupCount, groups);
  std::vector<std::size_t> firstBins(groupCount);
  std::exclusive_scan(shares.begin(), shares.end(), firstBins.begin(), std::size_t{0});
  const std::uint64_t state = random.next();
  parallelFor(groupCount, work.job.threads, [&](std::size_t g) {
    seed(points, groups.group(g), firstBins[g], shares[g], Random(state + g), labels, work);
    work.add(groups.size(g) * shares[g]);
  });
}

// ------------------------------------------------------------------------------------------------ training

/// The squared distance of each row to its centroid.
std::vector<double> distancesToCentroids(const Matrix& points, std::span<const float> centroids,
                                         std::span<const Id> labels, const Job& job) {
  std::vector<double> distances(points.rows);
  forChunks(points.rows, chunkRows(points.columns), job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    for (std::size_t i = begin; i < end; ++i) {
      distances[i] = kernels().exactSquaredDistance(
          points.row(i), centroids.data() + index(labels[i]) * points.columns, points.columns);
    }
  });
  return distances;
}

/// Empty bins get the rows that lie farthest from their centroids, each from a bin that keeps another.
void refillEmptyBins(const Matrix& points, std::span<const float> centroids, std::span<Id> labels,
                     std::size_t bins, CentroidWork& work) {
  std::vector<std::size_t> sizes(bins);
  for (const Id label : labels) ++sizes[index(label)];
  std::vector<Id> empty;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    if (sizes[bin] == 0) empty.push_back(static_cast<Id>(bin));
  }
  if (empty.empty()) return;
  const std::vector<double> distances = distancesToCentroids(points, centroids, labels, work.job);
  std::vector<Id> order(points.rows);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](Id a, Id b) {
    return distances[index(a)] > distances[index(b)] || (distances[index(a)] == distances[index(b)] && a < b);
  });
  auto next = empty.begin();
  for (const Id row : order) {
    if (next == empty.end() || !(distances[index(row)] > 0)) return;
    std::size_t& donor = sizes[index(labels[index(row)])];
    if (donor < 2) continue;
    --donor;
    labels[index(row)] = *next++;
  }
}

/// The mean of each bin's rows; that of an empty bin stays as it is.
void computeMeans(const Matrix& points, const Groups& groups, std::span<float> centroids,
                  CentroidWork& work) {
  const std::size_t bins = groups.offsets.size() - 1;
  parallelFor(bins, work.job.threads, [&](std::size_t bin) {
    const std::span<const Id> rows = groups.group(bin);
    if (rows.empty()) return;
    work.job.check();
    std::vector<double> sums(points.columns, 0.0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i + 2 < rows.size()) prefetchRow(points.row(index(rows[i + 2])), points.columns);
      const float* row = points.row(index(rows[i]));
      for (std::size_t c = 0; c < points.columns; ++c) sums[c] += row[c];
    }
    const double scale = 1 / static_cast<double>(rows.size());
    for (std::size_t c = 0; c < points.columns; ++c) {
      centroids[bin * points.columns + c] = static_cast<float>(sums[c] * scale);
    }
  });
}

/// One step of Lloyd: each row's nearest centroid among those nearest to its last one. Returns how many rows
/// have changed their labels.
std::size_t reassign(const Matrix& points, const Groups& groups, const Matrix& centroids,
                     std::span<Id> labels, CentroidWork& work) {
  const std::size_t bins = centroids.rows, others = std::min(closureSize, bins) - 1;
  if (others == 0) return 0;
  std::vector<Id> nearest(bins * others);
  std::vector<float> distances(bins * others);
  exactKnnGraph(centroids, Metric::euclidean, others, nearest, distances,
                {work.job.cancelFlag, {}, work.job.threads});
  return searchNeighborCentroids(points, groups, centroids, nearest, labels, work);
}

/// `count` different rows of the matrix, in their order (Knuth's algorithm S).
std::vector<Id> sampleRows(std::size_t rows, std::size_t count, Random& random) {
  std::vector<Id> ids;
  ids.reserve(count);
  for (std::size_t i = 0; ids.size() < count; ++i) {
    if (random.below(rows - i) < count - ids.size()) ids.push_back(static_cast<Id>(i));
  }
  return ids;
}

Trained train(const Matrix& all, std::size_t bins, std::size_t iterations, Random& random,
              CentroidWork& work) {
  std::vector<float> sampled;
  Matrix points = all;
  if (all.rows / sampleRowsPerBin > bins) {
    sampled = gatherRows(all, sampleRows(all.rows, bins * sampleRowsPerBin, random));
    points = {sampled.data(), bins * sampleRowsPerBin, all.columns};
  }
  std::vector<Id> labels(points.rows);
  start(points, bins, iterations, random, labels, work);
  std::vector<float> centroids(bins * points.columns);
  for (std::size_t bin = 0; bin < bins; ++bin) {  // finite where too few rows differ
    std::copy_n(points.data, points.columns, centroids.data() + bin * points.columns);
  }
  std::size_t changed = points.rows;
  for (std::size_t iteration = 0; changed > 0; ++iteration) {
    const Groups groups(labels, bins);
    computeMeans(points, groups, centroids, work);
    if (iteration == iterations) break;
    changed = reassign(points, groups, {centroids.data(), bins, points.columns}, labels, work);
    refillEmptyBins(points, centroids, labels, bins, work);
  }
  if (!sampled.empty()) labels.clear();
  return {std::move(centroids), std::move(labels)};
}

// -------------------------------------------------------------------------------------------- after training

/// Up to `count` rows that differ from each other and from their centroids, the farthest first.
std::vector<Id> farthestRows(const Matrix& points, const Assignment& assignment, std::size_t count) {
  std::vector<Id> order;
  for (std::size_t i = 0; i < points.rows; ++i) {
    if (assignment.distances[i] > 0) order.push_back(static_cast<Id>(i));
  }
  std::sort(order.begin(), order.end(), [&](Id a, Id b) {
    const double x = assignment.distances[index(a)], y = assignment.distances[index(b)];
    return x > y || (x == y && a < b);
  });
  std::vector<Id> chosen;
  for (const Id id : order) {
    if (chosen.size() == count) break;
    const float* const row = points.row(index(id));
    const auto isFarther = [&](Id other) {  // equal rows are equally far
      return assignment.distances[index(other)] > assignment.distances[index(id)];
    };
    const auto equallyFar = std::find_if(chosen.rbegin(), chosen.rend(), isFarther).base();
    if (std::none_of(equallyFar, chosen.end(), [&](Id other) {
          return std::equal(row, row + points.columns, points.row(index(other)));
        })) {
      chosen.push_back(id);
    }
  }
  return chosen;
}

/// Moves the centroids of empty bins to the farthest rows until no bin is empty or every row is a centroid.
/// A bin whose centroid is a row of its own stays so, hence this ends.
void fillEmptyBins(const Matrix& points, std::span<float> centroids, std::size_t bins, Assignment& assignment,
                   CentroidWork& work) {
  for (;;) {
    std::vector<bool> used(bins, false);
    for (const Id label : assignment.labels) used[index(label)] = true;
    std::vector<Id> empty;
    for (std::size_t bin = 0; bin < bins; ++bin) {
      if (!used[bin]) empty.push_back(static_cast<Id>(bin));
    }
    if (empty.empty()) return;
    const std::vector<Id> rows = farthestRows(points, assignment, empty.size());
    if (rows.empty()) return;
    empty.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(points.row(index(rows[i])), points.columns,
                  centroids.data() + index(empty[i]) * points.columns);
    }
    searchCentroids(points, {centroids.data(), bins, points.columns}, empty, {}, work,
                    [&](std::size_t row, Id label, double distance) {
                      double& nearest = assignment.distances[row];
                      if (distance > nearest || (distance == nearest && label > assignment.labels[row]))
                        return;
                      nearest = distance;
                      assignment.labels[row] = label;
                    });
  }
}

/// Bins of at most `capacity` rows, and their means.
void boundBins(const Matrix& points, std::size_t bins, std::size_t capacity, std::span<float> centroids,
               Assignment& assignment, CentroidWork& work) {
  for (std::size_t round = 0; round < boundedRounds; ++round) {
    assignWithinCapacity(points, {centroids.data(), bins, points.columns}, capacity, assignment.labels,
                         work.job);
    refillEmptyBins(points, centroids, assignment.labels, bins, work);
    computeMeans(points, Groups(assignment.labels, bins), centroids, work);
    work.add(points.rows * bins);
  }
  assignment.distances = distancesToCentroids(points, centroids, assignment.labels, work.job);
}

std::size_t capacityOf(std::size_t rows, const KmeansOptions& options) {
  const double mean = static_cast<double>(rows) / static_cast<double>(options.bins);
  constexpr double rounding = 1e-9;
  return static_cast<std::size_t>(std::max(std::ceil(mean), std::floor(options.largest * mean + rounding)));
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

Kmeans kmeans(const Matrix& points, const KmeansOptions& options, const Job& job) {
  const std::size_t bins = options.bins;
  const std::size_t sample = std::min(points.rows, bins * sampleRowsPerBin);
  const auto starting = static_cast<std::size_t>(2 * std::sqrt(static_cast<double>(bins)));
  const std::size_t perRow = starting + options.iterations * std::min(bins, closureSize);
  const std::size_t passes = options.largest > 0 ? 1 + boundedRounds : 1;  // over all rows
  CentroidWork work(points, sample * perRow + passes * points.rows * bins, job);
  Random random(options.seed);
  Trained trained = train(points, bins, options.iterations, random, work);
  Kmeans result{std::move(trained.centroids), {}, 0};
  Assignment assignment(points.rows);
  assignAll(points, {result.centroids.data(), bins, points.columns}, trained.labels, assignment, work);
  fillEmptyBins(points, result.centroids, bins, assignment, work);
  if (options.largest > 0)
    boundBins(points, bins, capacityOf(points.rows, options), result.centroids, assignment, work);
  result.labels = std::move(assignment.labels);
  result.meanSquaredError = mean(assignment.distances);
  return result;
}

void assignToCentroids(const Matrix& points, std::span<const float> centroids, std::span<Id> labels,
                       std::span<float> squaredDistances, const Job& job) {
  const Matrix all{centroids.data(), centroids.size() / points.columns, points.columns};
  CentroidWork work(points, points.rows * all.rows, job);
  searchCentroids(points, all, differentCentroids(all), {}, work,
                  [&](std::size_t row, Id label, double distance) {
                    labels[row] = label;
                    if (!squaredDistances.empty()) squaredDistances[row] = static_cast<float>(distance);
                  });
}

}  // namespace neural_lsh::cpu
