#include "itq.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "../../core/random.h"
#include "../chunks.h"
#include "../sgemm.h"
#include "principal-directions.h"
#include "small-matrices.h"

namespace neural_lsh::cpu {
namespace {

/// The biases by which projections are centered.
std::vector<float> biasesOf(std::span<const float> weights, const std::vector<double>& mean) {
  std::vector<float> biases(weights.size() / mean.size());
  for (std::size_t i = 0; i < biases.size(); ++i) {
    const double middle = std::inner_product(mean.begin(), mean.end(), &weights[i * mean.size()], 0.0);
    biases[i] = static_cast<float>(-middle);
  }
  return biases;
}

std::vector<float> projected(const Matrix& rows, const PrincipalDirections& principal, const Job& job) {
  const std::vector<float> biases = biasesOf(principal.directions, principal.mean);
  std::vector<float> result(rows.rows * biases.size());
  forEachProjected(rows, principal.directions, biases, job,
                   [&](std::size_t i, std::span<const float> numbers) {
                     std::copy(numbers.begin(), numbers.end(),
                               result.begin() + static_cast<std::ptrdiff_t>(i * biases.size()));
                   });
  return result;
}

double squaredNorm(std::span<const float> numbers) {
  double sum = 0;
  for (const float x : numbers) sum += static_cast<double>(x) * x;
  return sum;
}

/// signs(V R)^T V of the rows V.
DoubleMatrix signsTimesRows(const Matrix& rows, const DoubleMatrix& rotation, const Job& job) {
  constexpr std::size_t grain = 4096;
  const std::size_t bits = rows.columns;
  const std::vector<float> factors(rotation.numbers.begin(), rotation.numbers.end());
  std::vector<float> partial((rows.rows + grain - 1) / grain * bits * bits);
  forChunks(rows.rows, grain, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    thread_local AlignedBuffer<float> buffer;
    const std::size_t count = end - begin;
    float* const signs = buffer.require(count * bits);
    gemm(count, bits, bits, {rows.row(begin), bits}, {factors.data(), bits}, signs, bits, false, 1);
    for (std::size_t i = 0; i < count * bits; ++i) signs[i] = signs[i] > 0 ? 1.0F : -1.0F;
    gemm(bits, bits, count, {signs, bits, Transpose::yes}, {rows.row(begin), bits},
         partial.data() + begin / grain * bits * bits, bits, false, 1);
  });
  DoubleMatrix result(bits, bits);
  for (std::size_t i = 0; i < partial.size(); ++i) result.numbers[i % (bits * bits)] += partial[i];
  return result;
}

/// The rotation R for which the trace of `matrix` R is largest, and that trace (Schoenemann 1966): with
/// matrix = Q^T S U, it is U^T Q.
struct BestRotation {
  BestRotation(DoubleMatrix matrix, Random& random) : rotation(matrix.rows, matrix.rows) {
    const DoubleMatrix turned = orthogonalizeByRotations(matrix);
    const std::size_t n = matrix.rows;
    for (std::size_t i = 0; i < n; ++i) trace += norm(matrix.row(i), n);
    orthonormalize(matrix, random);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t k = 0; k < n; ++k) rotation.row(i)[j] += matrix.row(k)[i] * turned.row(k)[j];
      }
    }
  }

  DoubleMatrix rotation;
  double trace = 0;
};

/// R^T W
void rotate(std::span<const float> weights, const DoubleMatrix& rotation, std::span<float> result) {
  const std::size_t bits = rotation.rows, columns = weights.size() / bits;
  std::vector<double> sums(columns);
  for (std::size_t i = 0; i < bits; ++i) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t k = 0; k < bits; ++k) {
      for (std::size_t c = 0; c < columns; ++c) sums[c] += rotation.row(k)[i] * weights[k * columns + c];
    }
    std::copy(sums.begin(), sums.end(), result.begin() + static_cast<std::ptrdiff_t>(i * columns));
  }
}

Id signCode(std::span<const float> numbers) {
  Id code = 0;
  for (std::size_t bit = 0; bit < numbers.size(); ++bit) code |= static_cast<Id>(numbers[bit] > 0) << bit;
  return code;
}

}  // namespace

void iterativeQuantization(const Matrix& rows, const ItqOptions& options, const ProjectionPartition& result,
                           std::span<double> losses, const Job& job) {
  const std::size_t bits = options.bits;
  const Job quiet{job.cancelFlag, {}, job.threads};  // the iterations are what is counted
  Random random(options.seed);
  const PrincipalDirections principal = principalDirections(rows, bits, random, quiet);
  const std::vector<float> numbers = projected(rows, principal, quiet);
  const double squared = squaredNorm(numbers), count = static_cast<double>(rows.rows);
  DoubleMatrix rotation = randomNormals(bits, bits, random);
  orthonormalize(rotation, random);
  for (std::size_t i = 0; i < options.iterations; ++i) {
    const BestRotation best(signsTimesRows({numbers.data(), rows.rows, bits}, rotation, job), random);
    rotation = best.rotation;
    // |B - V R|^2 = |B|^2 + |V|^2 - 2 trace(B^T V R)
    losses[i] = (count * static_cast<double>(bits) + squared - 2 * best.trace) / count;
    job.progress(i + 1, options.iterations);
  }
  rotate(principal.directions, rotation, result.weights);
  const std::vector<float> biases = biasesOf(result.weights, principal.mean);
  std::copy(biases.begin(), biases.end(), result.biases.begin());
  forEachProjected(rows, result.weights, biases, quiet,
                   [&](std::size_t i, std::span<const float> some) { result.labels[i] = signCode(some); });
}

}  // namespace neural_lsh::cpu
