#include "four-bit-codes.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <numeric>

#include "../../core/random.h"
#include "../../core/thread-pool.h"

namespace neural_lsh::cpu {
namespace {

/// Vectors that the codebooks are learned from: a thousand an entry.
constexpr std::size_t sampleRows = 16384;
/// Rounds of Lloyd's algorithm; later ones change the error by less than 0.1 %.
constexpr std::size_t rounds = 16;
/// Parts that one task learns, so that a vector's numbers are fetched a cache line at a time.
constexpr std::size_t partsPerTask = 16;

/// Pairs of numbers of one part, the first and the second ones apart.
struct Points {
  std::span<const float> x, y;
};

using Entries = std::array<float, fourBitEntries>;
struct Codebook {
  Entries x{}, y{};
};

/// The entries nearest to 16 points and the squared distances to them.
struct Nearest {
  std::array<std::int32_t, fourBitVectors> entries;
  FourBitLane distances;
};
Nearest nearestEntries(const Codebook& codebook, const float* x, const float* y) {
  Nearest nearest;
  nearest.entries.fill(0);
  nearest.distances.fill(std::numeric_limits<float>::infinity());
  for (std::int32_t entry = 0; entry < static_cast<std::int32_t>(fourBitEntries); ++entry) {
    const float entryX = codebook.x[static_cast<std::size_t>(entry)];
    const float entryY = codebook.y[static_cast<std::size_t>(entry)];
    for (std::size_t v = 0; v < fourBitVectors; ++v) {
      const float dx = x[v] - entryX, dy = y[v] - entryY;
      const float distance = dx * dx + dy * dy;
      nearest.entries[v] = distance < nearest.distances[v] ? entry : nearest.entries[v];
      nearest.distances[v] = distance < nearest.distances[v] ? distance : nearest.distances[v];
    }
  }
  return nearest;
}

/// k-means++ (Arthur & Vassilvitskii 2007): each entry is a point, drawn in proportion to its squared
/// distance from the entries before it. Where no point is away from them, they are enough, and the others are
/// the first one.
Codebook drawEntries(const Points& points, Random& random) {
  const std::size_t count = points.x.size();
  Codebook codebook;
  const std::size_t first = random.below(count);
  codebook.x.fill(points.x[first]);
  codebook.y.fill(points.y[first]);
  std::vector<float> distances(count, std::numeric_limits<float>::infinity());
  for (std::size_t entry = 1; entry < fourBitEntries; ++entry) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const float dx = points.x[i] - codebook.x[entry - 1], dy = points.y[i] - codebook.y[entry - 1];
      distances[i] = std::min(distances[i], dx * dx + dy * dy);
      sum += static_cast<double>(distances[i]);
    }
    if (!(sum > 0) || sum > std::numeric_limits<double>::max()) break;
    double left = random.uniform() * sum;
    std::size_t drawn = 0;
    while (drawn + 1 < count && left >= static_cast<double>(distances[drawn])) {
      left -= static_cast<double>(distances[drawn++]);
    }
    codebook.x[entry] = points.x[drawn];
    codebook.y[entry] = points.y[drawn];
  }
  return codebook;
}

/// Lloyd's algorithm; the number of points is a multiple of 16. An entry that no point is nearest to stays.
void improve(const Points& points, Codebook& codebook) {
  std::array<double, fourBitEntries> sumsX{}, sumsY{}, counts{};
  for (std::size_t i = 0; i < points.x.size(); i += fourBitVectors) {
    const Nearest nearest = nearestEntries(codebook, points.x.data() + i, points.y.data() + i);
    for (std::size_t v = 0; v < fourBitVectors; ++v) {
      const auto entry = static_cast<std::size_t>(nearest.entries[v]);
      sumsX[entry] += static_cast<double>(points.x[i + v]);
      sumsY[entry] += static_cast<double>(points.y[i + v]);
      ++counts[entry];
    }
  }
  for (std::size_t entry = 0; entry < fourBitEntries; ++entry) {
    if (counts[entry] == 0) continue;
    codebook.x[entry] = static_cast<float>(sumsX[entry] / counts[entry]);
    codebook.y[entry] = static_cast<float>(sumsY[entry] / counts[entry]);
  }
}

struct Row {
  std::size_t bin, row;
};

/// Distinct rows in ascending order (all, where they are few), the last ones again until 16 divides their
/// number.
std::vector<Row> drawSample(const StoredBins& bins, std::uint64_t seed) {
  std::vector<Row> sample;
  Random random(seed);
  std::size_t wanted = std::min(bins.vectors.rows, sampleRows), left = bins.vectors.rows;
  sample.reserve(wanted + fourBitVectors);
  for (std::size_t bin = 0; bin + 1 < bins.offsets.size(); ++bin) {
    const auto end = static_cast<std::size_t>(bins.offsets[bin + 1]);
    for (auto row = static_cast<std::size_t>(bins.offsets[bin]); row < end; ++row, --left) {
      if (random.below(left) >= wanted) continue;  // Knuth's algorithm S
      sample.push_back({bin, row});
      --wanted;
    }
  }
  while (sample.size() % fourBitVectors != 0) sample.push_back(sample.back());
  return sample;
}

