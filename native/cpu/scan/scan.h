// How the vectors of a bin are compared with a query: exactly, or by codes that are smaller than the vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "../../core/job.h"
#include "../../core/types.h"
#include "shortlist.h"

namespace neural_lsh::cpu {

/// The vectors as an index keeps them, in the bins' order: floats, or bytes where all are integers in 0 ..
/// 255. Somebody else owns them. Exactly one of the two pointers is set.
struct StoredVectors {
  const float* floats = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
};

/// What all scans look at: bin b holds rows offsets[b] .. offsets[b + 1], ids are the original row numbers.
struct StoredBins {
  Metric metric;
  StoredVectors vectors;
  std::span<const Id> offsets;
  std::span<const Id> ids;
};

/// Of candidates by float32 distances, so many beyond those that are wanted hold the nearest by exact ones.
inline constexpr std::size_t roughMargin = 8;

/// What several queries are scanned for next; nothing at the end.
struct Upcoming {
  std::optional<Id> bin;
  std::span<const void* const> prepared;
};

/// One way to compare. Safe to use from several threads at once.
class Scan {
 public:
  virtual ~Scan() = default;

  /// Bytes of a prepared query; it must be aligned to 64.
  virtual std::size_t preparedBytes() const = 0;
  /// Bytes that are read of each vector of a bin.
  virtual std::size_t vectorBytes() const = 0;
  /// Turns a query (unit length for cosine) into what the scan multiplies with.
  virtual void prepare(const float* query, void* prepared) const = 0;
  /// The constant that makes a candidate's distance for this prepared query the metric's exact distance, if
  /// sums of the two are exact: then no candidate needs to be ranked again.
  virtual std::optional<double> exactFrom(const void* prepared) const = 0;
  /// Where they are not: how many candidates to rank exactly so that hardly one of the k nearest among those
  /// scanned is missed.
  virtual std::size_t candidatesFor(std::size_t k) const { return k + roughMargin; }

  /// Asks for a bin's first pages ahead of its scan.
  virtual void prefetch(Id bin) const = 0;
  /// Offers the vectors of a bin that can enter the shortlist. Distances are those of the metric in the
  /// scan's precision, up to a factor and a constant of the query.
  virtual void scan(const void* prepared, Id bin, Shortlist& nearest) const = 0;
  /// The same, while the pages of the bin that is scanned next are fetched.
  virtual void scanAhead(const void* prepared, Id bin, Id next, Shortlist& nearest) const {
    prefetch(next);
    scan(prepared, bin, nearest);
  }
  /// The same for several queries while the bin is in the cache, and what comes next on its way there; the
  /// result is that of one scan after another.
  virtual void scanTogether(std::span<const void* const> prepared, Id bin,
                            std::span<Shortlist* const> nearest, const Upcoming& next) const = 0;
};

/// Row-major floats or bytes as they are, in float32.
std::unique_ptr<Scan> makePlainScan(const StoredBins& bins);

/// Codes of one byte a number: value = offset + scale * code. For bytes (offset 0, scale 1) they are the
/// vectors themselves and the scan is exact for queries of integers. `codes` (rows x columns, in the bins'
/// order) are copied into blocks.
struct ByteCodes {
  std::span<const std::uint8_t> codes;
  float offset = 0;
  float scale = 1;
};
/// Codes for float vectors: the range of the values is cut into 255 steps.
struct ByteRange {
  float offset, scale;
};
ByteRange encodeBytes(const StoredVectors& vectors, std::span<std::uint8_t> codes, const Job& job);
std::unique_ptr<Scan> makeByteScan(const StoredBins& bins, const ByteCodes& codes, const Job& job);

/// Four bits for every `fourBitWidth` numbers: product quantisation (Jegou, Douze & Schmid 2011) of what is
/// left after the bin's mean is taken away, with tables of 16 entries that are looked up in registers (Andre,
/// Kermarrec & Le Scouarnec, "Quicker ADC", 2019; Guo et al., "Accelerating large-scale inference with
/// anisotropic vector quantization", ICML 2020).
inline constexpr std::size_t fourBitWidth = 2;
struct FourBitCodes {
  std::span<const std::uint8_t> codes;  // rows x ceil(parts / 2); parts = ceil(columns / fourBitWidth); part
                                        // 2i is the lower half of byte i
  std::span<const float> codebooks;     // parts x 16 x fourBitWidth
  std::span<const float> means;         // bins x columns: what was taken away
  std::span<const Id> columns;          // which of a vector's columns stands at each place of the codes
};
/// Learns the codebooks from a seeded sample and encodes all rows; the spans are filled. Columns are paired,
/// the one that varies most with the one that varies least and so on: the error of a part is about the
/// product of the two, and the sum of the products is then the least.
void encodeFourBits(const StoredBins& bins, std::uint64_t seed, std::span<std::uint8_t> codes,
                    std::span<float> codebooks, std::span<float> means, std::span<Id> columns,
                    const Job& job);
std::unique_ptr<Scan> makeFourBitScan(const StoredBins& bins, const FourBitCodes& codes, const Job& job);

/// The distance of a query to a stored row, every operation in double.
double storedDistance(const StoredBins& bins, const float* query, std::size_t row);
/// What has the same order, in float: one number a row.
void roughDistances(const StoredBins& bins, const float* query, std::span<const std::uint32_t> rows,
                    float* distances);

}  // namespace neural_lsh::cpu
