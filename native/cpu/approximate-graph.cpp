#include "approximate-graph.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "../core/random.h"
#include "../core/thread-pool.h"
#include "chunks.h"
#include "distance-tiles.h"
#include "knn-graph.h"
#include "leaves.h"
#include "nearest-lists.h"

namespace neural_lsh::cpu {
namespace {

// All figures of bench/approximate-graph.mjs, which found them.
constexpr std::size_t leafRows = 1500;    // larger ones find more, but no more a second
constexpr std::size_t maxLeaders = 1000;  // of the first carving
constexpr std::size_t fanOut = 4;         // leaves of a point in a pass
constexpr std::size_t listRows = 20;      // kept of each point, even where k is smaller
constexpr std::size_t joinedRows = 20;  // of a point that are joined, and of those that have it in their list
constexpr std::size_t longestRows = 1024;
constexpr std::size_t orderedRows = 256;

constexpr double wantedRecall = 0.96;
constexpr std::size_t sampleRows = 512;
constexpr std::size_t maxPasses = 16;
// A join costs as much as two passes of leaves. Where most is found already it finds nearly all the rest.
constexpr double joinedRecall = 0.9;
constexpr std::size_t passesToJoin = 4;    // so many have one in any case
constexpr std::size_t expectedPasses = 4;  // what the progress is counted in

constexpr std::size_t rowsPerTask = 1024;

/// As NearestKey, with a mark beside the id: set once the pair has been joined with its neighbors.
using MarkedKey = std::uint64_t;
constexpr MarkedKey noKey = ~MarkedKey{0};

/// The lower half of such a key: an id and the mark.
using Member = std::uint32_t;
constexpr Member mark = 1;
constexpr Member noMember = ~Member{0};

std::size_t index(Id id) {
  return static_cast<std::size_t>(id);
}
MarkedKey markedKey(float distance, Id id) {
  return nearestKey(distance, 0) | static_cast<Member>(id) << 1;
}
Member member(MarkedKey key) {
  return static_cast<Member>(key);
}
Id idOf(Member member) {
  return static_cast<Id>(member >> 1);
}

/// Into a list of the smallest keys, ascending, filled up with noKey. A pair has the same key wherever it is
/// met, so that it is let in once.
void insert(std::span<MarkedKey> list, MarkedKey key) {
  if (key >= list.back()) return;
  std::size_t i = list.size() - 1;
  while (i > 0 && list[i - 1] > key) --i;
  const auto isSame = [&](MarkedKey other) { return other >> 1 == key >> 1; };
  if (isSame(list[i]) || (i > 0 && isSame(list[i - 1]))) return;
  std::copy_backward(list.begin() + static_cast<std::ptrdiff_t>(i), list.end() - 1, list.end());
  list[i] = key;
}

float thresholdOf(std::span<const MarkedKey> list) {
  return list.back() == noKey ? std::numeric_limits<float>::infinity() : keyDistance(list.back());
}

/// The nearest found so far of every point. What ends up in a list is the set of its smallest keys in
/// whatever order they come, so threads need not agree on one.
class Lists {
 public:
  Lists(std::size_t rows, std::size_t capacity)
      : capacity_(capacity),
        keys_(rows * capacity, noKey),
        thresholds_(rows),
        locks_(rows / rowsPerLock + 1) {
    for (auto& threshold : thresholds_) threshold = std::numeric_limits<float>::infinity();
  }

  std::size_t capacity() const { return capacity_; }
  std::span<MarkedKey> operator[](Id id) { return {keys_.data() + index(id) * capacity_, capacity_}; }
  std::span<const MarkedKey> operator[](Id id) const {
    return {keys_.data() + index(id) * capacity_, capacity_};
  }

  /// A distance above this cannot enter the list any more.
  float threshold(Id id) const { return thresholds_[index(id)].load(std::memory_order_relaxed); }

