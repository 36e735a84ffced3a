// Points as groups of them are compared: leaves, which are overlapping groups of points that lie near each
// other, and the near pairs within a group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

/// Two members of a group, by their places in it, and their distance.
struct NearPair {
  std::uint32_t row, column;
  float distance;
};

/// A point set as matrix products need it. Integers from 0 to 255 at Euclidean distance are kept as bytes and
/// multiplied exactly, everything else in float. A pair's distance is the same number in whatever group it is
/// met.
class GroupedPoints {
 public:
  virtual ~GroupedPoints() = default;
  virtual std::size_t rows() const = 0;

  /// Puts the points into another order: row i becomes what row order[i] was. `order` is a permutation.
  virtual void reorder(std::span<const Id> order, const Job& job) = 0;

  /// Of each of the rows `ids` the `count` nearest among the rows `leaders`, nearest first, as their places
  /// in there: ids.size() x count. For inner products: nearest in direction.
  virtual void nearestLeaders(std::span<const Id> ids, std::span<const Id> leaders, std::size_t count,
                              std::span<std::uint32_t> nearest, const Job& job) const = 0;

  /// Visits, some at a time, the pairs row < column, row < rowCount of a group whose distance is at most one
  /// of the two rows' thresholds; a visit may lower them.
  virtual void nearPairs(std::span<const Id> ids, std::size_t rowCount, std::span<float> thresholds,
                         const std::function<void(std::span<const NearPair>)>& visit) const = 0;

  /// Starts reading a row that will be needed soon.
  virtual void prefetch(Id id) const = 0;
};

/// A copy of the points for such comparisons.
std::unique_ptr<GroupedPoints> groupedPoints(const Matrix& points, Metric metric, const Job& job);

/// How a set of points is carved up.
struct LeafShape {
  std::size_t minRows;              // groups with fewer are put together
  std::size_t maxRows;              // groups with more are split again
  std::size_t maxLeaders;           // into how many at once
  std::vector<std::size_t> fanOut;  // into how many groups a point goes, level by level; then into one
};

/// Carves up the points by balls around random ones, the leaders: a point goes to its nearest leaders, as
/// many as the fan-out says, and groups that are too large are carved up again (PiPNN, 2026). Groups that do
/// not come apart, such as points that are all alike, are cut at random. visit(ids, before) is called for
/// each leaf, from several threads at once: at most 2 maxRows ids, none twice, and, where nobody is in two
/// leaves, the number of ids in the leaves before it. Every id is in at least one leaf, and every leaf has at
/// least min(minRows, all) ids, where minRows <= maxRows / 2. The leaves depend on points, shape and seed
/// only.
void forEachLeaf(const GroupedPoints& points, const LeafShape& shape, std::uint64_t seed, const Job& job,
                 const std::function<void(std::span<const Id>, std::size_t)>& visit);

}  // namespace neural_lsh::cpu
