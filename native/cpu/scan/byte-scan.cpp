#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "../../core/huge-pages.h"
#include "../../core/thread-pool.h"
#include "../chunks.h"
#include "../kernels/kernels.h"
#include "../kernels/scan-kernels.h"
#include "../packed-product.h"
#include "scan.h"

namespace neural_lsh::cpu {
namespace {

/// Blocks that one call of the kernel compares: the threshold that it uses is that of its beginning.
constexpr std::size_t blocksPerCall = 16;

/// Of the bin that comes next, so much is fetched while this one is scanned: both fit into the L2 cache.
constexpr std::size_t prefetchedBytes = std::size_t{1} << 18;
/// And so much at once where there is nothing to scan meanwhile.
constexpr std::size_t firstLines = 32;
constexpr std::size_t lineBytes = 64;

/// Floats are exact for integers up to here.
constexpr double exactIntegers = 0x1p24;

/// A query is cut into steps of at most maxHigh, each of lowSteps steps.
constexpr double maxHigh = 127;
constexpr double lowSteps = 128;

/// What stands before the numbers of a prepared query.
struct alignas(64) PreparedQuery {
  float scale;
  bool hasLow;
  bool isExact;
  double constant;
};

/// To the nearest integer, for less than 2^51, in a way that compilers can do several of at once.
double rounded(double value) {
  constexpr double integers = 0x1.8p52;
  return (value + integers) - integers;
}

struct Extent {
  double lowest, highest;
  bool areIntegers;
};

/// Of value(0) .. value(count - 1).
template <typename Value>
Extent extentOf(std::size_t count, const Value& value) {
  constexpr std::size_t lanes = 4;
  double lowest[lanes], highest[lanes], fractions[lanes] = {};
  for (std::size_t i = 0; i < lanes; ++i) lowest[i] = highest[i] = value(0);
  const auto look = [&](std::size_t c, std::size_t lane) {
    const double x = value(c);
    lowest[lane] = x < lowest[lane] ? x : lowest[lane];
    highest[lane] = x > highest[lane] ? x : highest[lane];
    const double fraction = x - rounded(x);
    fractions[lane] += fraction * fraction;
  };
  std::size_t c = 0;
  for (; c + lanes <= count; c += lanes) {
    for (std::size_t i = 0; i < lanes; ++i) look(c + i, i);
  }
  for (; c < count; ++c) look(c, 0);
  for (std::size_t i = 1; i < lanes; ++i) {
    lowest[0] = std::min(lowest[0], lowest[i]);
    highest[0] = std::max(highest[0], highest[i]);
    fractions[0] += fractions[i];
  }
  return {lowest[0], highest[0], fractions[0] == 0};
}

/// Vectors and queries are compared in the codes' own unit: with x = offset + scale * c and a query q as
/// (q - offset) / scale, Euclidean distances are |c - q|^2 scale^2, which has the order of |c|^2 - 2 <c, q>.
/// So have cosine distances, since 1 - <x, q> = |x - q|^2 / 2 of unit vectors. For inner products it is -<c,
/// q>. The query is zero + step * (high + low / 128), both parts signed bytes, so that <c, q> = zero * sum(c)
/// + step * <c, high + low / 128>: the first term goes into the vector's bias.
class ByteScan final : public Scan {
 public:
  ByteScan(const StoredBins& bins, const ByteCodes& codes, const Job& job)
      : bins_(bins),
        offset_(codes.offset),
        scale_(codes.scale),
        areVectors_(codes.offset == 0 && codes.scale == 1 && bins.vectors.bytes != nullptr),
        zero_(bins.metric != Metric::innerProduct || areVectors_ ? 128 : 0),
        groups_((bins.vectors.columns + groupDimensions - 1) / groupDimensions),
        firstBlocks_(bins.offsets.size(), 0) {
    for (std::size_t bin = 0; bin + 1 < firstBlocks_.size(); ++bin) {
      firstBlocks_[bin + 1] = firstBlocks_[bin] + (rowsOf(bin) + blockVectors - 1) / blockVectors;
    }
    const std::size_t bytes = firstBlocks_.back() * byteBlockBytes(groups_);
    useHugePages(blocks_.require(bytes + tilePadding), bytes);
    std::memset(blocks_.data() + bytes, 0, tilePadding);
    fill(codes.codes, job);
  }

