#include "principal-directions.h"

#include <algorithm>
#include <utility>

#include "../../core/aligned-buffer.h"
#include "../chunks.h"
#include "../sgemm.h"
#include "small-matrices.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t additionalDirections = 8;
constexpr std::size_t mostIterations = 100;
constexpr double leastGrowth = 1e-6;  // relative; below it are the floats' roundings

std::size_t rowsAtOnce(std::size_t columns) {
  return std::clamp<std::size_t>((std::size_t{1} << 18) / columns, 64, 2048);
}

/// Sums `count` numbers over the chunks of rows, in the chunks' order: addUp(begin, end, sums) makes those of
/// a chunk.
template <typename Number, typename AddUp>
std::vector<double> sumOverChunks(const Matrix& rows, std::size_t count, const Job& job, const AddUp& addUp) {
  const std::size_t grain = rowsAtOnce(rows.columns), chunks = (rows.rows + grain - 1) / grain;
  std::vector<Number> partial(chunks * count);
  forChunks(rows.rows, grain, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    addUp(begin, end, partial.data() + begin / grain * count);
  });
  std::vector<double> sums(count);
  for (std::size_t i = 0; i < partial.size(); ++i) sums[i % count] += partial[i];
  return sums;
}

std::vector<double> meanOf(const Matrix& rows, const Job& job) {
  std::vector<double> mean =
      sumOverChunks<double>(rows, rows.columns, job, [&](std::size_t begin, std::size_t end, double* sums) {
        for (std::size_t i = begin; i < end; ++i) {
          for (std::size_t c = 0; c < rows.columns; ++c) sums[c] += rows.row(i)[c];
        }
      });
  for (double& value : mean) value /= static_cast<double>(rows.rows);
  return mean;
}

/// The directions times the covariance of the rows (times their number), without making that: (V X^T) X.
DoubleMatrix timesCovariance(const Matrix& rows, const std::vector<double>& mean,
                             const DoubleMatrix& directions, const Job& job) {
  const std::size_t count = directions.rows, columns = rows.columns;
  const std::vector<float> factors(directions.numbers.begin(), directions.numbers.end());
  const auto addUp = [&](std::size_t begin, std::size_t end, float* sums) {
    thread_local AlignedBuffer<float> centeredBuffer, projectedBuffer;
    const std::size_t some = end - begin;
    float* const centered = centeredBuffer.require(some * columns);
    float* const projected = projectedBuffer.require(some * count);
    for (std::size_t i = 0; i < some; ++i) {
      const float* const row = rows.row(begin + i);
      for (std::size_t c = 0; c < columns; ++c)
        centered[i * columns + c] = static_cast<float>(row[c] - mean[c]);
    }
    gemm(some, count, columns, {centered, columns}, {factors.data(), columns, Transpose::yes}, projected,
         count, false, 1);
    gemm(count, columns, some, {projected, count, Transpose::yes}, {centered, columns}, sums, columns, false,
         1);
  };
  DoubleMatrix result(count, columns);
  result.numbers = sumOverChunks<float>(rows, count * columns, job, addUp);
  return result;
}

}  // namespace

PrincipalDirections principalDirections(const Matrix& rows, std::size_t count, Random& random,
                                        const Job& job) {
  PrincipalDirections result{meanOf(rows, job), {}};
  DoubleMatrix directions =
      randomNormals(std::min(count + additionalDirections, rows.columns), rows.columns, random);
  orthonormalize(directions, random);
  double explained = 0, before = -1;
  for (std::size_t i = 0; i < mostIterations && explained - before > leastGrowth * explained; ++i) {
    const DoubleMatrix image = timesCovariance(rows, result.mean, directions, job);
    DoubleMatrix inside = productWithTransposed(directions, image);
    const DoubleMatrix turned = orthogonalizeByRotations(inside);  // Rayleigh & Ritz
    before = std::exchange(explained, 0.0);
    for (std::size_t d = 0; d < count; ++d) explained += norm(inside.row(d), inside.columns);
    directions = product(turned, image);
    orthonormalize(directions, random);
  }
  const auto end = directions.numbers.begin() + static_cast<std::ptrdiff_t>(count * rows.columns);
  result.directions.assign(directions.numbers.begin(), end);
  return result;
}

}  // namespace neural_lsh::cpu
