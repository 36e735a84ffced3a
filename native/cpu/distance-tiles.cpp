#include "distance-tiles.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "../core/aligned-buffer.h"
#include "chunks.h"
#include "packed-product.h"

namespace neural_lsh::cpu {
namespace {

constexpr double unitRoundoff = 0x1.0p-24;
constexpr std::size_t tileColumnCount = 480;  // a multiple of every variant's tileColumns

const float* shiftPointer(const std::vector<float>& shift) {
  return shift.empty() ? nullptr : shift.data();
}

/// All depth blocks of rows [rows.begin, rows.end), in panels of `width`.
void pack(const Matrix& points, Range rows, std::size_t width, const std::vector<float>& shift,
          const DepthBlocks& depth, float* out) {
  const std::size_t padded = roundUp(rows.size(), width);
  for (std::size_t block = 0; block < depth.count; ++block) {
    const std::size_t p = depth.begin(block);
    packRows(points.row(rows.begin) + p, points.columns, rows.size(), depth.depth(block), width,
             shift.empty() ? nullptr : shiftPointer(shift) + p, out + p * padded);
  }
}

}  // namespace

std::vector<float> tileShift(const Matrix& points, Metric metric) {
  if (metric != Metric::euclidean || points.rows == 0) return {};
  std::vector<double> sums(points.columns, 0.0);
  for (std::size_t i = 0; i < points.rows; ++i) {
    const float* row = points.row(i);
    for (std::size_t c = 0; c < points.columns; ++c) sums[c] += row[c];
  }
  std::vector<float> mean(points.columns);
  for (std::size_t c = 0; c < points.columns; ++c) {
    mean[c] = static_cast<float>(sums[c] / static_cast<double>(points.rows));
  }
  return mean;
}

float tileScale(Metric metric) {
  return metric == Metric::euclidean ? -2.0F : -1.0F;
}

TilePoints tilePoints(const Matrix& points, const std::vector<float>& shift, Metric metric) {
  TilePoints result{points, std::vector<float>(points.rows), std::vector<double>(points.rows)};
  for (std::size_t i = 0; i < points.rows; ++i) {
    const float* row = points.row(i);
    double squared = 0;
    for (std::size_t c = 0; c < points.columns; ++c) {
      const float value = shift.empty() ? row[c] : row[c] - shift[c];
      squared += static_cast<double>(value) * value;
    }
    result.norms[i] = std::sqrt(squared);
    result.terms[i] = metric == Metric::euclidean ? static_cast<float>(squared)
                      : metric == Metric::cosine  ? 0.5F
                                                  : 0.0F;
  }
  return result;
}

double tileError(const ProductError& rounding, std::size_t columns, Metric metric, double norm, double term,
                 double maxNorm, double maxTerm) {
  constexpr double shifted = 4 * unitRoundoff;  // by the subtraction of the shift, of both
  const double scale = std::abs(tileScale(metric)), products = scale * norm * maxNorm;
  return 1.01 * (rounding.relative + shifted) * products + scale * rounding.underflow * (norm + maxNorm) +
         16 * unitRoundoff * (term + maxTerm + products) + static_cast<double>(columns) * 0x1.0p-124;
}

std::optional<std::vector<std::uint8_t>> asBytes(const Matrix& points, const Job& job) {
  const std::size_t count = points.rows * points.columns;
  // Most data that are not integers show it at once: nothing is allocated for them.
  const auto isByte = [](float value) {
    return value >= 0 && value <= 255 && value == static_cast<float>(static_cast<std::uint8_t>(value));
  };
  if (!std::all_of(points.data, points.data + std::min(count, chunkNumbers), isByte)) return std::nullopt;
  std::vector<std::uint8_t> bytes(count);
  std::atomic<bool> integers = true;
  forChunks(count, chunkNumbers, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    if (!integers) return;
    bool here = true;
    for (std::size_t i = begin; i < end; ++i) {
      const float value = std::clamp(points.data[i], 0.0F, 255.0F);
      bytes[i] = static_cast<std::uint8_t>(value);
      here &= points.data[i] == static_cast<float>(bytes[i]);
    }
    if (!here) integers = false;
  });
  if (!integers) return std::nullopt;
  return bytes;
}

std::size_t tileBlockRows(std::size_t columns) {
  const std::size_t fitting = (std::size_t{1} << 20) / std::max<std::size_t>(columns, 1) / 128 * 128;
  return std::clamp<std::size_t>(fitting, 128, 1024);
}

void forEachTile(const Matrix& a, Range rows, const Matrix& b, Range columns, const std::vector<float>& shift,
                 bool upperOnly, const std::function<void(const ProductTile&)>& visit) {
  thread_local AlignedBuffer<float> bufferA, bufferB, bufferC;
  const std::size_t tileRows = kernels().tileRows, tileColumns = kernels().tileColumns;
  const DepthBlocks depth(a.columns);
  const std::size_t paddedColumns = roundUp(columns.size(), tileColumns);
  float* const packedA = bufferA.require(roundUp(blockRows, tileRows) * a.columns);
  float* const packedB = bufferB.require(paddedColumns * a.columns);
  float* const products = bufferC.require(blockRows * tileColumnCount);
  pack(b, columns, tileColumns, shift, depth, packedB);

  for (std::size_t row = rows.begin; row < rows.end; row += blockRows) {
    const Range tileRange{row, std::min(row + blockRows, rows.end)};
    const std::size_t paddedRows = roundUp(tileRange.size(), tileRows);
    pack(a, tileRange, tileRows, shift, depth, packedA);
    for (std::size_t column = columns.begin; column < columns.end; column += tileColumnCount) {
      const Range columnRange{column, std::min(column + tileColumnCount, columns.end)};
      if (upperOnly && columnRange.end <= tileRange.begin) continue;
      for (std::size_t block = 0; block < depth.count; ++block) {
        const std::size_t p = depth.begin(block);
        multiplyPacked(tileRange.size(), columnRange.size(), depth.depth(block), packedA + p * paddedRows,
                       packedB + p * paddedColumns + (column - columns.begin) * depth.depth(block), products,
                       tileColumnCount, block > 0);
      }
      visit({tileRange, columnRange, products, tileColumnCount});
    }
  }
}

}  // namespace neural_lsh::cpu