  std::size_t preparedBytes() const override { return sizeof(PreparedQuery) + 2 * queryBytes(); }
  std::size_t vectorBytes() const override { return byteBlockBytes(groups_) / blockVectors; }

  void prepare(const float* query, void* prepared) const override {
    auto* const header = static_cast<PreparedQuery*>(prepared);
    auto* const high = highOf(prepared);
    auto* const low = high + queryBytes();
    const std::size_t columns = bins_.vectors.columns;
    const bool isInner = bins_.metric == Metric::innerProduct;
    // In the codes' unit and from zero_ on.
    const double factor = isInner ? 1 : 1 / static_cast<double>(scale_);
    const double shift = isInner ? zero_ : offset_ * factor + zero_;
    const auto valueOf = [&](std::size_t c) { return query[c] * factor - shift; };
    const Extent extent = extentOf(columns, valueOf);
    const bool areBytes = extent.areIntegers && extent.lowest >= -128 && extent.highest <= 127;
    std::memset(high + columns, 0, queryBytes() - columns);
    if (areBytes) {
      for (std::size_t c = 0; c < columns; ++c) high[c] = static_cast<std::int8_t>(valueOf(c));
    } else {
      std::memset(low + columns, 0, queryBytes() - columns);
    }
    const double step = areBytes ? 1 : std::max(-extent.lowest, extent.highest) / maxHigh;
    for (std::size_t c = 0; c < columns && !areBytes; ++c) {
      const auto steps = static_cast<int>(rounded(valueOf(c) * (lowSteps / step)));
      const int coarse = (steps + 64) >> 7;
      high[c] = static_cast<std::int8_t>(coarse);
      low[c] = static_cast<std::int8_t>(steps - 128 * coarse);
    }
    const double squared = kernels().exactDotProduct(query, query, columns);
    header->scale = static_cast<float>(isInner ? -step : -2 * step);
    header->hasLow = !areBytes;
    // Every sum on the way is an integer that a float holds.
    header->isExact = areVectors_ && areBytes && bins_.metric != Metric::cosine && squared <= exactIntegers &&
                      largestSquare_ <= exactIntegers && 2 * 128 * largestSum_ <= exactIntegers;
    header->constant = isInner ? 0 : squared;
  }

  std::optional<double> exactFrom(const void* prepared) const override {
    const auto* header = static_cast<const PreparedQuery*>(prepared);
    return header->isExact ? std::optional(header->constant) : std::nullopt;
  }

  std::size_t candidatesFor(std::size_t k) const override {
    return areVectors_ ? k + roughMargin : k + k / 2 + 3;
  }

  void prefetch(Id bin) const override {
    const std::uint8_t* first = blocksOf(static_cast<std::size_t>(bin));
    for (std::size_t line = 0; line < firstLines; ++line) __builtin_prefetch(first + line * lineBytes);
  }

  void scan(const void* prepared, Id bin, Shortlist& nearest) const override {
    scanAhead(prepared, bin, bin, nearest);
  }

  void scanAhead(const void* prepared, Id bin, Id next, Shortlist& nearest) const override {
    std::array<const void*, 1> query{prepared};
    std::array<Shortlist*, 1> list{&nearest};
    const std::size_t count = blockCount(static_cast<std::size_t>(bin));
    for (std::size_t block = 0; block < count; block += blocksPerCall) {
      compare(query, blocksFrom(bin, block, next), rowOf(bin, block), list);
    }
  }

