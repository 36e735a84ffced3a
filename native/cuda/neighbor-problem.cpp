#include "neighbor-problem.h"

#include <algorithm>
#include <cmath>

#include "bytes.h"
#include "keys.h"

namespace neural_lsh::cuda {
namespace {

/// As integers, in whose order the bits of numbers that are not negative are, as compilers vectorize these.
float largestMagnitude(NlshMatrix matrix) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < matrix.rows * matrix.columns; ++i)
    largest = std::max(largest, bitsAs<std::uint32_t>(matrix.data[i]) & 0x7FFFFFFFU);
  return bitsAs<float>(largest);
}

/// What is subtracted before the products of Euclidean distances, so that these are small where the data lie
/// far from the origin: about the mean. Anything is right, so a sample of the rows will do.
std::vector<float> shiftOf(NlshMatrix points, NlshMetric metric) {
  if (metric != NLSH_EUCLIDEAN) return {};
  constexpr std::size_t sampled = 4096;
  const std::size_t step = divideUp(points.rows, sampled);
  std::vector<double> sums(points.columns);
  std::size_t count = 0;
  for (std::size_t row = 0; row < points.rows; row += step, ++count) {
    for (std::size_t c = 0; c < points.columns; ++c) sums[c] += points.data[row * points.columns + c];
  }
  std::vector<float> shift(points.columns);
  std::transform(sums.begin(), sums.end(), shift.begin(),
                 [count](double sum) { return static_cast<float>(sum / static_cast<double>(count)); });
  return shift;
}

/// A few more than k, so that the rounding of the tiles seldom hides a neighbor: the coarser, the more.
std::uint32_t listLength(std::size_t k, std::size_t available, Operand operand) {
  const auto margin = [operand]() -> std::size_t {
    switch (operand) {
      case Operand::int8:
        return 0;
      case Operand::bfloat16:
        return 32;
      case Operand::float16:
      case Operand::tensorFloat32:
        return 12;
      default:
        return 4;
    }
  }();
  const std::size_t wanted = margin == 0 ? k : k + std::max(margin, k / 8);
  return static_cast<std::uint32_t>(std::min(available, wanted));
}

Operand operandOf(NlshPrecision precision) {
  switch (precision) {
    case NLSH_TF32:
      return Operand::tensorFloat32;
    case NLSH_BF16:
      return Operand::bfloat16;
    case NLSH_FP16:
      return Operand::float16;
    default:
      return Operand::float32;
  }
}

/// A power of two that brings all numbers into the range of half precision.
float halfUnit(const Problem& problem) {
  constexpr float largestHalf = 32'768;
  float most = largestMagnitude(problem.points);
  if (!problem.isGraph) most = std::max(most, largestMagnitude(problem.queries));
  float shift = 0;
  for (const float value : problem.shift) shift = std::max(shift, std::abs(value));
  if (most + shift == 0) return 1;
  return std::exp2(std::clamp(std::floor(std::log2(largestHalf / (most + shift))), -60.0F, 60.0F));
}

}  // namespace

Problem passOf(const Problem& problem, std::size_t first, std::size_t count) {
  Problem pass = problem;
  pass.queries.rows = count;
  pass.queries.data += first * problem.queries.columns;
  pass.ids += first * problem.k;
  pass.distances += first * problem.k;
  return pass;
}

Problem problemOf(const NlshNeighborsRequest& request) {
  Problem problem{};
  problem.points = request.points;
  problem.isGraph = request.queries.data == nullptr;
  problem.queries = problem.isGraph ? request.points : request.queries;
  problem.metric = static_cast<NlshMetric>(request.metric);
  problem.precision = static_cast<NlshPrecision>(request.precision);
  problem.k = request.k;
  problem.ids = request.ids;
  problem.distances = request.distances;
  problem.unit = 1;
  const bool isBytes = problem.metric == NLSH_EUCLIDEAN && problem.points.columns <= maxByteColumns &&
                       areBytes(problem.points) && (problem.isGraph || areBytes(problem.queries));
  problem.operand = isBytes ? Operand::int8 : operandOf(problem.precision);
  problem.kept = listLength(problem.k, problem.available(), problem.operand);
  if (isBytes) return problem;
  problem.shift = shiftOf(problem.points, problem.metric);
  if (problem.operand == Operand::float16) problem.unit = halfUnit(problem);
  return problem;
}

}  // namespace neural_lsh::cuda
