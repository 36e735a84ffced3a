#include "leaves.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>

#include "../core/aligned-buffer.h"
#include "../core/random.h"
#include "../core/thread-pool.h"
#include "chunks.h"
#include "distance-tiles.h"
#include "kernels/byte-products.h"
#include "kernels/float-products.h"
#include "kernels/kernels.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

constexpr std::size_t assignedRows = 128;  // rows that are assigned to leaders at once

/// The places of the `nearest.size()` smallest of terms[i] + scale * products[i], ascending, ties by place.
void smallest(std::span<const float> products, const float* terms, float scale,
              std::span<std::uint32_t> nearest) {
  constexpr std::size_t step = 64;
  static constexpr std::array<float, step> never = [] {
    std::array<float, step> values{};
    values.fill(-infinity);
    return values;
  }();
  std::array<TileCandidate, step> found;
  thread_local std::vector<float> best;
  best.assign(nearest.size(), infinity);
  for (std::size_t first = 0; first < products.size(); first += step) {
    const std::size_t count =
        kernels().selectBelow(products.data() + first, std::min(step, products.size() - first), 0,
                              terms + first, scale, best.back(), never.data(), found.data());
    for (std::size_t f = 0; f < count; ++f) {
      std::size_t i = nearest.size() - 1;
      if (found[f].distance >= best[i]) continue;
      for (; i > 0 && best[i - 1] > found[f].distance; --i) {
        best[i] = best[i - 1];
        nearest[i] = nearest[i - 1];
      }
      best[i] = found[f].distance;
      nearest[i] = static_cast<std::uint32_t>(first) + found[f].column;
    }
  }
}

void pack(const float* vectors, std::size_t count, std::size_t columns, std::uint32_t* out) {
  packFloats(floatPanels(), vectors, columns, count, columns, nullptr, out);
}
void pack(const std::uint8_t* vectors, std::size_t count, std::size_t columns, std::uint32_t* out) {
  packBytes(vectors, columns, count, columns, out);
}

/// What an element is multiplied as, and its kernels.
template <typename Element>
struct Products;

template <>
struct Products<float> {
  using Value = float;
  using Storage = AlignedBuffer<float>;
  static constexpr float farTerm = infinity;
  static const PanelKernels<float>& panels() { return floatPanels(); }
  static float limit(float threshold) { return threshold; }
};

template <>
struct Products<std::uint8_t> {
  using Value = std::int32_t;
  using Storage = std::vector<std::uint8_t>;
  static constexpr std::int32_t farTerm = std::numeric_limits<std::int32_t>::max() / 2;
  static const PanelKernels<std::int32_t>& panels() { return bytePanels(); }
  /// An integer distance above it is above the threshold as a float, too; the next float is beyond rounding.
  static std::int32_t limit(float threshold) {
    if (threshold >= 0x1.0p30F) return std::numeric_limits<std::int32_t>::max();
    return static_cast<std::int32_t>(std::bit_cast<float>(std::bit_cast<std::uint32_t>(threshold) + 1));
  }
};

template <typename Element>
class PanelPoints : public GroupedPoints {
  using Value = typename Products<Element>::Value;

 public:
  PanelPoints(typename Products<Element>::Storage elements, std::size_t rows, std::size_t columns,
              Metric metric, const Job& job)
      : elements_(std::move(elements)),
        rows_(rows),
        columns_(columns),
        metric_(metric),
        terms_(rows, static_cast<Value>(0)) {
    forChunks(rows, chunkRows(columns), job.threads, [&](std::size_t begin, std::size_t end) {
      job.check();
      for (std::size_t i = begin; i < end; ++i) terms_[i] = term(elements_.data() + i * columns);
    });
  }

  std::size_t rows() const override { return rows_; }

