#include "kmeans.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <type_traits>

#include "../core/aligned-buffer.h"
#include "../core/random.h"
#include "../core/thread-pool.h"
#include "bins.h"
#include "chunks.h"
#include "kernels/byte-products.h"
#include "kernels/float-products.h"
#include "kernels/kernels.h"
#include "knn-graph.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t sampleRowsPerBin = 256;
constexpr std::size_t closureSize = 64;       // centroids that a row is compared with in an iteration
constexpr std::size_t seededAtOnce = 32;      // more bins than these are seeded inside the cells of fewer
constexpr std::size_t maxByteColumns = 8192;  // of bytes: 2 <x, c> < 2^30
constexpr float infinity = std::numeric_limits<float>::infinity();

std::size_t index(Id id) {
  return static_cast<std::size_t>(id);
}

/// Rows of a bin lie anywhere: the next ones are on their way while one is used.
void prefetchRow(const float* row, std::size_t columns) {
  for (std::size_t c = 0; c < columns; c += 16) __builtin_prefetch(row + c);
}

/// Whether all are integers in 0 .. 255 and few enough a row for 32-bit sums of their products.
bool areBytes(const Matrix& points, const Job& job) {
  if (points.columns > maxByteColumns) return false;
  std::atomic<bool> bytes{true};
  forChunks(points.rows, chunkRows(points.columns), job.threads, [&](std::size_t begin, std::size_t end) {
    if (!bytes.load(std::memory_order_relaxed)) return;
    job.check();
    bool all = true;
    for (const float *x = points.row(begin), *last = points.row(end); x != last; ++x) {
      all &= *x >= 0 && *x <= 255 && static_cast<float>(static_cast<std::int32_t>(*x)) == *x;
    }
    if (!all) bytes.store(false, std::memory_order_relaxed);
  });
  return bytes;
}

/// What all parts of one computation share. `total` is about how many products of a row with a centroid
/// there will be.
struct Work {
  Work(const Matrix& points, std::size_t totalProducts, const Job& jobOfAll)
      : job(jobOfAll), asBytes(areBytes(points, jobOfAll)), total(totalProducts) {}

  void add(std::size_t products) {
    job.check();
    job.progress(std::min(done += products, total), total);
  }

  const Job& job;
  const bool asBytes;  // the rows are
  const std::size_t total;
  std::atomic<std::size_t> done{0};
};

// ---------------------------------------------------------------------------------- centroids in products

/// What rows and centroids are multiplied as: floats, or bytes with 32-bit sums.
template <typename Value>
using Element = std::conditional_t<std::is_same_v<Value, float>, float, std::uint8_t>;

template <typename Value>
const PanelKernels<Value>& panelKernels() {
  if constexpr (std::is_same_v<Value, float>) {
    return floatPanels();
  } else {
    return bytePanels();
  }
}

template <typename Value>
void pack(const Element<Value>* rows, std::size_t count, std::size_t columns, std::uint32_t* out) {
  if constexpr (std::is_same_v<Value, float>) {
    packFloats(rows, columns, count, columns, nullptr, out);
  } else {
    packBytes(rows, columns, count, columns, out);
  }
}

