#include "vectors.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "../core/error.h"
#include "../core/thread-pool.h"
#include "kernels/kernels.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t valuesPerTask = std::size_t{1} << 18;
constexpr double maxSquaredNorm = 0x1.0p125;

}  // namespace

void prepareVector(const float* row, std::size_t columns, std::size_t number, Metric metric,
                   const char* argument, std::span<float> out) {
  const double squared = kernels().exactDotProduct(row, row, columns);
  if (!std::isfinite(squared)) {
    const float* bad = std::find_if(row, row + columns, [](float x) { return !std::isfinite(x); });
    throw argumentError(argument, "row " + std::to_string(number) + ", column " + std::to_string(bad - row) +
                                      " is " + (std::isnan(*bad) ? "NaN" : "infinite") +
                                      "; every value must be a finite number");
  }
  if (squared > maxSquaredNorm) {
    throw argumentError(argument, "row " + std::to_string(number) +
                                      " has values so large that distances overflow; scale the vectors down");
  }
  if (metric != Metric::cosine) {
    if (!out.empty()) std::copy_n(row, columns, out.begin());
    return;
  }
  if (squared == 0) {
    throw argumentError(argument,
                        "row " + std::to_string(number) +
                            " is all zeros and has no direction; leave it out or use another metric");
  }
  if (out.empty()) return;
  const double scale = 1 / std::sqrt(squared);
  for (std::size_t c = 0; c < columns; ++c) out[c] = static_cast<float>(row[c] * scale);
}

void prepareVectors(const Matrix& source, Metric metric, const std::string& argument, std::span<float> out,
                    const Job& job) {
  const std::size_t rowsPerTask = std::max<std::size_t>(1, valuesPerTask / source.columns);
  parallelFor((source.rows + rowsPerTask - 1) / rowsPerTask, job.threads, [&](std::size_t task) {
    job.check();
    for (std::size_t i = task * rowsPerTask; i < std::min((task + 1) * rowsPerTask, source.rows); ++i) {
      prepareVector(source.row(i), source.columns, i, metric, argument.c_str(),
                    out.empty() ? out : out.subspan(i * source.columns, source.columns));
    }
  });
}

std::optional<std::size_t> findNotFinite(std::span<const float> values, const Job& job) {
  std::mutex mutex;
  std::optional<std::size_t> first;
  parallelFor((values.size() + valuesPerTask - 1) / valuesPerTask, job.threads, [&](std::size_t task) {
    job.check();
    const auto part =
        values.subspan(task * valuesPerTask, std::min(valuesPerTask, values.size() - task * valuesPerTask));
    const auto bad = std::find_if(part.begin(), part.end(), [](float x) { return !std::isfinite(x); });
    if (bad == part.end()) return;
    const std::size_t index = task * valuesPerTask + static_cast<std::size_t>(bad - part.begin());
    std::lock_guard guard(mutex);
    first = std::min(first.value_or(index), index);
  });
  return first;
}

}  // namespace neural_lsh::cpu
