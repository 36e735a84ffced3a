#include "neighbor-plan.h"

#include <algorithm>
#include <type_traits>

#include "point-blocks.h"

namespace neural_lsh::cuda {
namespace {

/// Bytes of the device that a query's list takes, with its results.
template <typename Value>
std::size_t listBytes(const Problem& problem) {
  const std::size_t ranked = std::is_integral_v<Value> ? 0 : problem.kept * sizeof(double) + sizeof(OpenRow);
  return problem.kept * sizeof(Key) + sizeof(Value) + ranked +
         problem.k * (sizeof(std::int32_t) + sizeof(float));
}

Failure tooSmallDevice() {
  return Failure(
      NLSH_OUT_OF_MEMORY,
      "the device's free memory is too small even for the lists of neighbors and small tiles of products");
}

}  // namespace

template <typename Value>
Plan makePlan(const Problem& problem, const DeviceLimits& limits, std::size_t budget) {
  const std::size_t rowBytes = blockRowBytes<Value>(problem.points.columns);
  const std::size_t forTiles = budget / 8, forLists = budget / 2, forOpen = budget / 16;
  Plan plan{};
  plan.queriesPerPass = std::min(problem.queries.rows, forLists / listBytes<Value>(problem));
  if (plan.queriesPerPass < (problem.isGraph ? problem.queries.rows : 1)) throw tooSmallDevice();
  plan.tile = tileShape(limits.l2Bytes, forTiles, plan.queriesPerPass, problem.points.rows);
  plan.openRows = std::clamp<std::size_t>(forOpen / (rowBytes + problem.k * sizeof(RankedPoint)),
                                          operandAlignment, std::size_t{1} << 16);
  const std::size_t used = forTiles + forOpen + plan.queriesPerPass * listBytes<Value>(problem);
  const std::size_t left = used < budget ? (budget - used) / rowBytes : 0;
  const bool fits = problem.points.rows + (problem.isGraph ? 0 : plan.queriesPerPass) <= left;
  // Whole tiles, where there is room for one.
  const std::size_t perBlock = left / (problem.isGraph ? 3 : 4);
  const std::size_t step = perBlock > plan.tile.columns ? plan.tile.columns : operandAlignment;
  plan.pointsPerBlock = fits ? problem.points.rows : perBlock / step * step;
  plan.queriesPerBlock = problem.isGraph || !fits ? plan.pointsPerBlock : plan.queriesPerPass;
  if (plan.pointsPerBlock == 0) throw tooSmallDevice();
  return plan;
}
template Plan makePlan<float>(const Problem&, const DeviceLimits&, std::size_t);
template Plan makePlan<std::int32_t>(const Problem&, const DeviceLimits&, std::size_t);

}  // namespace neural_lsh::cuda