/// Centroids c = r + e as they are multiplied: r is c less a shift, for floats, which keeps products small
/// where the data lie far from the origin, and c rounded, for bytes. A row x is compared by the score
///     floats: |r|^2 - 2 <x - shift, r>         bytes: |c|^2 - 2 <shift, e> - 2 <x, r>
/// which is |x - c|^2 up to what is the same for all centroids and up to rounding, for bytes 2 <x - shift,
/// e>.
template <typename Value>
struct Centroids {
  explicit Centroids(const Matrix& centroids)
      : all(centroids), shift(centroids.columns), elements(all.rows * all.columns), terms(all.rows) {
    computeShift();
    double maxNorm = 0, maxRounding = 0;
    for (std::size_t i = 0; i < all.rows; ++i) {
      const float* const row = all.row(i);
      double term = 0, squaredRounding = 0;
      for (std::size_t c = 0; c < all.columns; ++c) {
        Element<Value>& element = elements[i * all.columns + c];
        if constexpr (std::is_same_v<Value, float>) {
          element = row[c] - shift[c];
          term += static_cast<double>(element) * element;
        } else {
          element = static_cast<std::uint8_t>(row[c] + 0.5F);
          const double rounding = static_cast<double>(row[c]) - element;
          term += static_cast<double>(row[c]) * row[c] - 2 * shift[c] * rounding;
          squaredRounding += rounding * rounding;
        }
      }
      terms[i] = static_cast<Value>(std::is_same_v<Value, float> ? term : std::round(term));
      maxNorm = std::max(maxNorm, std::sqrt(std::max(term, 0.0)));
      maxRounding = std::max(maxRounding, std::sqrt(squaredRounding));
    }
    if constexpr (std::is_same_v<Value, float>) {
      // Higham, "Accuracy and Stability of Numerical Algorithms", sec. 3.1: the sum, its two last additions,
      // the subtractions of the shift; twice, for two scores that are compared.
      constexpr double unitRoundoff = 0x1.0p-24;
      windowSlope = 2.1 * unitRoundoff * (2 * static_cast<double>(all.columns) + 40) * maxNorm;
      windowOffset =
          2.1 * unitRoundoff * 16 * maxNorm * maxNorm + static_cast<double>(all.columns) * 0x1.0p-123;
    } else {
      windowSlope = 4.001 * maxRounding;
      windowOffset = 3;
    }
  }

  /// How much nearer than its score says a centroid can be than another, for a row at this distance from the
  /// shift.
  Value window(double distance) const {
    const double window = windowSlope * distance + windowOffset;
    return static_cast<Value>(std::is_same_v<Value, float> ? window : std::ceil(window));
  }

  Matrix all;
  std::vector<float> shift;
  std::vector<Element<Value>> elements;
  std::vector<Value> terms;
  double windowSlope, windowOffset;

 private:
  void computeShift() {
    std::vector<double> sums(all.columns);
    for (std::size_t i = 0; i < all.rows; ++i) {
      for (std::size_t c = 0; c < all.columns; ++c) sums[c] += all.row(i)[c];
    }
    for (std::size_t c = 0; c < all.columns; ++c) {
      shift[c] = static_cast<float>(sums[c] / static_cast<double>(all.rows));
    }
  }
};

/// Some of them, packed for products.
template <typename Value>
struct Panel {
  void fill(const Centroids<Value>& from, std::span<const Id> chosen) {
    const std::size_t columns = from.all.columns;
    Element<Value>* const rows = gathered_.require(chosen.size() * columns);
    ids.assign(chosen.begin(), chosen.end());
    terms.assign(roundUp(chosen.size(), panelKernels<Value>().panelWidth), 0);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      terms[i] = from.terms[index(chosen[i])];
      std::copy_n(from.elements.data() + index(chosen[i]) * columns, columns, rows + i * columns);
    }
    pack<Value>(rows, chosen.size(), columns,
                packed.require(panelKernels<Value>().packedWords(chosen.size(), columns)));
  }

  std::vector<Id> ids;       // which centroid each column is
  std::vector<Value> terms;  // likewise, and of the columns that fill up the last panel
  AlignedBuffer<std::uint32_t> packed;

 private:
  AlignedBuffer<Element<Value>> gathered_;
};

