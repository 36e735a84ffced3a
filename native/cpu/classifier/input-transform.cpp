#include "input-transform.h"

#include <cmath>
#include <cstddef>
#include <numeric>

#include "../chunks.h"
#include "../kernels/kernels.h"

namespace neural_lsh::cpu {
namespace {

void toUnitLength(const float* row, std::size_t columns, float* out) {
  double squared = 0;
  for (std::size_t c = 0; c < columns; ++c) squared += static_cast<double>(row[c]) * row[c];
  const double scale = squared > 0 ? 1 / std::sqrt(squared) : 0;
  for (std::size_t c = 0; c < columns; ++c) out[c] = static_cast<float>(row[c] * scale);
}

struct Moments {
  std::vector<double> means, variances;  // of each feature
};

/// Of the rows, or of their directions. Sums are of differences from the first row: exact for constant data,
/// and small where the data lie far from the origin.
Moments momentsOf(const Matrix& vectors, std::span<const Id> rows, bool unitLength, const Job& job) {
  constexpr std::size_t chunk = 4096;
  const std::size_t columns = vectors.columns;
  const auto prepared = [&](std::size_t i, std::vector<float>& memory) {
    const float* const row = vectors.row(static_cast<std::size_t>(rows[i]));
    if (!unitLength) return row;
    memory.resize(columns);
    toUnitLength(row, columns, memory.data());
    return static_cast<const float*>(memory.data());
  };
  std::vector<float> first;
  const float* const origin = prepared(0, first);
  std::vector<double> sums((rows.size() + chunk - 1) / chunk * columns), squares(sums.size());
  forChunks(rows.size(), chunk, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    std::vector<float> memory;
    double* const sum = sums.data() + begin / chunk * columns;
    double* const square = squares.data() + begin / chunk * columns;
    for (std::size_t i = begin; i < end; ++i) {
      const float* const row = prepared(i, memory);
      for (std::size_t c = 0; c < columns; ++c) {
        const double difference = static_cast<double>(row[c]) - origin[c];
        sum[c] += difference;
        square[c] += difference * difference;
      }
    }
  });

  const auto count = static_cast<double>(rows.size());
  Moments moments{std::vector<double>(columns), std::vector<double>(columns)};
  for (std::size_t c = 0; c < columns; ++c) {
    double mean = 0, meanSquare = 0;
    for (std::size_t i = c; i < sums.size(); i += columns) {
      mean += sums[i] / count;
      meanSquare += squares[i] / count;
    }
    moments.means[c] = origin[c] + mean;
    moments.variances[c] = meanSquare - mean * mean;
  }
  return moments;
}

/// 1 for what does not vary, or so little that float arithmetic cannot undo it.
float scaleFor(double variance) {
  const auto scale = static_cast<float>(1 / std::sqrt(variance));
  return std::isnormal(scale) ? scale : 1;
}

}  // namespace

void InputTransform::apply(const float* row, float* out) const {
  const std::size_t inputs = mean.size();
  if (unitLength) {
    toUnitLength(row, inputs, out);
    row = out;
  }
  kernels().standardize(row, mean.data(), scale.data(), inputs, out);
}

InputTransform fitInputTransform(InputType type, const Matrix& vectors, std::span<const Id> rows,
                                 const Job& job) {
  const std::size_t columns = vectors.columns;
  InputTransform transform{type == InputType::normalize, std::vector<float>(columns, 0),
                           std::vector<float>(columns, 1)};
  if (type == InputType::none) return transform;
  const Moments moments = momentsOf(vectors, rows, transform.unitLength, job);
  const double variance = std::accumulate(moments.variances.begin(), moments.variances.end(), 0.0);
  const float common = scaleFor(variance / static_cast<double>(columns));
  for (std::size_t c = 0; c < columns; ++c) {
    transform.mean[c] = static_cast<float>(moments.means[c]);
    transform.scale[c] = type == InputType::standardize ? scaleFor(moments.variances[c]) : common;
  }
  return transform;
}

}  // namespace neural_lsh::cpu
