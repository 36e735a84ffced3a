#include "hyperplane-trees.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "../../core/random.h"
#include "../../core/thread-pool.h"
#include "../chunks.h"
#include "../kernels/kernels.h"
#include "principal-directions.h"
#include "small-matrices.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t sampleRows = 16384;

/// A row's place along a direction.
struct Place {
  double value;
  Id id;
  friend bool operator<(const Place& a, const Place& b) {
    return a.value < b.value || (a.value == b.value && a.id < b.id);
  }
};

/// Of rows' numbers in each column; from the first row on, so that nothing cancels far from the origin.
struct ColumnSums {
  explicit ColumnSums(std::size_t columns) : sums(columns), squares(columns) {}

  void add(const float* row, const float* origin) {
    for (std::size_t c = 0; c < sums.size(); ++c) {
      const double difference = static_cast<double>(row[c]) - origin[c];
      sums[c] += difference;
      squares[c] += difference * difference;
    }
  }
  void add(const ColumnSums& other) {
    for (std::size_t c = 0; c < sums.size(); ++c) {
      sums[c] += other.sums[c];
      squares[c] += other.squares[c];
    }
  }

  std::vector<double> sums, squares;
};

class Tree {
 public:
  Tree(const Matrix& rows, std::size_t leaves, TreeDirection direction, std::uint64_t seed,
       const ProjectionPartition& result, const Job& job)
      : rows_(rows), leaves_(leaves), direction_(direction), seed_(seed), result_(result), job_(job) {
    for (std::size_t width = leaves; width > 1; width = (width + 1) / 2) total_ += rows.rows;
  }

  void grow() {
    std::vector<Id> ids(rows_.rows);
    std::iota(ids.begin(), ids.end(), 0);
    grow(0, 0, leaves_, ids);
  }

 private:
  static std::size_t index(Id id) { return static_cast<std::size_t>(id); }
  const float* row(Id id) const { return rows_.row(index(id)); }
  std::size_t rowsBefore(std::size_t leaf) const { return leaf * rows_.rows / leaves_; }
  std::span<float> weightsOf(std::size_t node) const {
    return result_.weights.subspan(node * rows_.columns, rows_.columns);
  }

  /// The subtree of `node`, which holds the rows `ids`, ascending.
  void grow(std::size_t node, std::size_t firstLeaf, std::size_t leaves, std::span<Id> ids) {
    job_.check();
    if (leaves == 1) {
      for (const Id id : ids) result_.labels[index(id)] = static_cast<Id>(firstLeaf);
      return;
    }
    const std::size_t left = (leaves + 1) / 2, middle = firstLeaf + left;
    const std::size_t leftRows = rowsBefore(middle) - rowsBefore(firstLeaf);
    chooseDirection(node, ids);
    cut(node, ids, leftRows);
    job_.progress(done_ += ids.size(), total_);
    parallelFor(2, job_.threads, [&](std::size_t side) {
      if (side == 0) return grow(node + 1, firstLeaf, left, ids.first(leftRows));
      grow(node + left, middle, leaves - left, ids.subspan(leftRows));
    });
  }

  void chooseDirection(std::size_t node, std::span<const Id> ids) const {
    const std::span<float> weights = weightsOf(node);
    Random random(Random(seed_ + node).next());
    if (direction_ == TreeDirection::axis) {
      weights[widestAxis(ids)] = 1;
    } else if (direction_ == TreeDirection::random) {
      DoubleMatrix drawn = randomNormals(1, rows_.columns, random);
      orthonormalize(drawn, random);
      std::copy(drawn.numbers.begin(), drawn.numbers.end(), weights.begin());
    } else {
      const std::vector<float> sample = sampleOf(ids);
      const Matrix some{sample.data(), sample.size() / rows_.columns, rows_.columns};
      const PrincipalDirections found = principalDirections(some, 1, random, job_);
      std::copy(found.directions.begin(), found.directions.end(), weights.begin());
    }
  }

  std::vector<float> sampleOf(std::span<const Id> ids) const {
    const std::size_t count = std::min(ids.size(), sampleRows), columns = rows_.columns;
    std::vector<float> sample(count * columns);
    for (std::size_t i = 0; i < count; ++i)
      std::copy_n(row(ids[i * ids.size() / count]), columns, sample.data() + i * columns);
    return sample;
  }

  /// The column in which the rows vary most, the first of several.
  std::size_t widestAxis(std::span<const Id> ids) const {
    constexpr std::size_t grain = 2048;
    const std::size_t columns = rows_.columns;
    std::vector<ColumnSums> partial((ids.size() + grain - 1) / grain, ColumnSums(columns));
    forChunks(ids.size(), grain, job_.threads, [&](std::size_t begin, std::size_t end) {
      job_.check();
      for (std::size_t i = begin; i < end; ++i) partial[begin / grain].add(row(ids[i]), row(ids[0]));
    });
    ColumnSums all(columns);
    for (const ColumnSums& sums : partial) all.add(sums);
    const auto count = static_cast<double>(ids.size());
    std::vector<double> variances(columns);
    for (std::size_t c = 0; c < columns; ++c)
      variances[c] = all.squares[c] - all.sums[c] * all.sums[c] / count;
    return static_cast<std::size_t>(std::max_element(variances.begin(), variances.end()) - variances.begin());
  }

  /// Puts the rows that come first along the node's direction to the front; each side stays ascending.
  void cut(std::size_t node, std::span<Id> ids, std::size_t leftRows) const {
    const float* const weights = weightsOf(node).data();
    std::vector<Place> places(ids.size());
    forChunks(ids.size(), chunkRows(rows_.columns), job_.threads, [&](std::size_t begin, std::size_t end) {
      job_.check();
      for (std::size_t i = begin; i < end; ++i)
        places[i] = {kernels().exactDotProduct(row(ids[i]), weights, rows_.columns), ids[i]};
    });
    const auto middle = places.begin() + static_cast<std::ptrdiff_t>(leftRows);
    std::nth_element(places.begin(), middle, places.end());
    const double below = std::max_element(places.begin(), middle)->value;
    result_.biases[node] = static_cast<float>(-(below + middle->value) / 2);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = places[i].id;
    std::sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(leftRows));
    std::sort(ids.begin() + static_cast<std::ptrdiff_t>(leftRows), ids.end());
  }

  const Matrix& rows_;
  const std::size_t leaves_;
  const TreeDirection direction_;
  const std::uint64_t seed_;
  const ProjectionPartition& result_;
  const Job& job_;
  std::size_t total_ = 0;
  std::atomic<std::size_t> done_{0};
};

}  // namespace

void hyperplaneTree(const Matrix& rows, std::size_t leaves, TreeDirection direction, std::uint64_t seed,
                    const ProjectionPartition& result, const Job& job) {
  Tree(rows, leaves, direction, seed, result, job).grow();
}

}  // namespace neural_lsh::cpu