  void scanTogether(std::span<const void* const> prepared, Id bin, std::span<Shortlist* const> nearest,
                    const Upcoming& next) const override {
    // Queries without low parts and those with, in turns.
    const std::size_t queriesTogether = scanKernels().queriesTogether;
    std::array<const void*, mostQueriesTogether> queries;
    std::array<Shortlist*, mostQueriesTogether> lists;
    const std::size_t blocks = blockCount(static_cast<std::size_t>(bin));
    for (std::size_t block = 0; block < blocks; block += blocksPerCall) {
      Id ahead = next.bin.value_or(bin);
      for (const bool hasLow : {false, true}) {
        std::size_t count = 0;
        for (std::size_t i = 0; i < prepared.size(); ++i) {
          if (static_cast<const PreparedQuery*>(prepared[i])->hasLow == hasLow) {
            queries[count] = prepared[i];
            lists[count++] = nearest[i];
          }
          if (count == queriesTogether || (count > 0 && i + 1 == prepared.size())) {
            compare(std::span(queries).first(count), blocksFrom(bin, block, std::exchange(ahead, bin)),
                    rowOf(bin, block), std::span(lists).first(count));
            count = 0;
          }
        }
      }
    }
  }

 private:
  std::size_t rowsOf(std::size_t bin) const {
    return static_cast<std::size_t>(bins_.offsets[bin + 1] - bins_.offsets[bin]);
  }
  std::size_t blockCount(std::size_t bin) const { return firstBlocks_[bin + 1] - firstBlocks_[bin]; }
  std::size_t queryBytes() const { return groups_ * groupDimensions; }
  static std::int8_t* highOf(void* prepared) {
    return reinterpret_cast<std::int8_t*>(static_cast<PreparedQuery*>(prepared) + 1);
  }
  static const std::int8_t* highOf(const void* prepared) {
    return reinterpret_cast<const std::int8_t*>(static_cast<const PreparedQuery*>(prepared) + 1);
  }
  const std::uint8_t* blocksOf(std::size_t bin) const {
    return blocks_.data() + firstBlocks_[bin] * byteBlockBytes(groups_);
  }

  void fill(std::span<const std::uint8_t> codes, const Job& job) {
    std::mutex mutex;
    const std::size_t bins = firstBlocks_.size() - 1;
    const std::size_t rowsPerBin = bins_.vectors.rows / bins + 1;
    forChunks(bins, std::max<std::size_t>(1, chunkRows(bins_.vectors.columns) / rowsPerBin), job.threads,
              [&](std::size_t begin, std::size_t end) {
                job.check();
                double sum = 0, square = 0;
                for (std::size_t bin = begin; bin < end; ++bin) fillBin(codes, bin, sum, square);
                std::lock_guard guard(mutex);
                largestSum_ = std::max(largestSum_, sum);
                largestSquare_ = std::max(largestSquare_, square);
              });
  }

  void fillBin(std::span<const std::uint8_t> codes, std::size_t bin, double& largestSum,
               double& largestSquare) {
    const std::size_t columns = bins_.vectors.columns, rows = rowsOf(bin),
                      blockBytes = byteBlockBytes(groups_);
    std::uint8_t* const blocks = blocks_.data() + firstBlocks_[bin] * blockBytes;
    std::memset(blocks, 0, (firstBlocks_[bin + 1] - firstBlocks_[bin]) * blockBytes);
    for (std::size_t i = 0; i < roundUp(rows, blockVectors); ++i) {
      std::uint8_t* const block = blocks + i / blockVectors * blockBytes;
      const std::size_t place = i % blockVectors;
      float bias = std::numeric_limits<float>::quiet_NaN();
      if (i < rows) {
        const std::uint8_t* row = codes.data() + (static_cast<std::size_t>(bins_.offsets[bin]) + i) * columns;
        std::uint8_t* const to = block + blockVectors * sizeof(float) + place * groupDimensions;
        double sum = 0, square = 0;
        for (std::size_t c = 0; c < columns; ++c) {
          to[c / groupDimensions * groupBytes + c % groupDimensions] = row[c];
          sum += row[c];
          square += static_cast<double>(row[c]) * row[c];
        }
        bias = static_cast<float>(bins_.metric == Metric::innerProduct ? -zero_ * sum
                                                                       : square - 2 * zero_ * sum);
        largestSum = std::max(largestSum, sum);
        largestSquare = std::max(largestSquare, square);
      }
      std::memcpy(block + place * sizeof(float), &bias, sizeof(bias));
    }
  }