Codebook codebookOf(std::span<const float> codebooks, std::size_t part) {
  Codebook codebook;
  for (std::size_t entry = 0; entry < fourBitEntries; ++entry) {
    const float* numbers = codebooks.data() + (part * fourBitEntries + entry) * fourBitWidth;
    codebook.x[entry] = numbers[0];
    codebook.y[entry] = numbers[1];
  }
  return codebook;
}

/// The mean squared distance of each column's numbers from their bins' means.
std::vector<double> variancesOf(const StoredBins& bins, std::span<const Row> sample,
                                std::span<const float> means, const Job& job) {
  const std::size_t columns = bins.vectors.columns;
  std::vector<double> sums(columns, 0);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (i % 1024 == 0) job.check();
    const auto& [bin, row] = sample[i];
    for (std::size_t c = 0; c < columns; ++c) {
      const std::size_t at = row * columns + c;
      const double number = bins.vectors.floats != nullptr ? static_cast<double>(bins.vectors.floats[at])
                                                           : bins.vectors.bytes[at];
      const double difference = number - static_cast<double>(means[bin * columns + c]);
      sums[c] += difference * difference;
    }
  }
  return sums;
}

/// The column of the largest variance beside that of the least, and so on; of an odd number, the one of the
/// largest is alone.
void pairColumns(std::span<const double> variances, std::span<Id> columns) {
  std::vector<Id> sorted(columns.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  std::stable_sort(sorted.begin(), sorted.end(), [&](Id a, Id b) {
    return variances[static_cast<std::size_t>(a)] > variances[static_cast<std::size_t>(b)];
  });
  std::size_t first = 0;
  if (columns.size() % 2 != 0) columns.back() = sorted[first++];
  for (std::size_t place = 0; place + 1 < columns.size(); place += 2) {
    columns[place] = sorted[first + place / 2];
    columns[place + 1] = sorted[sorted.size() - 1 - place / 2];
  }
}

void learnCodebooks(const StoredBins& bins, const BinMeans& means, std::span<const Row> sample,
                    std::uint64_t seed, std::span<float> codebooks, const Job& job) {
  const std::size_t parts = fourBitParts(bins.vectors.columns);
  parallelFor((parts + partsPerTask - 1) / partsPerTask, job.threads, [&](std::size_t task) {
    const std::size_t firstPart = task * partsPerTask, count = std::min(partsPerTask, parts - firstPart);
    // Column by column: the first numbers of a part, then its second ones.
    std::vector<float> numbers(count * fourBitWidth * sample.size());
    std::array<FourBitLane, partsPerTask * fourBitWidth> residuals;
    for (std::size_t i = 0; i < sample.size(); ++i) {
      if (i % 1024 == 0) job.check();
      residualsOf(bins, means, sample[i].bin, sample[i].row, 1, firstPart * fourBitWidth,
                  std::span(residuals).first(count * fourBitWidth));
      for (std::size_t c = 0; c < count * fourBitWidth; ++c) numbers[c * sample.size() + i] = residuals[c][0];
    }
    for (std::size_t p = 0; p < count; ++p) {
      job.check();
      const std::size_t part = firstPart + p;
      const auto column = [&](std::size_t c) {
        return std::span<const float>(numbers).subspan((p * fourBitWidth + c) * sample.size(), sample.size());
      };
      const Points points{column(0), column(1)};
      Random random(Random(seed + part).next());
      Codebook codebook = drawEntries(points, random);
      for (std::size_t round = 0; round < rounds; ++round) improve(points, codebook);
      for (std::size_t entry = 0; entry < fourBitEntries; ++entry) {
        float* const out = codebooks.data() + (part * fourBitEntries + entry) * fourBitWidth;
        out[0] = codebook.x[entry];
        out[1] = codebook.y[entry];
      }
    }
  });
}

void meansOfBins(const StoredBins& bins, std::span<float> means, const Job& job) {
  const std::size_t columns = bins.vectors.columns;
  parallelFor(bins.offsets.size() - 1, job.threads, [&](std::size_t bin) {
    job.check();
    const auto begin = static_cast<std::size_t>(bins.offsets[bin]);
    const auto end = static_cast<std::size_t>(bins.offsets[bin + 1]);
    std::vector<double> sums(columns, 0);
    for (std::size_t row = begin; row < end; ++row) {
      if ((row - begin) % 1024 == 1023) job.check();
      for (std::size_t c = 0; c < columns; ++c) {
        sums[c] += bins.vectors.floats != nullptr
                       ? static_cast<double>(bins.vectors.floats[row * columns + c])
                       : bins.vectors.bytes[row * columns + c];
      }
    }
    const double share = end > begin ? 1 / static_cast<double>(end - begin) : 0;
    for (std::size_t c = 0; c < columns; ++c) means[bin * columns + c] = static_cast<float>(sums[c] * share);
  });
}

}  // namespace