  void reorder(std::span<const Id> order, const Job& job) override {
    std::vector<bool> placed(rows_, false);
    std::vector<Element> saved(columns_);
    std::size_t moved = 0;
    for (std::size_t first = 0; first < rows_; ++first) {
      if (placed[first]) continue;
      // Along a cycle of the permutation: every row takes the place of the one before.
      std::copy_n(row(static_cast<Id>(first)), columns_, saved.data());
      const Value savedTerm = terms_[first];
      std::size_t to = first;
      for (std::size_t from = index(order[to]); from != first; to = from, from = index(order[to])) {
        std::copy_n(row(order[to]), columns_, elements_.data() + to * columns_);
        terms_[to] = terms_[from];
        placed[to] = true;
        if (++moved % 4096 == 0) job.check();
      }
      std::copy_n(saved.data(), columns_, elements_.data() + to * columns_);
      terms_[to] = savedTerm;
      placed[to] = true;
    }
  }

  void nearestLeaders(std::span<const Id> ids, std::span<const Id> leaders, std::size_t count,
                      std::span<std::uint32_t> nearest, const Job& job) const override {
    const PanelKernels<Value>& panels = Products<Element>::panels();
    const std::size_t width = panels.panelWidth, steps = panels.steps(columns_);
    const std::size_t padded = roundUp(leaders.size(), width);
    std::vector<std::uint32_t> packedLeaders(panels.packedWords(leaders.size(), columns_));
    std::vector<float> terms(padded, infinity);
    packLeaders(leaders, packedLeaders.data());
    for (std::size_t l = 0; l < leaders.size(); ++l) terms[l] = static_cast<float>(terms_[index(leaders[l])]);
    forChunks(ids.size(), assignedRows, job.threads, [&](std::size_t begin, std::size_t end) {
      job.check();
      thread_local AlignedBuffer<std::uint32_t> wordBuffer;
      thread_local AlignedBuffer<Value> productBuffer;
      thread_local std::vector<float> scores;
      std::uint32_t* const packed = wordBuffer.require(panels.packedWords(end - begin, columns_));
      Value* const products = productBuffer.require(panels.tileRows * padded);
      packIds(ids.subspan(begin, end - begin), packed);
      for (std::size_t first = begin; first < end; first += panels.tileRows) {
        for (std::size_t l = 0; l < leaders.size(); l += width) {
          panels.multiply(steps, panels.rowsFrom(packed, first - begin, columns_),
                          panels.rowsFrom(packedLeaders.data(), l, columns_), products + l, padded);
        }
        for (std::size_t i = first; i < std::min(first + panels.tileRows, end); ++i) {
          const Value* const row = products + (i - first) * padded;
          scores.assign(row, row + leaders.size());
          smallest(scores, terms.data(), tileScale(metric_), nearest.subspan(i * count, count));
        }
      }
    });
  }

