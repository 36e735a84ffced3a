#include <algorithm>
#include <array>
#include <vector>

#include "../kernels/kernels.h"
#include "../kernels/scan-kernels.h"
#include "scan.h"

namespace neural_lsh::cpu {
namespace {

/// Rows that are compared with one query after the other: they stay in the L1 cache, their distances on the
/// stack.
constexpr std::size_t numbersTogether = 4096;
constexpr std::size_t maxRowsTogether = 256;

constexpr std::size_t lineBytes = 64;
constexpr std::size_t prefetchedLines = 32;

class PlainScan final : public Scan {
 public:
  explicit PlainScan(const StoredBins& bins)
      : bins_(bins),
        rowsTogether_(std::clamp<std::size_t>(numbersTogether / bins.vectors.columns, 1, maxRowsTogether)) {}

  std::size_t preparedBytes() const override { return bins_.vectors.columns * sizeof(float); }
  std::size_t vectorBytes() const override {
    return bins_.vectors.columns * (bins_.vectors.floats != nullptr ? sizeof(float) : 1);
  }

  void prepare(const float* query, void* prepared) const override {
    std::copy_n(query, bins_.vectors.columns, static_cast<float*>(prepared));
  }

  std::optional<double> exactFrom(const void*) const override { return std::nullopt; }

  void prefetch(Id bin) const override {
    const auto place =
        static_cast<std::size_t>(bins_.offsets[static_cast<std::size_t>(bin)]) * bins_.vectors.columns;
    const char* first = bins_.vectors.floats != nullptr
                            ? reinterpret_cast<const char*>(bins_.vectors.floats + place)
                            : reinterpret_cast<const char*>(bins_.vectors.bytes + place);
    for (std::size_t line = 0; line < prefetchedLines; ++line) __builtin_prefetch(first + line * lineBytes);
  }

  void scan(const void* prepared, Id bin, Shortlist& nearest) const override {
    Shortlist* const list = &nearest;
    scanTogether({&prepared, 1}, bin, {&list, 1}, {});
  }

  void scanTogether(std::span<const void* const> prepared, Id bin, std::span<Shortlist* const> nearest,
                    const Upcoming& next) const override {
    if (next.bin) prefetch(*next.bin);
    const StoredVectors& vectors = bins_.vectors;
    const auto begin = static_cast<std::size_t>(bins_.offsets[static_cast<std::size_t>(bin)]);
    const auto end = static_cast<std::size_t>(bins_.offsets[static_cast<std::size_t>(bin) + 1]);
    thread_local std::vector<float> widened;
    for (std::size_t row = begin; row < end; row += rowsTogether_) {
      const std::size_t count = std::min(rowsTogether_, end - row);
      const float* rows = vectors.floats + row * vectors.columns;
      if (vectors.floats == nullptr) {
        const std::uint8_t* bytes = vectors.bytes + row * vectors.columns;
        widened.assign(bytes, bytes + count * vectors.columns);
        rows = widened.data();
      }
      for (std::size_t q = 0; q < prepared.size(); ++q) {
        compare(static_cast<const float*>(prepared[q]), rows, row, count, *nearest[q]);
      }
    }
  }

 private:
  void compare(const float* query, const float* rows, std::size_t first, std::size_t count,
               Shortlist& nearest) const {
    std::array<float, maxRowsTogether> distances;
    if (bins_.metric == Metric::euclidean) {
      kernels().squaredDistances(query, rows, count, bins_.vectors.columns, distances.data());
    } else {
      kernels().dotProducts(query, rows, count, bins_.vectors.columns, distances.data());
      for (std::size_t i = 0; i < count; ++i) distances[i] = -distances[i];
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (distances[i] > nearest.threshold()) continue;
      nearest.offer(distances[i], static_cast<std::uint32_t>(first + i));
    }
  }

  StoredBins bins_;
  std::size_t rowsTogether_;
};

}  // namespace

std::unique_ptr<Scan> makePlainScan(const StoredBins& bins) {
  return std::make_unique<PlainScan>(bins);
}

double storedDistance(const StoredBins& bins, const float* query, std::size_t row) {
  const std::size_t columns = bins.vectors.columns;
  const bool isEuclidean = bins.metric == Metric::euclidean;
  double value;
  if (bins.vectors.floats != nullptr) {
    const auto distance = isEuclidean ? kernels().exactSquaredDistance : kernels().exactDotProduct;
    value = distance(query, bins.vectors.floats + row * columns, columns);
  } else {
    const auto distance = isEuclidean ? scanKernels().exactSquaredDistance : scanKernels().exactDotProduct;
    value = distance(query, bins.vectors.bytes + row * columns, columns);
  }
  if (isEuclidean) return value;
  return bins.metric == Metric::cosine ? 1 - value : -value;
}

void roughDistances(const StoredBins& bins, const float* query, std::span<const std::uint32_t> rows,
                    float* distances) {
  const auto& [floats, bytes, count, columns] = bins.vectors;
  const bool isEuclidean = bins.metric == Metric::euclidean;
  if (floats != nullptr) {
    const auto measure = isEuclidean ? kernels().squaredDistancesAt : kernels().dotProductsAt;
    measure(query, floats, rows.data(), rows.size(), columns, distances);
  } else {
    const auto measure = isEuclidean ? scanKernels().squaredDistance : scanKernels().dotProduct;
    for (std::size_t i = 0; i < rows.size(); ++i)
      distances[i] = measure(query, bytes + rows[i] * columns, columns);
  }
  if (isEuclidean) return;
  for (std::size_t i = 0; i < rows.size(); ++i) distances[i] = -distances[i];
}

}  // namespace neural_lsh::cpu
