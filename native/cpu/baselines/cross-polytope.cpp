#include "cross-polytope.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "../../core/random.h"
#include "../../core/thread-pool.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t rounds = 3;

/// In place and not scaled; as many numbers as a power of two.
void hadamard(std::span<double> numbers) {
  for (std::size_t half = 1; half < numbers.size(); half *= 2) {
    for (std::size_t first = 0; first < numbers.size(); first += 2 * half) {
      for (std::size_t i = first; i < first + half; ++i) {
        const double a = numbers[i], b = numbers[i + half];
        numbers[i] = a + b;
        numbers[i + half] = a - b;
      }
    }
  }
}

std::vector<double> randomSigns(std::size_t count, Random& random) {
  std::vector<double> signs(count);
  for (double& sign : signs) sign = random.next() >> 63 == 0 ? 1 : -1;
  return signs;
}

/// Rows of the rotation H D3 H D2 H D1 of vectors of `size` numbers: row i is D1 H D2 H D3 H e_i.
void writeRotation(std::size_t size, std::size_t columns, Random random, std::span<float> weights,
                   const Job& job) {
  std::vector<std::vector<double>> signs;
  for (std::size_t round = 0; round < rounds; ++round) signs.push_back(randomSigns(size, random));
  const double scale = std::pow(static_cast<double>(size), -0.5 * rounds);
  parallelFor(weights.size() / columns, job.threads, [&](std::size_t row) {
    job.check();
    std::vector<double> numbers(size);
    numbers[row] = scale;
    for (std::size_t round = rounds; round-- > 0;) {
      hadamard(numbers);
      for (std::size_t i = 0; i < size; ++i) numbers[i] *= signs[round][i];
    }
    std::copy_n(numbers.begin(), columns, weights.begin() + static_cast<std::ptrdiff_t>(row * columns));
  });
}

std::size_t nearestVertex(std::span<const float> numbers) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    if (std::abs(numbers[i]) > std::abs(numbers[best])) best = i;
  }
  return 2 * best + (numbers[best] < 0 ? 1 : 0);
}

Id binOf(std::span<const float> numbers, std::span<const std::size_t> dimensions) {
  std::size_t bin = 0;
  for (const std::size_t count : dimensions) {
    bin = bin * 2 * count + nearestVertex(numbers.first(count));
    numbers = numbers.subspan(count);
  }
  return static_cast<Id>(bin);
}

}  // namespace

void crossPolytopes(const Matrix& rows, std::span<const std::size_t> dimensions, std::uint64_t seed,
                    const ProjectionPartition& result, const Job& job) {
  const std::size_t size = std::bit_ceil(rows.columns);
  std::span<float> weights = result.weights;
  Random random(seed);
  for (const std::size_t count : dimensions) {
    writeRotation(size, rows.columns, Random(random.next()), weights.first(count * rows.columns), job);
    weights = weights.subspan(count * rows.columns);
  }
  std::fill(result.biases.begin(), result.biases.end(), 0.0F);
  forEachProjected(
      rows, result.weights, result.biases, job,
      [&](std::size_t i, std::span<const float> numbers) { result.labels[i] = binOf(numbers, dimensions); });
}

}  // namespace neural_lsh::cpu