  void nearPairs(std::span<const Id> ids, std::size_t rowCount, std::span<float> thresholds,
                 const std::function<void(std::span<const NearPair>)>& visit) const override {
    const PanelKernels<Value>& panels = Products<Element>::panels();
    const std::size_t width = panels.panelWidth, steps = panels.steps(columns_);
    const std::size_t padded = roundUp(ids.size(), width);
    thread_local AlignedBuffer<std::uint32_t> wordBuffer;
    thread_local std::vector<Value> terms, limits;
    thread_local std::vector<TilePair<Value>> found;
    thread_local std::vector<NearPair> pairs;
    std::uint32_t* const packed = wordBuffer.require(panels.packedWords(ids.size(), columns_));
    packIds(ids, packed);
    terms.assign(padded, Products<Element>::farTerm);
    limits.assign(padded, std::numeric_limits<Value>::lowest());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      terms[i] = terms_[index(ids[i])];
      limits[i] = Products<Element>::limit(thresholds[i]);
    }
    found.resize(panels.tileRows * width);
    pairs.resize(found.size());
    const auto side = [&](std::size_t i) { return TileSide<Value>{terms.data() + i, limits.data() + i}; };
    // One panel of columns stays in the inner cache while the rows pass by.
    for (std::size_t j = 0; j < ids.size(); j += width) {
      for (std::size_t i = 0; i < std::min(rowCount, j + width); i += panels.tileRows) {
        const std::size_t count =
            panels.select(steps, panels.rowsFrom(packed, i, columns_), panels.rowsFrom(packed, j, columns_),
                          static_cast<Value>(tileScale(metric_)), side(i), side(j), found.data());
        std::size_t kept = 0;
        for (std::size_t f = 0; f < count; ++f) {
          const std::size_t row = i + found[f].row, column = j + found[f].column;
          if (row >= column || row >= rowCount || column >= ids.size()) continue;
          pairs[kept++] = {static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(column),
                           static_cast<float>(found[f].distance)};
        }
        if (kept == 0) continue;
        visit({pairs.data(), kept});
        for (std::size_t p = 0; p < kept; ++p) {
          for (const std::size_t member : {pairs[p].row, pairs[p].column})
            limits[member] = Products<Element>::limit(thresholds[member]);
        }
      }
    }
  }

  void prefetch(Id id) const override {
    constexpr std::size_t line = 64 / sizeof(Element);
    for (std::size_t c = 0; c < columns_; c += line) __builtin_prefetch(row(id) + c);
  }

 private:
  static std::size_t index(Id id) { return static_cast<std::size_t>(id); }
  const Element* row(Id id) const { return elements_.data() + index(id) * columns_; }

  Value term(const Element* vector) const {
    if (metric_ != Metric::euclidean) return static_cast<Value>(metric_ == Metric::cosine ? 0.5 : 0);
    using Sum = std::conditional_t<std::is_same_v<Element, float>, double, Value>;
    Sum sum = 0;
    for (std::size_t c = 0; c < columns_; ++c)
      sum += static_cast<Sum>(vector[c]) * static_cast<Sum>(vector[c]);
    return static_cast<Value>(sum);
  }

  void gather(std::span<const Id> ids, Element* out) const {
    for (std::size_t i = 0; i < ids.size(); ++i) std::copy_n(row(ids[i]), columns_, out + i * columns_);
  }

  void packIds(std::span<const Id> ids, std::uint32_t* out) const {
    thread_local AlignedBuffer<Element> buffer;
    const std::size_t width = Products<Element>::panels().panelWidth;
    Element* const gathered = buffer.require(width * columns_);
    for (std::size_t first = 0; first < ids.size(); first += width) {
      const std::span<const Id> some = ids.subspan(first, std::min(width, ids.size() - first));
      gather(some, gathered);
      pack(gathered, some.size(), columns_,
           out + first / width * Products<Element>::panels().panelWords(columns_));
    }
  }

  void packLeaders(std::span<const Id> leaders, std::uint32_t* out) const {
    std::vector<Element> gathered(leaders.size() * columns_);
    gather(leaders, gathered.data());
    if constexpr (std::is_same_v<Element, float>) {
      for (std::size_t l = 0; l < leaders.size() && metric_ == Metric::innerProduct; ++l)
        toUnit(std::span(gathered).subspan(l * columns_, columns_));
    }
    pack(gathered.data(), leaders.size(), columns_, out);
  }

  static void toUnit(std::span<float> vector) {
    const double squared = std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0);
    const auto factor = static_cast<float>(squared > 0 ? 1 / std::sqrt(squared) : 0);
    for (float& value : vector) value *= factor;
  }

  typename Products<Element>::Storage elements_;
  std::size_t rows_, columns_;
  Metric metric_;
  std::vector<Value> terms_;
};

using Group = std::vector<Id>;

class Carving {
 public:
  Carving(const GroupedPoints& points, const LeafShape& shape, const Job& job,
          const std::function<void(std::span<const Id>, std::size_t)>& visit)
      : points_(points), shape_(shape), job_(job), visit_(visit) {}

  /// before: the members of all leaves that come before these.
  void carve(std::span<const Id> ids, std::size_t before, std::size_t level, std::uint64_t seed) const {
    job_.check();
    if (ids.size() <= shape_.maxRows) {
      visit_(ids, before);
      return;
    }
    Random random(seed);
    std::vector<Group> groups = joined(split(ids, level, random));
    const bool together = std::any_of(groups.begin(), groups.end(), [&](const Group& group) {
      return group.size() > ids.size() / 16 * 15;
    });
    if (together && ids.size() <= 2 * shape_.maxRows) {
      visit_(ids, before);
      return;
    }
    if (together) groups = halves(ids, random);
    std::vector<std::size_t> offsets;
    for (const Group& group : groups) {
      offsets.push_back(before);
      before += group.size();
    }
    const std::uint64_t next = random.next();
    parallelFor(groups.size(), job_.threads, [&](std::size_t i) {
      const Group group = std::move(groups[i]);
      carve(group, offsets[i], level + 1, next + i);
    });
  }

