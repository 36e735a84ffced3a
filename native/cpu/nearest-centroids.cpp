#include "nearest-centroids.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <type_traits>

#include "../core/aligned-buffer.h"
#include "../core/thread-pool.h"
#include "chunks.h"
#include "kernels/byte-products.h"
#include "kernels/float-products.h"
#include "kernels/kernels.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t maxByteColumns = 8192;  // of bytes: 2 <x, c> < 2^30
constexpr float infinity = std::numeric_limits<float>::infinity();

// ---------------------------------------------------------------------------------- centroids in products

/// What rows and centroids are multiplied as: floats, or bytes with 32-bit sums.
template <typename Value>
using Element = std::conditional_t<std::is_same_v<Value, float>, float, std::uint8_t>;

template <typename Value>
const PanelKernels<Value>& panelKernels(std::size_t columns) {
  if constexpr (std::is_same_v<Value, float>) {
    return coarseFloatPanels(columns);
  } else {
    return bytePanels();
  }
}

template <typename Value>
void pack(const Element<Value>* rows, std::size_t count, std::size_t columns, std::uint32_t* out) {
  if constexpr (std::is_same_v<Value, float>) {
    packFloats(coarseFloatPanels(columns), rows, columns, count, columns, nullptr, out);
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
      // Higham, "Accuracy and Stability of Numerical Algorithms", sec. 3.1: the product, the sum's two last
      // additions, the subtractions of the shift; twice, for two scores that are compared.
      constexpr double unitRoundoff = 0x1.0p-24;
      const auto [relative, underflow] = productError(panelKernels<float>(all.columns), all.columns);
      windowSlope = 2.1 * ((2 * relative + 40 * unitRoundoff) * maxNorm + 2 * underflow);
      windowOffset = 2.1 * (16 * unitRoundoff * maxNorm + 2 * underflow) * maxNorm +
                     static_cast<double>(all.columns) * 0x1.0p-122;
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
    const PanelKernels<Value>& kernels = panelKernels<Value>(columns);
    terms.assign(roundUp(chosen.size(), kernels.panelWidth), 0);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      terms[i] = from.terms[index(chosen[i])];
      std::copy_n(from.elements.data() + index(chosen[i]) * columns, columns, rows + i * columns);
    }
    pack<Value>(rows, chosen.size(), columns, packed.require(kernels.packedWords(chosen.size(), columns)));
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
    kernels_ = &panelKernels<Value>(points.columns);
    rows_ = end - begin;
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t row = ids == nullptr ? begin + r : index(ids[begin + r]);
      pointers_[r] = points.row(row);
      guesses_[r] = guesses.empty() ? -1 : guesses[row];
    }
    gather(centroids);
    for (std::size_t first = 0; first < panel.ids.size(); first += kernels_->panelWidth) {
      for (std::size_t row = 0; row < rows_; row += kernels_->tileRows) {
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
    limits_.assign(roundUp(rows_, kernels_->panelWidth), never);
    zeros_.assign(limits_.size(), 0);
    noLimits_.assign(kernels_->panelWidth, never);
    passed_.resize(kernels_->tileRows * kernels_->panelWidth);
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
    pack<Value>(gathered_.data(), rows_, columns, packed_.require(kernels_->packedWords(rows_, columns)));
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
    const std::size_t count = kernels_->select(
        kernels_->steps(columns), kernels_->rowsFrom(packed_.data(), row, columns),
        kernels_->rowsFrom(panel.packed.data(), first, columns), -2, {zeros_.data(), limits_.data() + row},
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

  const PanelKernels<Value>* kernels_ = nullptr;
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

template <typename Value>
void searchAs(const Matrix& points, const Matrix& centroids, std::span<const Id> chosen,
              std::span<const Id> guesses, CentroidWork& work, const CentroidVisit& visit) {
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

template <typename Value>
std::size_t searchNeighborsAs(const Matrix& points, const Groups& groups, const Matrix& centroids,
                              std::span<const Id> nearest, std::span<Id> labels, CentroidWork& work) {
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

}  // namespace

CentroidWork::CentroidWork(const Matrix& points, std::size_t totalProducts, const Job& jobOfAll)
    : job(jobOfAll),
      asBytes(points.columns <= maxByteColumns && areBytes(points, jobOfAll)),
      total(totalProducts) {}

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

void searchCentroids(const Matrix& points, const Matrix& centroids, std::span<const Id> chosen,
                     std::span<const Id> guesses, CentroidWork& work, const CentroidVisit& visit) {
  const auto isByte = [](float x) { return x >= 0 && x <= 255; };
  if (work.asBytes && std::all_of(centroids.data, centroids.row(centroids.rows), isByte)) {
    searchAs<std::int32_t>(points, centroids, chosen, guesses, work, visit);
  } else {
    searchAs<float>(points, centroids, chosen, guesses, work, visit);
  }
}

std::size_t searchNeighborCentroids(const Matrix& points, const Groups& groups, const Matrix& centroids,
                                    std::span<const Id> nearest, std::span<Id> labels, CentroidWork& work) {
  return work.asBytes ? searchNeighborsAs<std::int32_t>(points, groups, centroids, nearest, labels, work)
                      : searchNeighborsAs<float>(points, groups, centroids, nearest, labels, work);
}

}  // namespace neural_lsh::cpu
