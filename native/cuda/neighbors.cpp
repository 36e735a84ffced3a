#include "neighbors.h"

#include <algorithm>
#include <limits>

#include "neighbor-search.h"

namespace neural_lsh::cuda {
namespace {

/// Pass after pass, with as much of the device's memory as it turns out to have.
template <typename Value>
void solve(const Problem& problem, int device, const Watch& watch) {
  constexpr std::size_t leastBudget = std::size_t{4} << 20;
  const DeviceLimits limits = deviceLimits(device);
  const std::size_t left = limits.freeBytes - std::min(limits.freeBytes, workspaceBytes(device));
  for (std::size_t budget = left / 10 * 9;; budget /= 2) {
    try {
      const Plan plan = makePlan<Value>(problem, limits, budget);
      TileCount tiles(watch);
      for (std::size_t first = 0; first < problem.queries.rows; first += plan.queriesPerPass) {
        const std::size_t count = std::min(plan.queriesPerPass, problem.queries.rows - first);
        const Problem pass = passOf(problem, first, count);
        NeighborSearch<Value>(pass, plan, limits, device, tiles).run();
      }
      return;
    } catch (const Failure& failure) {
      // Others may have taken memory in the meantime: with less, blocks and tiles are smaller.
      if (failure.status() != NLSH_OUT_OF_MEMORY || budget / 2 < leastBudget) throw;
    }
  }
}

void checkRequest(const NlshNeighborsRequest& request) {
  const bool isGraph = request.queries.data == nullptr;
  const auto require = [](bool isRight, const char* argument, const char* message) {
    if (!isRight) throw badArgument(argument, message);
  };
  require(request.metric >= NLSH_EUCLIDEAN && request.metric <= NLSH_INNER_PRODUCT, "metric", "is not known");
  require(request.precision >= NLSH_FP32 && request.precision <= NLSH_FP16, "precision", "is not known");
  require(request.points.data != nullptr && request.points.rows > 0 && request.points.columns > 0, "points",
          "must have rows and columns");
  require(request.points.rows <= std::numeric_limits<Id>::max(), "points", "has more rows than 32-bit ids");
  require(isGraph || request.queries.columns == request.points.columns, "queries",
          "must have as many columns as the points");
  require(request.k >= 1 && request.k <= request.points.rows - (isGraph ? 1 : 0), "k",
          "must be at least 1 and at most the number of points that there are to be found");
  require(request.ids != nullptr && request.distances != nullptr, "ids", "must not be null, nor distances");
}

}  // namespace

void findNeighbors(const NlshNeighborsRequest& request, const Watch& watch) {
  checkRequest(request);
  checkDevice(request.device);
  if (request.queries.data != nullptr && request.queries.rows == 0) return;
  const DeviceGuard guard(request.device);
  const Problem problem = problemOf(request);
  if (problem.operand == Operand::int8) {
    solve<std::int32_t>(problem, request.device, watch);
  } else {
    solve<float>(problem, request.device, watch);
  }
}

}  // namespace neural_lsh::cuda
