// What the CUDA engine computes with indexes, keys, lists and bounds, compared with plain loops, without a
// device.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "../../../native/cuda/bin-choice.h"
#include "../../../native/cuda/exact-distance.h"
#include "../../../native/cuda/rounding.h"
#include "../../../native/cuda/tile-selection.h"
#include "../../../native/cuda/tiles.h"
#include "../../../native/cuda/visits.h"
#include "expect.h"
#include "threads-as-lanes.h"

namespace neural_lsh::cuda {
namespace {

std::mt19937 randomBits(1);

std::uint32_t below(std::uint32_t bound) {
  return randomBits() % bound;
}
float uniform(float from, float to) {
  return std::uniform_real_distribution<float>(from, to)(randomBits);
}

void keysAreInOrder() {
  const std::vector<float> distances{-__builtin_huge_valf(), -1e30F, -1, -1e-40F, 0, 1e-40F, 1, 1.5F, 3e38F};
  for (std::size_t i = 0; i < distances.size(); ++i) {
    EXPECT(keyDistance<float>(keyOf(distances[i], 7)) == distances[i]);
    EXPECT(keyId(keyOf(distances[i], 7)) == 7);
    EXPECT(keyOf(distances[i], 3) < keyOf(distances[i], 4));
    EXPECT(keyOf(distances[i], 0x7FFFFFFF) < noKey);
    if (i > 0) EXPECT(keyOf(distances[i - 1], 9) < keyOf(distances[i], 2));
  }
  EXPECT(keyOf(-0.0F, 1) == keyOf(0.0F, 1));
  EXPECT(keyOf(5, 9) < keyOf(2'130'739'200, 2));
  EXPECT(keyDistance<std::int32_t>(keyOf(2'130'739'200, 2)) == 2'130'739'200);
  EXPECT(limitOf<float>(noKey) == __builtin_huge_valf() && limitOf<std::int32_t>(noKey) == 0x7FFFFFFF);
}

template <typename Lanes>
void selects(const Lanes& lanes, const std::vector<Key>& values, std::uint32_t kept,
             std::vector<Key>& memory) {
  Selection<Lanes, Key> selection(lanes, memory.data(), kept, selectionSize(kept), noKey);
  selectFrom(selection, lanes, static_cast<std::uint32_t>(values.size()), noKey,
             [&](std::uint32_t i) { return values[i]; });
}

void selectionsAreTheSmallest() {
  for (const std::uint32_t kept : {1U, 2U, 14U, 32U, 33U, 100U, 700U}) {
    for (const std::uint32_t count : {0U, 1U, 13U, 64U, 65U, 1000U, 3000U}) {
      for (const std::uint32_t variety : {3U, 1'000'000U}) {
        std::vector<Key> values(count), memory(selectionSize(kept));
        for (Key& value : values) value = below(variety);
        selects(OneLane(), values, kept, memory);
        std::vector<Key> expected = values;
        expected.resize(std::max<std::size_t>(count, kept), noKey);
        std::sort(expected.begin(), expected.end());
        EXPECT(std::equal(memory.begin(), memory.begin() + kept, expected.begin()));
        if (count > 65 || kept > 33) continue;
        std::vector<Key> together(memory.size());
        onLanes([&](const ThreadLanes& lanes) { selects(lanes, values, kept, together); });
        EXPECT(std::equal(together.begin(), together.begin() + kept, expected.begin()));
      }
    }
  }
  for (std::uint32_t kept = 1; kept < 5000; ++kept) {
    const std::uint32_t size = selectionSize(kept);
    EXPECT(std::has_single_bit(size) && size - kept >= 32 && size < 4 * kept + 128);
  }
}

void tilesHoldEachPairOnce() {
  for (const std::size_t rows : {1U, 15U, 16U, 255U, 256U, 257U, 1500U}) {
    for (const std::size_t columns : {1U, 17U, 256U, 2000U}) {
      for (const bool isGraph : {false, true}) {
        const bool isSame = isGraph && rows == columns;
        const TileShape shape = tileShape(0, 0, rows, columns);
        EXPECT(shape.rows % operandAlignment == 0 && shape.columns % operandAlignment == 0);
        std::vector<int> seen(rows * columns);
        for (const Tile& tile : listTiles(rows, columns, shape, isGraph, isSame)) {
          EXPECT(tile.rows.size() > 0 && tile.rows.size() <= shape.rows &&
                 tile.rows.begin % operandAlignment == 0);
          EXPECT(tile.columns.size() > 0 && tile.columns.size() <= shape.columns &&
                 tile.columns.end <= columns);
          for (std::size_t r = tile.rows.begin; r < tile.rows.end; ++r) {
            for (std::size_t c = tile.columns.begin; c < tile.columns.end; ++c) {
              ++seen[r * columns + c];
              if (isSame && tile.isMutual) ++seen[c * columns + r];
            }
          }
        }
        EXPECT(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
      }
    }
  }
  const TileShape square = tileShape(std::size_t{50} << 20, std::size_t{1} << 33, 1'000'000, 1'000'000);
  EXPECT(square.rows == 2048 && square.columns == 2048);
  const TileShape wide = tileShape(std::size_t{50} << 20, std::size_t{1} << 33, 100, 1'000'000);
  EXPECT(wide.rows == 112 && wide.columns == 32'768);
}

/// What the kernels do with a tile, one pair after the other.
template <typename Value>
class Lists {
 public:
  Lists(std::vector<Value> terms, std::size_t targets, ListSizes sizes)
      : sizes_(sizes),
        terms_(std::move(terms)),
        limits_(terms_.size(), anyDistance<Value>()),
        keys_(terms_.size() * sizes.kept, noKey),
        counts_(targets),
        waiting_(targets * sizes.room()) {}

  TileLists<Value> from(std::size_t first) {
    return {terms_.data() + first, limits_.data() + first, keys_.data() + first * sizes_.kept, counts_.data(),
            waiting_.data()};
  }
  const Key* keys(std::size_t row) const { return keys_.data() + row * sizes_.kept; }

 private:
  ListSizes sizes_;
  std::vector<Value> terms_, limits_;
  std::vector<Key> keys_;
  std::vector<std::uint32_t> counts_;
  std::vector<Key> waiting_;
};

template <typename Value>
void selectTile(const TileProducts<Value>& tile, const TileLists<Value>& rows,
                const TileLists<Value>& columns, bool isMutual, ListSizes sizes,
                std::vector<Key>& workspace) {
  for (std::uint32_t r = 0; r < tile.rows; ++r) {
    for (std::uint32_t c = 0; c < tile.columns; ++c) {
      const Value product = tile.products[static_cast<std::size_t>(r) * tile.stride + c];
      const Value distance = tileDistance(rows.terms[r] + columns.terms[c], tile.scale, product);
      offerPair(tile, rows, columns, r, c, distance, distance <= rows.limits[r],
                isMutual && distance <= columns.limits[c], sizes,
                [](std::uint32_t* counter) { return (*counter)++; });
    }
  }
  const OneLane lane;
  for (std::uint32_t r = 0; r < tile.rows; ++r)
    mergeWaiting(lane, tile, rows, columns.terms, false, r, sizes, workspace.data());
  if (!isMutual) return;
  for (std::uint32_t c = 0; c < tile.columns; ++c)
    mergeWaiting(lane, tile, columns, rows.terms, true, c, sizes, workspace.data());
}

/// Points of small integers, so that distances are exact in any order, and many are equal.
template <typename Value>
void listsHoldTheNearest(std::size_t queries, std::size_t points, bool isGraph, std::uint32_t kept,
                         int variety, bool isSorted) {
  constexpr std::size_t columns = 3;
  if (isGraph) queries = points;
  const auto draw = [&](std::size_t rows) {
    std::vector<int> values(rows * columns);
    for (int& value : values)
      value = static_cast<int>(below(static_cast<std::uint32_t>(variety))) - variety / 2;
    // The worst order for limits: each tile holds nearer points than the ones before.
    if (isSorted) std::sort(values.rbegin(), values.rend());
    return values;
  };
  const std::vector<int> b = draw(points), a = isGraph ? b : draw(queries);
  const auto dot = [](const int* x, const int* y) { return std::inner_product(x, x + columns, y, 0); };
  const auto terms = [&](const std::vector<int>& set) {
    std::vector<Value> norms(set.size() / columns);
    for (std::size_t i = 0; i < norms.size(); ++i)
      norms[i] = static_cast<Value>(dot(&set[i * columns], &set[i * columns]));
    return norms;
  };

  const ListSizes sizes{kept, selectionSize(kept)};
  const TileShape shape = tileShape(0, 0, queries, points);
  Lists<Value> rowLists(terms(a), shape.rows, sizes), columnLists(terms(b), shape.columns, sizes);
  std::vector<Key> workspace(sizes.size);
  for (const Tile& tile : listTiles(queries, points, shape, isGraph, isGraph)) {
    const std::size_t stride = roundUpToOperands(tile.columns.size());
    std::vector<Value> products(tile.rows.size() * stride,
                                Value{-1000});  // what fills up is near to everything
    for (std::size_t r = 0; r < tile.rows.size(); ++r) {
      for (std::size_t c = 0; c < tile.columns.size(); ++c) {
        products[r * stride + c] = static_cast<Value>(
            dot(&a[(tile.rows.begin + r) * columns], &b[(tile.columns.begin + c) * columns]));
      }
    }
    const TileProducts<Value> view{products.data(),
                                   static_cast<std::uint32_t>(tile.rows.size()),
                                   static_cast<std::uint32_t>(tile.columns.size()),
                                   static_cast<std::uint32_t>(stride),
                                   static_cast<Id>(tile.rows.begin),
                                   static_cast<Id>(tile.columns.begin),
                                   Value{-2},
                                   isGraph};
    TileLists<Value> mutual = columnLists.from(tile.columns.begin);
    if (tile.isMutual) {  // both directions of a graph fill the same lists
      const TileLists<Value> own = rowLists.from(tile.columns.begin);
      mutual.limits = own.limits;
      mutual.keys = own.keys;
    }
    selectTile(view, rowLists.from(tile.rows.begin), mutual, tile.isMutual, sizes, workspace);
  }

  for (std::size_t row = 0; row < queries; ++row) {
    std::vector<Key> expected;
    for (std::size_t i = 0; i < points; ++i) {
      if (isGraph && i == row) continue;
      Value squared = 0;
      for (std::size_t c = 0; c < columns; ++c) {
        const auto difference = static_cast<Value>(a[row * columns + c] - b[i * columns + c]);
        squared += difference * difference;
      }
      expected.push_back(keyOf(squared, static_cast<Id>(i)));
    }
    expected.resize(std::max<std::size_t>(expected.size(), kept), noKey);
    std::partial_sort(expected.begin(), expected.begin() + kept, expected.end());
    EXPECT(std::equal(expected.begin(), expected.begin() + kept, rowLists.keys(row)));
  }
}

template <typename Value>
void listsHoldTheNearest() {
  for (const bool isSorted : {false, true}) {
    for (const int variety : {2, 200}) {
      listsHoldTheNearest<Value>(1, 1, false, 1, variety, isSorted);
      listsHoldTheNearest<Value>(1, 2, true, 1, variety, isSorted);
      listsHoldTheNearest<Value>(3, 700, false, 699, variety, isSorted);
      listsHoldTheNearest<Value>(300, 900, false, 14, variety, isSorted);
      listsHoldTheNearest<Value>(0, 40, true, 39, variety, isSorted);
      listsHoldTheNearest<Value>(0, 801, true, 14, variety, isSorted);
      listsHoldTheNearest<Value>(0, 600, true, 100, variety, isSorted);
    }
  }
}

void mergesOnManyLanes() {
  constexpr std::uint32_t columns = 300;
  const ListSizes sizes{5, selectionSize(5)};
  std::vector<float> terms(columns, 0), products(columns), expected(columns);
  for (std::uint32_t i = 0; i < columns; ++i) products[i] = uniform(-1, 1);
  for (std::uint32_t i = 0; i < columns; ++i) expected[i] = -products[i];
  std::sort(expected.begin(), expected.end());
  Lists<float> rows({0}, 1, sizes);
  const TileProducts<float> tile{products.data(), 1, columns, 304, 0, 0, -1, false};
  rows.from(0).waitingCounts[0] = columns;  // more than there is room for
  std::vector<Key> workspace(sizes.size);
  onLanes([&](const ThreadLanes& lanes) {
    mergeWaiting(lanes, tile, rows.from(0), terms.data(), false, 0, sizes, workspace.data());
  });
  for (std::uint32_t i = 0; i < sizes.kept; ++i) EXPECT(keyDistance<float>(rows.keys(0)[i]) == expected[i]);
  EXPECT(rows.from(0).waitingCounts[0] == 0 && rows.from(0).limits[0] == expected[4]);
}

float toBfloat16(float value) {
  const auto bits = bitsAs<std::uint32_t>(value);
  return bitsAs<float>((bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U);
}

float toHalf(float value) {
  const double step = std::exp2(std::max(std::floor(std::log2(std::abs(value))), -14.0F) - 10);
  return value == 0 ? 0 : static_cast<float>(std::nearbyint(value / step) * step);
}

/// The errors of rounded products stay below the bound, and the bound is not far above what can happen.
void errorsAreBounded() {
  EXPECT(toTensorFloat32(1 + 0x1.0p-11F) == 1 + 0x1.0p-10F && toTensorFloat32(1 + 0x1.8p-12F) == 1);
  for (const NlshPrecision precision : {NLSH_FP32, NLSH_TF32, NLSH_BF16, NLSH_FP16}) {
    for (const std::size_t columns : {1U, 7U, 128U, 1000U}) {
      for (int repetition = 0; repetition < 200; ++repetition) {
        const float size = std::exp2(uniform(-20, 20));
        const double unit = precision == NLSH_FP16 ? std::exp2(std::floor(std::log2(32768 / size))) : 1;
        const auto rounded = [&](float value) {
          if (precision == NLSH_TF32) return toTensorFloat32(value);
          if (precision == NLSH_BF16) return toBfloat16(value);
          if (precision == NLSH_FP16)
            return static_cast<float>(toHalf(static_cast<float>(value * unit)) / unit);
          return value;
        };
        double exact = 0, normA = 0, normB = 0;
        float sum = 0;
        const bool isSame = repetition % 2 == 0;  // nothing cancels out
        for (std::size_t c = 0; c < columns; ++c) {
          const float a = uniform(-size, size), b = isSame ? a : uniform(-size, size);
          exact += static_cast<double>(a - b) * (a - b);
          normA += static_cast<double>(a) * a;
          normB += static_cast<double>(b) * b;
          sum += rounded(a) * rounded(b);
        }
        const float found = std::fma(-2.0F, sum, static_cast<float>(normA) + static_cast<float>(normB));
        const double error = tileError(productRounding(precision, unit), columns, -2,
                                       {std::sqrt(normA), normA}, {std::sqrt(normB), normB});
        EXPECT(std::abs(found - exact) <= error);
        const double coarse = precision == NLSH_FP32 ? 1e-5 : precision == NLSH_BF16 ? 0.017 : 0.003;
        EXPECT(error < coarse * (1 + static_cast<double>(columns) / 50) * (normA + normB));
      }
    }
  }
}

void distancesAreExact() {
  std::vector<float> a(37), b(37);
  double squared = 0, dot = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>(below(256));
    b[i] = static_cast<float>(below(256));
    squared += static_cast<double>(a[i] - b[i]) * (a[i] - b[i]);
    dot += static_cast<double>(a[i]) * b[i];
  }
  onLanes([&](const ThreadLanes& lanes) {
    EXPECT(exactDistance(lanes, NLSH_EUCLIDEAN, a.data(), b.data(), a.size()) == squared);
    EXPECT(exactDistance(lanes, NLSH_COSINE, a.data(), b.data(), a.size()) == 1 - dot);
    EXPECT(exactDistance(lanes, NLSH_INNER_PRODUCT, a.data(), b.data(), a.size()) == -dot);
  });
}

/// The rules of probing in plain words: all bins in the order of their probabilities, and how many of them
/// are read.
std::vector<Id> binsByTheRules(const std::vector<float>& logits, const std::vector<Id>& offsets,
                               const Probing& probing) {
  std::vector<Id> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](Id bin) { return logits[static_cast<std::size_t>(bin)]; };
  std::stable_sort(order.begin(), order.end(), [&](Id a, Id b) { return logit(a) > logit(b); });
  double sum = 0;
  for (const float value : logits) sum += std::exp(static_cast<double>(value - logit(order[0])));
  double mass = 0;
  std::size_t rows = 0, count = 0;
  for (; count < order.size(); ++count) {
    const auto bin = static_cast<std::size_t>(order[count]);
    const double probability = std::exp(static_cast<double>(logits[bin] - logit(order[0]))) / sum;
    const bool isWanted = probing.probes > 0 ? count < probing.probes
                          : probing.mass > 0
                              ? mass < probing.mass
                              : probability >= probing.probability && rows < probing.candidates;
    if (!isWanted && rows >= probing.least) break;
    mass += probability;
    rows += static_cast<std::size_t>(offsets[bin + 1] - offsets[bin]);
  }
  order.resize(count);
  return order;
}

template <typename Lanes>
Visited choose(const Lanes& lanes, const std::vector<float>& scores, float inverseTemperature,
               const std::vector<Id>& offsets, const Probing& probing, std::vector<Key>& workspace,
               std::vector<ChosenBin>& chosen) {
  return chooseBins(lanes, scores.data(), static_cast<std::uint32_t>(scores.size()), inverseTemperature,
                    offsets.data(), probing, 10, workspace.data(), chosen.data());
}

void binsAreChosenByTheRules() {
  std::vector<Key> workspace(selectionSize(rankedBins));
  for (const std::size_t bins : {1U, 5U, 128U, 129U, 1000U}) {
    for (int repetition = 0; repetition < 60; ++repetition) {
      const bool isCoarse = repetition % 3 == 0;  // many scores are equal
      const float inverseTemperature = repetition % 2 == 0 ? 1 : 0.5F;
      std::vector<float> scores(bins), logits(bins);
      for (std::size_t i = 0; i < bins; ++i) {
        scores[i] = isCoarse ? static_cast<float>(below(5)) : uniform(-10, 10);
        logits[i] = scores[i] * inverseTemperature;
      }
      std::vector<Id> offsets(bins + 1);
      for (std::size_t i = 0; i < bins; ++i) offsets[i + 1] = offsets[i] + static_cast<Id>(below(30));
      const std::size_t rows = static_cast<std::size_t>(offsets[bins]);
      const std::size_t least = std::min<std::size_t>(rows, repetition % 5 == 0 ? 500 : 10);
      // A mass that a sum of rounded probabilities meets would be a matter of the rounding.
      const Probing probings[] = {{1 + below(static_cast<std::uint32_t>(bins)), 0, 0, 0, least},
                                  {0, 0.123456 + 0.1 * below(8), 0, 0, least},
                                  {0, 1, 0, 0, least},
                                  {0, 0, 0.000123456 * (1 + below(100)), below(400), least}};
      for (const Probing& probing : probings) {
        const std::vector<Id> expected = binsByTheRules(logits, offsets, probing);
        std::vector<ChosenBin> chosen(bins);
        const auto isExpected = [&](Visited visited) {
          if (probing.mass == 1)
            return visited.rows >= least;  // all bins or nearly all, as the rounding will have it
          std::uint32_t rowsRead = 0, keys = 0;
          for (std::size_t i = 0; i < std::min<std::size_t>(visited.bins, expected.size()); ++i) {
            const auto bin = static_cast<std::size_t>(expected[i]);
            if (chosen[i].bin != expected[i] || chosen[i].firstKey != keys) return false;
            rowsRead += static_cast<std::uint32_t>(offsets[bin + 1] - offsets[bin]);
            keys += static_cast<std::uint32_t>(std::min(offsets[bin + 1] - offsets[bin], 10));
          }
          return visited.bins == expected.size() && visited.rows == rowsRead && visited.keys == keys;
        };
        EXPECT(
            isExpected(choose(OneLane(), scores, inverseTemperature, offsets, probing, workspace, chosen)));
        if (bins > 200 || repetition > 2) continue;
        std::vector<Visited> together(ThreadLanes::count);
        onLanes([&](const ThreadLanes& lanes) {
          together[lanes.index()] =
              choose(lanes, scores, inverseTemperature, offsets, probing, workspace, chosen);
        });
        for (const Visited& visited : together) EXPECT(isExpected(visited));
      }
    }
  }

  // Scores that are not finite count as the least or largest that are.
  const float infinity = __builtin_huge_valf();
  std::vector<ChosenBin> chosen(4);
  const Visited all = choose(OneLane(), {NAN, 1, infinity, -infinity}, 1, {0, 1, 2, 3, 4}, {4, 0, 0, 0, 1},
                             workspace, chosen);
  EXPECT(all.bins == 4 && chosen[0].bin == 2 && chosen[1].bin == 1 && chosen[2].bin == 0 &&
         chosen[3].bin == 3);
}

void groupsFindTheirBins() {
  for (int repetition = 0; repetition < 100; ++repetition) {
    const std::uint32_t bins = 1 + below(50);
    std::vector<std::uint32_t> starts{0}, binOf;
    for (std::uint32_t bin = 0; bin < bins; ++bin) {
      const std::uint32_t groups = groupsOf(below(3) * below(100));
      binOf.insert(binOf.end(), groups, bin);
      starts.push_back(starts.back() + groups);
    }
    for (std::uint32_t group = 0; group < binOf.size(); ++group)
      EXPECT(binOfGroup(starts.data(), bins, group) == binOf[group]);
  }
  EXPECT(groupsOf(0) == 0 && groupsOf(1) == 1 && groupsOf(32) == 1 && groupsOf(33) == 2);
}

}  // namespace
}  // namespace neural_lsh::cuda

int main() {
  using namespace neural_lsh::cuda;
  keysAreInOrder();
  selectionsAreTheSmallest();
  tilesHoldEachPairOnce();
  listsHoldTheNearest<float>();
  listsHoldTheNearest<std::int32_t>();
  mergesOnManyLanes();
  errorsAreBounded();
  distancesAreExact();
  binsAreChosenByTheRules();
  groupsFindTheirBins();
  std::puts("the CUDA engine's arithmetic is right");
}