 private:
  std::vector<Group> split(std::span<const Id> ids, std::size_t level, Random& random) const {
    const std::size_t fanOut = level < shape_.fanOut.size() ? shape_.fanOut[level] : 1;
    const std::size_t leaders = std::clamp(2 * fanOut * ids.size() / shape_.maxRows, 2 * fanOut,
                                           std::max(shape_.maxLeaders, 2 * fanOut));
    std::vector<std::uint32_t> nearest(ids.size() * fanOut);
    points_.nearestLeaders(ids, picked(ids, leaders, random), fanOut, nearest, job_);
    std::vector<Group> groups(leaders);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      for (std::size_t f = 0; f < fanOut; ++f) groups[nearest[i * fanOut + f]].push_back(ids[i]);
    }
    return groups;
  }

  /// Different ones, at most half of them all.
  static Group picked(std::span<const Id> ids, std::size_t count, Random& random) {
    Group all(ids.begin(), ids.end());
    for (std::size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random.below(all.size() - i)]);
    all.resize(count);
    return all;
  }

  static std::vector<Group> halves(std::span<const Id> ids, Random& random) {
    Group all(ids.begin(), ids.end());
    random.shuffle(std::span(all));
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    return {Group(all.begin(), middle), Group(middle, all.end())};
  }

  /// Small groups put together until they are large enough.
  std::vector<Group> joined(std::vector<Group> groups) const {
    std::vector<Group> large;
    Group small;
    for (Group& group : groups) {
      if (group.size() >= shape_.minRows) {
        large.push_back(std::move(group));
        continue;
      }
      add(small, group);
      if (small.size() >= shape_.minRows) large.push_back(std::exchange(small, {}));
    }
    if (small.empty()) return large;
    if (large.empty()) return {small};
    add(large.back(), small);
    return large;
  }

  static void add(Group& group, const Group& more) {
    group.insert(group.end(), more.begin(), more.end());
    std::sort(group.begin(), group.end());
    group.erase(std::unique(group.begin(), group.end()), group.end());
  }

  const GroupedPoints& points_;
  const LeafShape& shape_;
  const Job& job_;
  const std::function<void(std::span<const Id>, std::size_t)>& visit_;
};

}  // namespace

std::unique_ptr<GroupedPoints> groupedPoints(const Matrix& points, Metric metric, const Job& job) {
  if (metric == Metric::euclidean) {
    std::optional<std::vector<std::uint8_t>> bytes =
        points.columns <= maxByteDepth ? asBytes(points, job) : std::nullopt;
    if (bytes)
      return std::make_unique<PanelPoints<std::uint8_t>>(std::move(*bytes), points.rows, points.columns,
                                                         metric, job);
  }
  const std::vector<float> shift = tileShift(points, metric);
  AlignedBuffer<float> shifted(points.rows * points.columns);
  forChunks(points.rows, chunkRows(points.columns), job.threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      float* const out = shifted.data() + i * points.columns;
      std::copy_n(points.row(i), points.columns, out);
      for (std::size_t c = 0; c < shift.size(); ++c) out[c] -= shift[c];
    }
  });
  return std::make_unique<PanelPoints<float>>(std::move(shifted), points.rows, points.columns, metric, job);
}

void forEachLeaf(const GroupedPoints& points, const LeafShape& shape, std::uint64_t seed, const Job& job,
                 const std::function<void(std::span<const Id>, std::size_t)>& visit) {
  Group all(points.rows());
  std::iota(all.begin(), all.end(), Id{0});
  Carving(points, shape, job, visit).carve(all, 0, 0, seed);
}

}  // namespace neural_lsh::cpu