  /// A bin's blocks from `block` on that one call compares, and as many of the next bin's.
  ByteBlocks blocksFrom(Id bin, std::size_t block, Id next) const {
    const auto b = static_cast<std::size_t>(bin), n = static_cast<std::size_t>(next);
    const std::size_t blockBytes = byteBlockBytes(groups_);
    const std::size_t ahead = bin == next ? 0 : std::min(blockCount(n), prefetchedBytes / blockBytes);
    return {blocksOf(b) + block * blockBytes, std::min(blocksPerCall, blockCount(b) - block),
            blocksOf(n) + block * blockBytes, ahead - std::min(block, ahead)};
  }
  std::size_t rowOf(Id bin, std::size_t block) const {
    return static_cast<std::size_t>(bins_.offsets[static_cast<std::size_t>(bin)]) + block * blockVectors;
  }

  /// `firstRow` is the row of the blocks' first vector.
  void compare(std::span<const void* const> prepared, const ByteBlocks& blocks, std::size_t firstRow,
               std::span<Shortlist* const> nearest) const {
    std::array<std::array<Survivor, blocksPerCall * blockVectors>, mostQueriesTogether> survivors;
    std::array<ByteQuery, mostQueriesTogether> queries;
    for (std::size_t q = 0; q < prepared.size(); ++q) {
      const auto* header = static_cast<const PreparedQuery*>(prepared[q]);
      const std::int8_t* high = highOf(prepared[q]);
      queries[q] = {high,
                    header->hasLow ? high + queryBytes() : nullptr,
                    header->scale,
                    nearest[q]->threshold(),
                    survivors[q].data(),
                    0};
    }
    scanKernels().compareBytes(blocks, groups_, queries.data(), prepared.size());
    for (std::size_t q = 0; q < prepared.size(); ++q) {
      for (std::size_t i = 0; i < queries[q].found; ++i) {
        const std::size_t row = firstRow + survivors[q][i].place;
        nearest[q]->offer(survivors[q][i].value, static_cast<std::uint32_t>(row));
      }
    }
  }

  StoredBins bins_;
  float offset_, scale_;
  bool areVectors_;  // the codes are the vectors
  double zero_;
  std::size_t groups_;
  std::vector<std::size_t> firstBlocks_;  // bins + 1
  AlignedBuffer<std::uint8_t> blocks_;
  double largestSum_ = 0, largestSquare_ = 0;  // of a vector's codes
};

}  // namespace

ByteRange encodeBytes(const StoredVectors& vectors, std::span<std::uint8_t> codes, const Job& job) {
  const std::size_t size = vectors.rows * vectors.columns;
  if (vectors.bytes != nullptr) {
    std::copy_n(vectors.bytes, size, codes.begin());
    return {0, 1};
  }
  std::mutex mutex;
  float lowest = std::numeric_limits<float>::infinity(), highest = -lowest;
  forChunks(size, chunkNumbers, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    const auto [least, most] = std::minmax_element(vectors.floats + begin, vectors.floats + end);
    std::lock_guard guard(mutex);
    lowest = std::min(lowest, *least);
    highest = std::max(highest, *most);
  });
  constexpr float steps = 255;
  const float range = highest / steps - lowest / steps;
  const float scale = range > 0 ? range : 1;
  forChunks(size, chunkNumbers, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    for (std::size_t i = begin; i < end; ++i) {
      const double code = (static_cast<double>(vectors.floats[i]) - lowest) / scale;
      codes[i] = static_cast<std::uint8_t>(std::clamp(code + 0.5, 0.0, 255.0));
    }
  });
  return {lowest, scale};
}

std::unique_ptr<Scan> makeByteScan(const StoredBins& bins, const ByteCodes& codes, const Job& job) {
  return std::make_unique<ByteScan>(bins, codes, job);
}

}  // namespace neural_lsh::cpu