  /// keys: ascending; the first noKey is the end.
  void insertAll(Id id, std::span<const MarkedKey> keys) {
    std::lock_guard guard(locks_[index(id) / rowsPerLock]);
    const std::span<MarkedKey> list = (*this)[id];
    for (const MarkedKey key : keys) {
      if (key >= list.back()) break;
      insert(list, key);
    }
    thresholds_[index(id)].store(thresholdOf(list), std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t rowsPerLock = 64;
  std::size_t capacity_;
  std::vector<MarkedKey> keys_;
  std::vector<std::atomic<float>> thresholds_;
  std::vector<std::mutex> locks_;
};

/// For each point of a range those that have it among their members, with the mark of that pair.
class Reverse {
 public:
  Reverse(std::span<const Member> members, std::size_t membersOfEach, Range range)
      : offsets_(range.size() + 1, 0) {
    struct Edge {
      std::uint32_t target;
      Member source;
    };
    std::vector<Edge> edges;
    for (std::size_t e = 0; e < members.size(); ++e) {
      const std::size_t target = index(idOf(members[e])) - range.begin;
      if (target >= range.size()) continue;
      const auto source = static_cast<Member>(e / membersOfEach);
      edges.push_back({static_cast<std::uint32_t>(target), source << 1 | (members[e] & mark)});
    }
    for (const Edge& edge : edges) ++offsets_[edge.target + 1];
    std::partial_sum(offsets_.begin(), offsets_.end(), offsets_.begin());
    std::vector<std::uint32_t> next(offsets_.begin(), offsets_.end() - 1);
    sources_.resize(edges.size());
    for (const Edge& edge : edges) sources_[next[edge.target]++] = edge.source;
  }

  std::span<const Member> operator[](std::size_t i) const {
    return std::span(sources_).subspan(offsets_[i], offsets_[i + 1] - offsets_[i]);
  }

 private:
  std::vector<std::uint32_t> offsets_;
  std::vector<Member> sources_;
};

/// At most `count` of them, by chance (selection sampling: Knuth, TAOCP 2, algorithm 3.4.2 S).
void appendSample(std::span<const Member> from, std::size_t count, Random random, std::vector<Member>& out) {
  std::size_t wanted = std::min(count, from.size());
  for (std::size_t i = 0; wanted > 0; ++i) {
    const std::size_t left = from.size() - i;
    if (left > wanted && random.below(left) >= wanted) continue;
    out.push_back(from[i]);
    --wanted;
  }
}

/// Ids are row numbers in an order of our own, except in what the caller gets.
class Builder {
 public:
  Builder(const Matrix& points, Metric metric, std::size_t k, std::uint64_t seed, const Job& job)
      : points_(points), metric_(metric), k_(k), random_(seed), job_(job), original_(points.rows) {
    quiet_.onProgress = nullptr;
    sortInSpace();
  }

  void build(std::span<Id> ids, std::span<float> distances) {
    const Sample sample = exactSample();
    Lists lists(points_.rows, std::min(std::max(k_, listRows), points_.rows - 1));
    for (std::size_t pass = 1; pass <= maxPasses; ++pass) {
      collectLeaves(lists);
      if (pass == 1 && metric_ == Metric::innerProduct) collectLongest(lists);
      const double found = recall(lists, sample);
      if (found >= wantedRecall) break;
      if (found < joinedRecall && pass % passesToJoin != 0) continue;
      joinNeighbors(lists);
      if (recall(lists, sample) >= wantedRecall) break;
    }
    rank(lists, ids, distances);
    job_.progress(totalProgress(), totalProgress());
  }

 private:
  std::size_t totalProgress() const { return expectedPasses * points_.rows; }

  /// Called when `rows` more rows have been through a pass or a join.
  void advance(std::size_t rows) {
    const std::size_t done = progress_ += rows;
    job_.progress(std::min(done, totalProgress() - 1), totalProgress());
  }

  /// Neighbors come to lie together in memory: what is read for a point is in the cache for the next.
  void sortInSpace() {
    grouped_ = groupedPoints(points_, metric_, job_);
    forEachLeaf(*grouped_, {orderedRows / 16, orderedRows, 64, {}}, random_.next(), job_,
                [&](std::span<const Id> ids, std::size_t before) {
                  std::copy(ids.begin(), ids.end(), original_.begin() + static_cast<std::ptrdiff_t>(before));
                });
    grouped_->reorder(original_, job_);
  }

  /// Some points, and how far their k-th neighbors are: whoever is as near is one.
  struct Sample {
    std::vector<Id> ids;
    std::vector<float> distances;
  };

  Sample exactSample() {
    Sample sample;
    std::vector<float> queries;
    for (std::size_t i = 0; i < std::min(sampleRows, points_.rows); ++i) {
      sample.ids.push_back(static_cast<Id>(random_.below(points_.rows)));
      const float* const row = originalRow(sample.ids[i]);
      queries.insert(queries.end(), row, row + points_.columns);
    }
    const std::size_t count = sample.ids.size(), width = k_ + 1;
    std::vector<Id> ids(count * width);
    std::vector<float> distances(count * width);
    exactSearch(points_, {queries.data(), count, points_.columns}, metric_, width, ids, distances, quiet_);
    for (std::size_t i = 0; i < count; ++i) {
      // The point itself is usually among them; where it is not, the last is one too many.
      const auto nearest = std::span(ids).subspan(i * width, k_);
      const bool hasSelf =
          std::find(nearest.begin(), nearest.end(), original_[index(sample.ids[i])]) != nearest.end();
      sample.distances.push_back(distances[i * width + (hasSelf ? k_ : k_ - 1)]);
    }
    return sample;
  }

  double recall(const Lists& lists, const Sample& sample) const {
    std::size_t found = 0;
    for (std::size_t i = 0; i < sample.ids.size(); ++i) {
      const auto list = lists[sample.ids[i]].first(k_);
      found += static_cast<std::size_t>(std::count_if(list.begin(), list.end(), [&](MarkedKey key) {
        return static_cast<float>(distance(sample.ids[i], idOf(member(key)))) <= sample.distances[i];
      }));
    }
    return static_cast<double>(found) / static_cast<double>(k_ * sample.ids.size());
  }

  void collectLeaves(Lists& lists) {
    const std::size_t maxRows = std::max(leafRows, 4 * k_);
    const LeafShape shape{std::max<std::size_t>(leafRows / 12, 2 * k_), maxRows, maxLeaders, {fanOut}};
    forEachLeaf(*grouped_, shape, random_.next(), job_, [&](std::span<const Id> ids, std::size_t) {
      collectGroup(lists, ids, ids.size());
      advance(ids.size() / fanOut);
    });
  }

  /// At largest inner product the longest vectors are many points' neighbors, wherever these lie.
  void collectLongest(Lists& lists) const {
    std::vector<double> squaredNorms(points_.rows);
    forChunks(points_.rows, rowsPerTask, job_.threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        squaredNorms[i] = -distance(static_cast<Id>(i), static_cast<Id>(i));
    });
    std::vector<Id> ids(points_.rows);
    std::iota(ids.begin(), ids.end(), Id{0});
    const std::size_t count = std::min(longestRows, points_.rows);
    const auto others = ids.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(ids.begin(), others - 1, ids.end(), [&](Id a, Id b) {
      return std::pair(-squaredNorms[index(a)], a) < std::pair(-squaredNorms[index(b)], b);
    });
    std::sort(others, ids.end());
    forChunks(points_.rows - count, rowsPerTask, job_.threads, [&](std::size_t begin, std::size_t end) {
      std::vector<Id> group(ids.begin(), others);
      group.insert(group.end(), others + static_cast<std::ptrdiff_t>(begin),
                   others + static_cast<std::ptrdiff_t>(end));
      collectGroup(lists, group, count);
    });
  }

  /// Compares the first `rowCount` of a group with all of it.
  void collectGroup(Lists& lists, std::span<const Id> ids, std::size_t rowCount) const {
    job_.check();
    thread_local std::vector<MarkedKey> keys;
    thread_local std::vector<float> thresholds;
    const std::size_t capacity = lists.capacity();
    const auto listOf = [&](std::size_t i) { return std::span(keys).subspan(i * capacity, capacity); };
    keys.assign(ids.size() * capacity, noKey);
    thresholds.resize(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) thresholds[i] = lists.threshold(ids[i]);
    const auto add = [&](std::size_t i, std::size_t j, float distance) {
      if (distance > thresholds[i]) return;
      insert(listOf(i), markedKey(distance, ids[j]));
      thresholds[i] = std::min(thresholds[i], thresholdOf(listOf(i)));
    };
    grouped_->nearPairs(ids, rowCount, thresholds, [&](std::span<const NearPair> pairs) {
      for (const NearPair& pair : pairs) {
        add(pair.row, pair.column, pair.distance);
        add(pair.column, pair.row, pair.distance);
      }
    });
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (listOf(i).front() != noKey) lists.insertAll(ids[i], listOf(i));
    }
  }