/// Compares one block of rows after the other with a panel of centroids. One a thread.
template <typename Value>
class Searcher {
 public:
  /// For each row in [begin, end), at most blockRows, of `ids` (nullptr: of the points) its nearest centroid
  /// of the panel, the smaller number among equals, and |x - c|^2. `guesses`, unless empty, has a centroid of
  /// the panel for each of the points: the nearer it is, the fewer others are looked at.
  void search(const Matrix& points, const Id* ids, std::size_t begin, std::size_t end,
              std::span<const Id> guesses, const Centroids<Value>& centroids, const Panel<Value>& panel) {
    rows_ = end - begin;
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t row = ids == nullptr ? begin + r : index(ids[begin + r]);
      pointers_[r] = points.row(row);
      guesses_[r] = guesses.empty() ? -1 : guesses[row];
    }
    gather(centroids);
    for (std::size_t first = 0; first < panel.ids.size(); first += kernels_.panelWidth) {
      for (std::size_t row = 0; row < rows_; row += kernels_.tileRows) {
        select(row, first, points.columns, panel);
      }
    }
    for (std::size_t r = 0; r < rows_; ++r) decide(r, centroids, panel);
  }

  Id label(std::size_t row) const { return labels_[row]; }
  double distance(std::size_t row) const { return distances_[row]; }

 private:
  struct Found {
    std::size_t column;
    Value score;
  };

  /// Packs the rows; each has seen nothing and wants everything.
  void gather(const Centroids<Value>& centroids) {
    const std::size_t columns = centroids.all.columns;
    Element<Value>* out = gathered_.require(rows_ * columns);
    limits_.assign(roundUp(rows_, kernels_.panelWidth), never);
    zeros_.assign(limits_.size(), 0);
    noLimits_.assign(kernels_.panelWidth, never);
    passed_.resize(kernels_.tileRows * kernels_.panelWidth);
    for (std::size_t r = 0; r < rows_; ++r, out += columns) {
      if (r + 2 < rows_) prefetchRow(pointers_[r + 2], columns);
      const float* const row = pointers_[r];
      for (std::size_t c = 0; c < columns; ++c) {
        if constexpr (std::is_same_v<Value, float>) {
          out[c] = row[c] - centroids.shift[c];
        } else {
          out[c] = static_cast<std::uint8_t>(static_cast<std::int32_t>(row[c]));
        }
      }
      const double squared = kernels().exactSquaredDistance(row, centroids.shift.data(), columns);
      windows_[r] = centroids.window(std::sqrt(squared));
      limits_[r] = guesses_[r] < 0 ? std::numeric_limits<Value>::max() : guessedLimit(r, squared, centroids);
      found_[r].clear();
    }
    pack<Value>(gathered_.data(), rows_, columns, packed_.require(kernels_.packedWords(rows_, columns)));
  }

  /// No centroid with a higher score can be nearer than the guess.
  Value guessedLimit(std::size_t r, double squaredDistanceToShift, const Centroids<Value>& centroids) const {
    const std::size_t columns = centroids.all.columns;
    const float* const guess = centroids.all.row(index(guesses_[r]));
    const double distance = kernels().exactSquaredDistance(pointers_[r], guess, columns);
    return static_cast<Value>(distance -
                              (std::is_same_v<Value, float>
                                   ? squaredDistanceToShift
                                   : kernels().exactDotProduct(pointers_[r], pointers_[r], columns))) +
           windows_[r];
  }

  /// Keeps the centroids of a tile that may be the nearest of a row.
  void select(std::size_t row, std::size_t first, std::size_t columns, const Panel<Value>& panel) {
    const std::size_t count = kernels_.select(
        kernels_.steps(columns), kernels_.rowsFrom(packed_.data(), row, columns),
        kernels_.rowsFrom(panel.packed.data(), first, columns), -2, {zeros_.data(), limits_.data() + row},
        {panel.terms.data() + first, noLimits_.data()}, passed_.data());
    for (std::size_t i = 0; i < count; ++i) {
      const auto& pair = passed_[i];
      const std::size_t r = row + pair.row, column = first + pair.column;
      if (column >= panel.ids.size() || pair.distance > limits_[r]) continue;
      limits_[r] = std::min(limits_[r], pair.distance + windows_[r]);
      found_[r].push_back({column, pair.distance});
    }
  }

  /// The nearest of those that the scores leave, by distances in double precision.
  void decide(std::size_t r, const Centroids<Value>& centroids, const Panel<Value>& panel) {
    distances_[r] = std::numeric_limits<double>::infinity();
    for (const auto& [column, score] : found_[r]) {
      if (score > limits_[r]) continue;
      const Id id = panel.ids[column];
      const double distance =
          kernels().exactSquaredDistance(pointers_[r], centroids.all.row(index(id)), centroids.all.columns);
      if (distance < distances_[r] || (distance == distances_[r] && id < labels_[r])) {
        distances_[r] = distance;
        labels_[r] = id;
      }
    }
  }

  static constexpr Value never = std::numeric_limits<Value>::lowest();

  const PanelKernels<Value>& kernels_ = panelKernels<Value>();
  std::size_t rows_ = 0;
  const float* pointers_[blockRows];
  Id guesses_[blockRows];
  AlignedBuffer<Element<Value>> gathered_;
  AlignedBuffer<std::uint32_t> packed_;
  std::vector<Value> limits_, zeros_, noLimits_;
  std::vector<TilePair<Value>> passed_;
  Value windows_[blockRows];
  std::vector<Found> found_[blockRows];
  Id labels_[blockRows];
  double distances_[blockRows];
};

