#include "bin-choice.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "../kernels/router-kernels.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t lanes = 16;
constexpr std::size_t mostRanked = 128;  // of a slice; more are sorted
constexpr float infinity = std::numeric_limits<float>::infinity();

std::size_t roundUpToLanes(std::size_t count) {
  return (count + lanes - 1) / lanes * lanes;
}

}  // namespace

/// Adds bins to the choice until the budget is used up.
class BinChoice::Taker {
 public:
  Taker(const BinBudget& budget, double total, std::vector<RankedBin>& chosen)
      : budget_(budget), total_(total), chosen_(chosen) {
    chosen.clear();
  }

  bool enough() const {
    const Probing& probing = budget_.probing;
    if (candidates_ < budget_.candidates) return false;
    if (probing.probes > 0) return chosen_.size() >= probing.probes;
    if (probing.mass > 0) return mass_ >= probing.mass;
    return candidates_ >= probing.candidates;
  }

  /// Returns whether that was enough; what is left of the row is not taken.
  bool take(std::span<const Ranked> row) {
    for (const auto& [value, weight, bin] : row) {
      if (bin < 0) continue;
      if (enough()) return true;
      const auto probability = static_cast<float>(weight / total_);
      if (probability < budget_.probing.probability && candidates_ >= budget_.candidates) return true;
      chosen_.push_back({bin, probability});
      mass_ += probability;
      if (budget_.offsets.empty()) continue;
      const Id* const offset = budget_.offsets.data() + bin;
      candidates_ += static_cast<std::size_t>(offset[1] - offset[0]);
    }
    return enough();
  }

  /// The same in their order, which is found piece by piece, each twice as large as the one before.
  bool takeInOrder(std::span<Ranked> ranked) {
    for (std::size_t piece = 64; !ranked.empty(); piece *= 2) {
      const std::span<Ranked> next = ranked.first(std::min(piece, ranked.size()));
      if (next.size() < ranked.size()) std::nth_element(ranked.begin(), next.end(), ranked.end());
      std::sort(next.begin(), next.end());
      if (take(next)) return true;
      ranked = ranked.subspan(next.size());
    }
    return enough();
  }

 private:
  const BinBudget& budget_;
  double total_;
  std::vector<RankedBin>& chosen_;
  double mass_ = 0;
  std::size_t candidates_ = 0;
};

void BinChoice::weigh(std::span<float> logits) {
  const RouterKernels& kernels = routerKernels();
  const std::size_t count = logits.size();
  largest_ = kernels.largest(logits.data(), count);
  if (!std::isfinite(largest_)) {
    for (float& logit : logits) logit = std::isnan(logit) ? -FLT_MAX : std::clamp(logit, -FLT_MAX, FLT_MAX);
    largest_ = kernels.largest(logits.data(), count);
  }
  lowest_ = -12 - std::log(static_cast<float>(count));  // what is lower adds less than 1e-5 to the sum
  float* const values = values_.require(count + lanes);
  float* const weights = weights_.require(count + lanes);
  std::int32_t* const positions = positions_.require(count + lanes);
  high_ = kernels.select(logits.data(), count, largest_, lowest_, 0, values, positions);
  std::fill(values + high_, values + roundUpToLanes(high_), -infinity);
  sum_ = kernels.exponentials(values, roundUpToLanes(high_), weights);
}

std::size_t BinChoice::selectSlice(float bottom, float top) {
  float* const values = sliceValues_.require(high_ + 2 * lanes);
  std::int32_t* const positions = slicePositions_.require(high_ + 2 * lanes);
  return routerKernels().select(values_.data(), roundUpToLanes(high_), 0, bottom, top, values, positions);
}

bool BinChoice::takeSlice(std::size_t count, std::span<const Id> bins, Taker& taker) {
  const auto ranked = [&](std::size_t i) {
    const auto at = static_cast<std::size_t>(slicePositions_[i]);
    return Ranked{sliceValues_[i], weights_[at], bins[static_cast<std::size_t>(positions_[at])]};
  };
  slice_.resize(count);
  if (count > mostRanked) {
    for (std::size_t i = 0; i < count; ++i) slice_[i] = ranked(i);
    return taker.takeInOrder(slice_);
  }
  std::int32_t* const ranks = ranks_.require(mostRanked);
  routerKernels().rank(sliceValues_.data(), count, ranks);
  for (std::size_t i = 0; i < count; ++i) slice_[static_cast<std::size_t>(ranks[i])] = ranked(i);
  for (std::size_t i = 1; i < count; ++i) {  // equals are still in the order of their positions
    for (std::size_t j = i; j > 0 && slice_[j] < slice_[j - 1]; --j) std::swap(slice_[j], slice_[j - 1]);
  }
  return taker.take(slice_);
}

bool BinChoice::choose(std::span<float> logits, std::span<const Id> bins, double others,
                       const BinBudget& budget, std::vector<RankedBin>& chosen) {
  weigh(logits);
  Taker taker(budget, sum_ * (1 + others), chosen);

  // From the top, slice by slice, each small enough to be ranked fast; most choices end in the first few.
  constexpr float wanted = 48;
  float width = 1;
  for (float top = 0; top > lowest_;) {
    std::size_t count = selectSlice(top - width, top);
    for (; count > mostRanked && width > 0x1p-10F; count = selectSlice(top - width, top)) width /= 4;
    if (takeSlice(count, bins, taker)) return true;
    top -= width;
    width *= std::clamp(wanted / static_cast<float>(count + 1), 0.25F, 2.0F);
  }

  slice_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float value = std::isnan(logits[i]) ? -infinity : logits[i] - largest_;
    if (value > lowest_) continue;
    slice_.push_back({value, static_cast<float>(std::exp(static_cast<double>(value))), bins[i]});
  }
  return taker.takeInOrder(slice_);
}

}  // namespace neural_lsh::cpu