  /// NN-descent's local join: of every point the nearest found, and those that found it, are compared with
  /// each other. All work from the lists as they are now, whatever enters them meanwhile.
  void joinNeighbors(Lists& lists) {
    const std::size_t n = points_.rows, count = std::min(lists.capacity(), joinedRows);
    const std::vector<Member> members = takeMembers(lists, count);
    const std::uint64_t seed = random_.next();
    const std::size_t grain = std::max(rowsPerTask, (n + 31) / 32);  // each reads the members once
    forChunks(n, grain, job_.threads, [&](std::size_t begin, std::size_t end) {
      job_.check();
      const Reverse reverse(members, count, {begin, end});
      const auto gather = [&](std::size_t i, std::vector<Member>& group) {
        const auto own = members.begin() + static_cast<std::ptrdiff_t>(i * count);
        group.assign(own, std::find(own, own + static_cast<std::ptrdiff_t>(count), noMember));
        appendSample(reverse[i - begin], joinedRows, Random(seed + i), group);
        for (const Member m : group) grouped_->prefetch(idOf(m));
      };
      std::vector<Member> group, next;
      gather(begin, next);
      for (std::size_t i = begin; i < end; ++i) {
        group.swap(next);
        if (i + 1 < end) gather(i + 1, next);
        join(lists, group);
        if ((i + 1 - begin) % rowsPerTask == 0) {
          job_.check();
          advance(rowsPerTask);
        }
      }
    });
  }