template <typename Value>
Searcher<Value>& searcher() {
  thread_local const auto instance = std::make_unique<Searcher<Value>>();
  return *instance;
}

struct Assignment {
  explicit Assignment(std::size_t rows) : labels(rows), distances(rows) {}

  std::vector<Id> labels;
  std::vector<double> distances;  // squared
};

/// The first of each set of equal centroids: no other can be a row's label.
std::vector<Id> differentCentroids(const Matrix& centroids) {
  const auto row = [&](Id id) { return std::span(centroids.row(index(id)), centroids.columns); };
  const auto isLess = [&](Id a, Id b) {
    return std::lexicographical_compare(row(a).begin(), row(a).end(), row(b).begin(), row(b).end());
  };
  std::vector<Id> ids(centroids.rows);
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), isLess);
  ids.erase(std::unique(ids.begin(), ids.end(), [&](Id a, Id b) { return !isLess(a, b); }), ids.end());
  std::sort(ids.begin(), ids.end());
  return ids;
}

template <typename Value, typename Visit>
void searchAllAs(const Matrix& points, const Matrix& centroids, std::span<const Id> chosen,
                 std::span<const Id> guesses, Work& work, const Visit& visit) {
  const Centroids<Value> prepared(centroids);
  Panel<Value> panel;
  panel.fill(prepared, chosen);
  forChunks(points.rows, blockRows, work.job.threads, [&](std::size_t begin, std::size_t end) {
    Searcher<Value>& search = searcher<Value>();
    search.search(points, nullptr, begin, end, guesses, prepared, panel);
    for (std::size_t i = begin; i < end; ++i) visit(i, search.label(i - begin), search.distance(i - begin));
    work.add((end - begin) * chosen.size());
  });
}

/// Every row against every centroid of `chosen`; visit(row, label, distance).
template <typename Visit>
void searchAll(const Matrix& points, const Matrix& centroids, std::span<const Id> chosen,
               std::span<const Id> guesses, Work& work, const Visit& visit) {
  const auto isByte = [](float x) { return x >= 0 && x <= 255; };
  if (work.asBytes && std::all_of(centroids.data, centroids.row(centroids.rows), isByte)) {
    searchAllAs<std::int32_t>(points, centroids, chosen, guesses, work, visit);
  } else {
    searchAllAs<float>(points, centroids, chosen, guesses, work, visit);
  }
}

void assignAll(const Matrix& points, const Matrix& centroids, std::span<const Id> guesses, Assignment& out,
               Work& work) {
  searchAll(points, centroids, differentCentroids(centroids), guesses, work,
            [&](std::size_t row, Id label, double distance) {
              out.labels[row] = label;
              out.distances[row] = distance;
            });
}