BinMeans::BinMeans(const StoredBins& bins, std::span<const float> means, std::span<const Id> columnOrder)
    : stride_(stride(bins.vectors.columns)),
      columns_(columnOrder.begin(), columnOrder.end()),
      center_(bins.vectors.columns, 0),
      differences_((bins.offsets.size() - 1) * stride_, 0) {
  const std::size_t count = bins.offsets.size() - 1, columns = center_.size();
  std::vector<double> sums(columns, 0);
  for (std::size_t bin = 0; bin < count; ++bin) {
    const double weight = bins.offsets[bin + 1] - bins.offsets[bin];
    for (std::size_t c = 0; c < columns; ++c)
      sums[c] += weight * static_cast<double>(means[bin * columns + c]);
  }
  const double rows = std::max<double>(1, static_cast<double>(bins.vectors.rows));
  for (std::size_t c = 0; c < columns; ++c)
    center_[c] = static_cast<float>(sums[static_cast<std::size_t>(columns_[c])] / rows);
  for (std::size_t bin = 0; bin < count; ++bin) {
    if (bins.offsets[bin] == bins.offsets[bin + 1]) continue;
    for (std::size_t c = 0; c < columns; ++c) {
      // Rounded down: what is lost is part of the residual.
      const float mean = means[bin * columns + static_cast<std::size_t>(columns_[c])];
      const auto bits = std::bit_cast<std::uint32_t>(mean - center_[c]);
      differences_[bin * stride_ + c] = static_cast<std::uint16_t>(bits >> 16);
    }
  }
}

void residualsOf(const StoredBins& bins, const BinMeans& means, std::size_t bin, std::size_t begin,
                 std::size_t count, std::size_t column, std::span<FourBitLane> residuals) {
  const std::size_t columns = bins.vectors.columns;
  const std::size_t present = std::min(residuals.size(), columns - column);
  const std::uint16_t* const differences = means.differences(bin) + column;
  const float* const center = means.center().data() + column;
  const Id* const order = means.columns().data() + column;
  const auto subtract = [&](const auto* vectors) {
    for (std::size_t v = 0; v < count; ++v) {
      const auto* const numbers = vectors + (begin + v) * columns;
      for (std::size_t c = 0; c < present; ++c) {
        const auto number = static_cast<float>(numbers[static_cast<std::size_t>(order[c])]);
        residuals[c][v] = number - (center[c] + BinMeans::number(differences[c]));
      }
    }
  };
  for (FourBitLane& lane : residuals) lane.fill(0);
  if (bins.vectors.floats != nullptr) {
    subtract(bins.vectors.floats);
  } else {
    subtract(bins.vectors.bytes);
  }
}

void encodeFourBits(const StoredBins& bins, std::uint64_t seed, std::span<std::uint8_t> codes,
                    std::span<float> codebooks, std::span<float> binMeans, std::span<Id> columns,
                    const Job& job) {
  if (bins.vectors.rows == 0) return;
  meansOfBins(bins, binMeans, job);
  const std::vector<Row> sample = drawSample(bins, seed);
  pairColumns(variancesOf(bins, sample, binMeans, job), columns);
  const BinMeans means(bins, binMeans, columns);
  learnCodebooks(bins, means, sample, seed, codebooks, job);
  const std::size_t parts = fourBitParts(bins.vectors.columns), codeBytes = (parts + 1) / 2;
  std::vector<Codebook> books(parts);
  for (std::size_t part = 0; part < parts; ++part) books[part] = codebookOf(codebooks, part);
  std::atomic<std::size_t> done{0};
  parallelFor(bins.offsets.size() - 1, job.threads, [&](std::size_t bin) {
    const auto end = static_cast<std::size_t>(bins.offsets[bin + 1]);
    std::vector<FourBitLane> residuals(parts * fourBitWidth);
    for (auto row = static_cast<std::size_t>(bins.offsets[bin]); row < end; row += fourBitVectors) {
      job.check();
      const std::size_t count = std::min(fourBitVectors, end - row);
      residualsOf(bins, means, bin, row, count, 0, residuals);
      for (std::size_t part = 0; part < parts; ++part) {
        const Nearest nearest = nearestEntries(books[part], residuals[part * fourBitWidth].data(),
                                               residuals[part * fourBitWidth + 1].data());
        for (std::size_t v = 0; v < count; ++v) {
          std::uint8_t& code = codes[(row + v) * codeBytes + part / 2];
          const auto entry = static_cast<std::uint8_t>(nearest.entries[v]);
          code = part % 2 == 0 ? entry : static_cast<std::uint8_t>(code | entry << 4);
        }
      }
    }
    const std::size_t rows = end - static_cast<std::size_t>(bins.offsets[bin]);
    job.progress(done += rows, bins.vectors.rows);
  });
}

}  // namespace neural_lsh::cpu