  /// The first `count` of every list, which are marked as joined from now on.
  std::vector<Member> takeMembers(Lists& lists, std::size_t count) const {
    std::vector<Member> members(points_.rows * count);
    forChunks(points_.rows, rowsPerTask, job_.threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::span<MarkedKey> list = lists[static_cast<Id>(i)].first(count);
        std::transform(list.begin(), list.end(), members.begin() + static_cast<std::ptrdiff_t>(i * count),
                       member);
        for (MarkedKey& key : list) key |= mark;
      }
    });
    return members;
  }

  /// Compares the pairs of a group of which at least one is not marked.
  void join(Lists& lists, std::vector<Member>& group) const {
    thread_local std::vector<Id> ids, joined;
    thread_local std::vector<float> thresholds;
    std::sort(group.begin(), group.end());
    ids.clear();
    joined.clear();
    for (std::size_t i = 0; i < group.size(); ++i) {
      const bool again = i + 1 < group.size() && idOf(group[i + 1]) == idOf(group[i]);  // marked, if one is
      if (!again) (group[i] & mark ? joined : ids).push_back(idOf(group[i]));
    }
    const std::size_t fresh = ids.size();
    if (fresh == 0) return;
    ids.insert(ids.end(), joined.begin(), joined.end());
    thresholds.resize(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) thresholds[i] = lists.threshold(ids[i]);
    const auto add = [&](std::size_t i, std::size_t j, float distance) {
      if (distance > thresholds[i]) return;
      const MarkedKey key = markedKey(distance, ids[j]);
      lists.insertAll(ids[i], {&key, 1});
    };
    grouped_->nearPairs(ids, fresh, thresholds, [&](std::span<const NearPair> pairs) {
      for (const NearPair& pair : pairs) {
        add(pair.row, pair.column, pair.distance);
        add(pair.column, pair.row, pair.distance);
      }
    });
  }

  /// The k nearest of every list by their exact distances.
  void rank(const Lists& lists, std::span<Id> ids, std::span<float> distances) const {
    struct Neighbor {
      double distance;
      Id id;
      auto operator<=>(const Neighbor&) const = default;
    };
    forChunks(points_.rows, rowsPerTask, job_.threads, [&](std::size_t begin, std::size_t end) {
      job_.check();
      std::vector<Neighbor> neighbors(k_);
      for (std::size_t i = begin; i < end; ++i) {
        if (i + 1 < end) {
          for (const MarkedKey key : lists[static_cast<Id>(i + 1)].first(k_)) prefetch(idOf(member(key)));
        }
        const auto list = lists[static_cast<Id>(i)].first(k_);
        std::transform(list.begin(), list.end(), neighbors.begin(), [&](MarkedKey key) {
          const Id other = idOf(member(key));
          return Neighbor{distance(static_cast<Id>(i), other), original_[index(other)]};
        });
        std::sort(neighbors.begin(), neighbors.end());
        const std::size_t first = index(original_[i]) * k_;
        for (std::size_t j = 0; j < k_; ++j) {
          ids[first + j] = neighbors[j].id;
          distances[first + j] = static_cast<float>(neighbors[j].distance);
        }
      }
    });
  }

  const float* originalRow(Id id) const { return points_.row(index(original_[index(id)])); }
  double distance(Id a, Id b) const {
    return exactDistance(metric_, originalRow(a), originalRow(b), points_.columns);
  }
  void prefetch(Id id) const {
    constexpr std::size_t line = 16;
    for (std::size_t c = 0; c < points_.columns; c += line) __builtin_prefetch(originalRow(id) + c);
  }

  const Matrix& points_;
  Metric metric_;
  std::size_t k_;
  Random random_;
  const Job& job_;
  Job quiet_ = job_;          // for what counts its own progress
  std::vector<Id> original_;  // of our row i the caller's
  std::unique_ptr<GroupedPoints> grouped_;
  std::atomic<std::size_t> progress_{0};
};

}  // namespace

void approximateKnnGraph(const Matrix& points, Metric metric, std::size_t k, std::uint64_t seed,
                         std::span<Id> ids, std::span<float> distances, const Job& job) {
  // Most pairs of so few would be compared anyway.
  if (points.rows <= 4 * std::max(leafRows, 10 * k))
    return exactKnnGraph(points, metric, k, ids, distances, job);
  Builder(points, metric, k, seed, job).build(ids, distances);
}

}  // namespace neural_lsh::cpu