// ------------------------------------------------------------------------------------------------- seeding

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
          Random random, std::span<Id> labels, Work& work) {
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

Trained train(const Matrix& points, std::size_t bins, std::size_t iterations, Random& random, Work& work);

/// A first label for each row.
void start(const Matrix& points, std::size_t bins, std::size_t iterations, Random& random,
           std::span<Id> labels, Work& work) {
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

/// Empty bins get the rows that lie farthest from their centroids, each from a bin that keeps another.
void refillEmptyBins(const Matrix& points, std::span<const float> centroids, std::span<Id> labels,
                     std::size_t bins, Work& work) {
  std::vector<std::size_t> sizes(bins);
  for (const Id label : labels) ++sizes[index(label)];
  std::vector<Id> empty;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    if (sizes[bin] == 0) empty.push_back(static_cast<Id>(bin));
  }
  if (empty.empty()) return;
  std::vector<double> distances(points.rows);
  forChunks(points.rows, chunkRows(points.columns), work.job.threads,
            [&](std::size_t begin, std::size_t end) {
              work.job.check();
              for (std::size_t i = begin; i < end; ++i) {
                distances[i] = kernels().exactSquaredDistance(
                    points.row(i), centroids.data() + index(labels[i]) * points.columns, points.columns);
              }
            });
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
void computeMeans(const Matrix& points, const Groups& groups, std::span<float> centroids, Work& work) {
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

template <typename Value>
std::size_t reassignAs(const Matrix& points, const Groups& groups, const Matrix& centroids,
                       std::span<const Id> nearest, std::span<Id> labels, Work& work) {
  const Centroids<Value> prepared(centroids);
  const std::size_t bins = centroids.rows, others = nearest.size() / bins;
  std::atomic<std::size_t> changed{0};
  parallelFor(bins, work.job.threads, [&](std::size_t bin) {
    thread_local Panel<Value> panel;
    thread_local std::vector<Id> chosen;
    Searcher<Value>& search = searcher<Value>();
    chosen.assign(1, static_cast<Id>(bin));
    chosen.insert(chosen.end(), nearest.data() + bin * others, nearest.data() + (bin + 1) * others);
    panel.fill(prepared, chosen);
    const std::span<const Id> rows = groups.group(bin);
    for (std::size_t begin = 0; begin < rows.size(); begin += blockRows) {
      const std::size_t end = std::min(begin + blockRows, rows.size());
      search.search(points, rows.data(), begin, end, labels, prepared, panel);
      for (std::size_t i = begin; i < end; ++i) {
        const Id label = search.label(i - begin);
        if (label != static_cast<Id>(bin)) changed.fetch_add(1, std::memory_order_relaxed);
        labels[index(rows[i])] = label;
      }
      work.add((end - begin) * chosen.size());
    }
  });
  return changed;
}

/// One step of Lloyd: each row's nearest centroid among those nearest to its last one. Returns how many rows
/// have changed their labels.
std::size_t reassign(const Matrix& points, const Groups& groups, const Matrix& centroids,
                     std::span<Id> labels, Work& work) {
  const std::size_t bins = centroids.rows, others = std::min(closureSize, bins) - 1;
  if (others == 0) return 0;
  std::vector<Id> nearest(bins * others);
  std::vector<float> distances(bins * others);
  exactKnnGraph(centroids, Metric::euclidean, others, nearest, distances,
                {work.job.cancelFlag, {}, work.job.threads});
  return work.asBytes ? reassignAs<std::int32_t>(points, groups, centroids, nearest, labels, work)
                      : reassignAs<float>(points, groups, centroids, nearest, labels, work);
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

Trained train(const Matrix& all, std::size_t bins, std::size_t iterations, Random& random, Work& work) {
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
                   Work& work) {
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
    searchAll(points, {centroids.data(), bins, points.columns}, empty, {}, work,
              [&](std::size_t row, Id label, double distance) {
                double& nearest = assignment.distances[row];
                if (distance > nearest || (distance == nearest && label > assignment.labels[row])) return;
                nearest = distance;
                assignment.labels[row] = label;
              });
  }
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
  Work work(points, sample * perRow + points.rows * bins, job);
  Random random(options.seed);
  Trained trained = train(points, bins, options.iterations, random, work);
  Kmeans result{std::move(trained.centroids), {}, 0};
  Assignment assignment(points.rows);
  assignAll(points, {result.centroids.data(), bins, points.columns}, trained.labels, assignment, work);
  fillEmptyBins(points, result.centroids, bins, assignment, work);
  result.labels = std::move(assignment.labels);
  result.meanSquaredError = mean(assignment.distances);
  return result;
}

void assignToCentroids(const Matrix& points, std::span<const float> centroids, std::span<Id> labels,
                       std::span<float> squaredDistances, const Job& job) {
  const Matrix all{centroids.data(), centroids.size() / points.columns, points.columns};
  Work work(points, points.rows * all.rows, job);
  searchAll(points, all, differentCentroids(all), {}, work, [&](std::size_t row, Id label, double distance) {
    labels[row] = label;
    if (!squaredDistances.empty()) squaredDistances[row] = static_cast<float>(distance);
  });
}

}  // namespace neural_lsh::cpu
