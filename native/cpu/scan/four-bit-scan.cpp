#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "../../core/huge-pages.h"
#include "../../core/thread-pool.h"
#include "four-bit-codes.h"

namespace neural_lsh::cpu {
namespace {

/// Blocks that one call of the kernel compares: the threshold that it uses is that of its beginning.
constexpr std::size_t blocksPerCall = 8;
static_assert(blocksPerCall % blocksTogether == 0);

/// Where several queries are answered, so much of a bin is read again for each of them out of the L1 cache.
constexpr std::size_t chunkBytes = std::size_t{1} << 14;
constexpr std::size_t queriesPerChunk = 16;

/// Of a bin that comes next, so much is asked for at once.
constexpr std::size_t prefetchedBytes = 2048;
constexpr std::size_t lineBytes = 64;
/// And no more than this beyond the size of the bin before it, so that it stays in the L2 cache.
constexpr std::size_t prefetchedAhead = std::size_t{1} << 16;

/// Entries of the tables fill seven bits, so that two of them can be added in a byte.
constexpr float largestEntry = 126;
constexpr double largestProduct = 1e36;
constexpr double largestValue = 32766;
/// A factor's unit: factors are 1 to 1.3, and no more than 2.
constexpr float factorUnit = 1.0F / 128;
constexpr float largestCode = 255;

/// What stands before the numbers of a prepared query; those follow as floats, then the tables.
struct alignas(64) PreparedQuery {
  double unit;     // of the tables' entries and the values
  double perTerm;  // what a bin's unit of terms is multiplied with
  std::int32_t zero;
};

/// What is added to all of a bin's terms, and their unit.
struct BinTerms {
  float first, unit;
};

struct Terms {
  FourBitLane factors, terms;
};

/// With a vector x = m + r (m its bin's mean) and r' the code's approximation of r, <q - m, r> is estimated
/// by f <q - m, r'> with the factor f = |r|^2 / <r, r'>, which makes it exact in r's own direction (RaBitQ:
/// Gao & Long, SIGMOD 2024), so that with all numbers counted from the center of all vectors
///   |q - x|^2 = |q - m|^2 - 2 f <q, r'> + (|r|^2 + 2 f <m, r'>)
///   -<q, x>   = -<q, m>   -   f <q, r'> + (f <m, r'> - <m + center, r>)   (less <q, center>; also for
///   cosine).
/// The first is computed once a bin, the products come from tables of the query alone, the factor and what
/// stands in brackets, the term, are stored with the codes in a byte each.
class FourBitScan final : public Scan {
 public:
  FourBitScan(const StoredBins& bins, const FourBitCodes& codes, const Job& job)
      : bins_(bins),
        means_(bins, codes.means, codes.columns),
        parts_(fourBitParts(bins.vectors.columns)),
        pairs_((parts_ + 1) / 2),
        codebooks_(codes.codebooks.size()),
        firstBlocks_(bins.offsets.size(), 0),
        binTerms_(bins.offsets.size() - 1) {
    for (std::size_t bin = 0; bin < binTerms_.size(); ++bin) {
      firstBlocks_[bin + 1] = firstBlocks_[bin] + (rowsOf(bin) + fourBitVectors - 1) / fourBitVectors;
    }
    for (std::size_t i = 0; i < codebooks_.size(); ++i) {
      const std::size_t part = i / (fourBitWidth * fourBitEntries), j = i % (fourBitWidth * fourBitEntries);
      const std::size_t entry = j / fourBitWidth, number = j % fourBitWidth;
      codebooks_[(part * fourBitWidth + number) * fourBitEntries + entry] = codes.codebooks[i];
    }
    const std::size_t bytes = firstBlocks_.back() * fourBitBlockBytes(pairs_);
    useHugePages(blocks_.require(bytes), bytes);
    parallelFor(binTerms_.size(), job.threads, [&](std::size_t bin) { fill(bin, codes.codes, job); });
    for (const BinTerms& terms : binTerms_) termUnit_ = std::max(termUnit_, terms.unit);
    for (const float number : codebooks_) largestNumber_ = std::max(largestNumber_, std::abs(number));
  }

  std::size_t preparedBytes() const override {
    return sizeof(PreparedQuery) + numbers() * sizeof(float) + 2 * tableBytes();
  }

  std::size_t vectorBytes() const override { return fourBitBlockBytes(pairs_) / fourBitVectors; }

  void prepare(const float* query, void* prepared) const override {
    auto* const header = static_cast<PreparedQuery*>(prepared);
    float* const numbersOfQuery = numbersOf(prepared);
    std::uint8_t* const tables = tablesOf(prepared);
    const std::size_t columns = bins_.vectors.columns;
    Scratch& scratch = threadScratch();
    const std::span centered(scratch.centered.require(fourBitWidth * parts_), fourBitWidth * parts_);
    centered.back() = 0;
    float largest = 0;
    std::fill_n(numbersOfQuery, numbers(), 0.0F);
    for (std::size_t c = 0; c < columns; ++c) {
      const float number = query[static_cast<std::size_t>(means_.columns()[c])];
      centered[c] = number - means_.center()[c];
      largest = std::max(largest, std::abs(centered[c]));
      numbersOfQuery[c] = isEuclidean() ? centered[c] : number;
    }

    const float scale = -productScale() * factorUnit * 256;
    for (float& number : centered) number *= scale;
    float* const products = scratch.products.require(parts_ * fourBitEntries);
    float* const lowest = scratch.lowest.require(parts_);
    const auto [widest, below, above] =
        fourBitKernels().multiply(centered.data(), codebooks_.data(), parts_, products, lowest);
    // Rounding adds up to a half on each side of a table's zero; for 2^15 parts that is half of what there
    // is.
    const double room = largestValue - 0.5 * static_cast<double>(parts_);
    const double unit = std::max({static_cast<double>(widest / largestEntry), below / room,
                                  (above + largestCode * static_cast<double>(termUnit_)) / room});
    // Not so where all distances are equal, or so large that floats do not tell them apart.
    const bool isUsable = unit >= std::numeric_limits<float>::min() &&
                          static_cast<double>(std::abs(scale)) * largest * largestNumber_ < largestProduct;
    header->unit = isUsable ? unit : 1;
    header->perTerm = isUsable ? 256 / unit : 0;
    header->zero = 0;
    std::memset(tables, 0, 2 * tableBytes());
    if (!isUsable) return;
    header->zero =
        fourBitKernels().round(products, lowest, parts_, static_cast<float>(1 / unit), tables, tableBytes());
  }

  std::optional<double> exactFrom(const void*) const override { return std::nullopt; }

  /// For k = 10, so many miss 0.2 to 0.9 % of the nearest that were scanned on word vectors, the hardest that
  /// were measured. An index learns at its build how many it needs.
  std::size_t candidatesFor(std::size_t k) const override { return 6 * k + 20; }

  void prefetch(Id bin) const override {
    const auto at = static_cast<std::size_t>(bin);
    prefetchMean(at);
    const auto blocks = blocksSpan(at);
    for (std::size_t i = 0; i < std::min(blocks.size(), prefetchedBytes); i += lineBytes)
      __builtin_prefetch(blocks.data() + i);
  }

  void scan(const void* prepared, Id bin, Shortlist& nearest) const override {
    scanAhead(prepared, bin, bin, nearest);
  }

  void scanAhead(const void* prepared, Id bin, Id next, Shortlist& nearest) const override {
    const auto at = static_cast<std::size_t>(bin);
    prefetchMean(static_cast<std::size_t>(next));
    BinQuery query = queryOf(prepared, at);
    Shortlist* const list = &nearest;
    const std::span<const std::uint8_t> ahead = blocksSpan(static_cast<std::size_t>(next));
    const std::size_t blockBytes = fourBitBlockBytes(pairs_), count = blocksIn(at),
                      bytes = count * blockBytes;
    const std::size_t calls = (count + blocksPerCall - 1) / blocksPerCall;
    // The kernel asks for as much as it compares; what the next bin has more, in equal shares before its
    // calls.
    const std::size_t end = std::min(ahead.size(), bytes + prefetchedAhead);
    const std::size_t share =
        calls == 0 || end <= bytes ? 0 : ((end - bytes) / lineBytes + calls) / calls * lineBytes;
    std::size_t asked = bytes;
    for (std::size_t block = 0; block < count; block += blocksPerCall) {
      for (const std::size_t stop = std::min(end, asked + share); asked < stop; asked += lineBytes)
        __builtin_prefetch(ahead.data() + asked, 0, 2);
      const std::size_t offset = block * blockBytes;
      compare({&query, 1}, at, block, offset < ahead.size() ? ahead.data() + offset : nullptr, {&list, 1});
    }
  }

  void scanTogether(std::span<const void* const> prepared, Id bin, std::span<Shortlist* const> nearest,
                    const Upcoming& next) const override {
    const auto at = static_cast<std::size_t>(bin);
    const std::size_t count = blocksIn(at);
    const std::size_t calls =
        std::max<std::size_t>(1, chunkBytes / (blocksPerCall * fourBitBlockBytes(pairs_)));
    const std::span<const std::uint8_t> ahead = next.bin && *next.bin != bin
                                                    ? blocksSpan(static_cast<std::size_t>(*next.bin))
                                                    : std::span<const std::uint8_t>{};
    if (next.bin) prefetchMean(static_cast<std::size_t>(*next.bin));
    for (std::size_t first = 0; first < prepared.size(); first += queriesPerChunk) {
      const std::size_t queries = std::min(queriesPerChunk, prepared.size() - first);
      std::array<BinQuery, queriesPerChunk> queriesOfBin;
      for (std::size_t i = 0; i < queries; ++i) queriesOfBin[i] = queryOf(prepared[first + i], at);
      for (std::size_t chunk = 0; chunk < count; chunk += calls * blocksPerCall) {
        const std::size_t end = std::min(count, chunk + calls * blocksPerCall);
        for (std::size_t i = 0; i < queries; i += fourBitQueriesTogether) {
          const std::size_t together = std::min(fourBitQueriesTogether, queries - i);
          if (chunk == 0) prefetchPrepared(prepared, next.prepared, first + queries + i, together);
          for (std::size_t block = chunk; block < end; block += blocksPerCall) {
            const std::size_t offset = block * fourBitBlockBytes(pairs_);
            const bool isAhead = first + i == 0 && offset < ahead.size();
            compare({queriesOfBin.data() + i, together}, at, block, isAhead ? ahead.data() + offset : nullptr,
                    nearest.subspan(first + i, together));
          }
        }
      }
    }
  }

 private:
  struct Scratch {
    AlignedBuffer<float> centered, products, lowest;
  };
  static Scratch& threadScratch() {
    thread_local Scratch scratch;
    return scratch;
  }

  /// A query as a bin sees it: distance = base + unit * value.
  struct BinQuery {
    FourBitQuery query;
    double base, unit;
  };

  bool isEuclidean() const { return bins_.metric == Metric::euclidean; }
  float productScale() const { return isEuclidean() ? 2 : 1; }
  std::size_t rowsOf(std::size_t bin) const {
    return static_cast<std::size_t>(bins_.offsets[bin + 1] - bins_.offsets[bin]);
  }
  std::uint8_t* blocksOf(std::size_t bin) const {
    return blocks_.data() + firstBlocks_[bin] * fourBitBlockBytes(pairs_);
  }
  std::size_t blocksIn(std::size_t bin) const { return firstBlocks_[bin + 1] - firstBlocks_[bin]; }
  std::span<const std::uint8_t> blocksSpan(std::size_t bin) const {
    return {blocksOf(bin), blocksIn(bin) * fourBitBlockBytes(pairs_)};
  }
  std::size_t numbers() const { return BinMeans::stride(bins_.vectors.columns); }
  std::size_t tableBytes() const {
    return (pairs_ + pairsTogether - 1) / pairsTogether * pairsTogether * fourBitEntries;
  }
  float* numbersOf(void* prepared) const {
    return reinterpret_cast<float*>(static_cast<PreparedQuery*>(prepared) + 1);
  }
  std::uint8_t* tablesOf(void* prepared) const {
    return reinterpret_cast<std::uint8_t*>(numbersOf(prepared) + numbers());
  }

  void prefetchMean(std::size_t bin) const {
    const auto* const mean = reinterpret_cast<const std::uint8_t*>(means_.differences(bin));
    for (std::size_t i = 0; i < std::min(numbers() * sizeof(std::uint16_t), prefetchedBytes); i += lineBytes)
      __builtin_prefetch(mean + i);
    __builtin_prefetch(&binTerms_[bin]);
  }

  /// Asks for those from `first` on, counted through both lists.
  void prefetchPrepared(std::span<const void* const> prepared, std::span<const void* const> next,
                        std::size_t first, std::size_t count) const {
    for (std::size_t i = first; i < std::min(first + count, prepared.size() + next.size()); ++i) {
      const void* const query = i < prepared.size() ? prepared[i] : next[i - prepared.size()];
      const auto* const bytes = static_cast<const std::uint8_t*>(query);
      for (std::size_t at = 0; at < preparedBytes(); at += lineBytes) __builtin_prefetch(bytes + at, 0, 2);
    }
  }

  /// |q - m|^2 or -<q, m>.
  double baseOf(const float* query, std::size_t bin) const {
    const std::uint16_t* const mean = means_.differences(bin);
    const double sum = isEuclidean() ? fourBitKernels().squaredDistance(query, mean, numbers())
                                     : -fourBitKernels().dotProduct(query, mean, numbers());
    return std::isfinite(sum) ? sum : static_cast<double>(std::numeric_limits<float>::max());
  }

  BinQuery queryOf(const void* prepared, std::size_t bin) const {
    const auto* const header = static_cast<const PreparedQuery*>(prepared);
    const auto* const query = reinterpret_cast<const float*>(header + 1);
    const auto* const tables = reinterpret_cast<const std::uint8_t*>(query + numbers());
    const BinTerms& terms = binTerms_[bin];
    const double termScale = std::nearbyint(header->perTerm * static_cast<double>(terms.unit));
    return {{tables, pairs_, static_cast<std::int16_t>(header->zero), static_cast<std::uint16_t>(termScale),
             0, nullptr, nullptr, 0},
            baseOf(query, bin) + static_cast<double>(terms.first),
            header->unit};
  }

  /// At least the greatest value whose distance, rounded to a float, is within the threshold.
  static std::int16_t thresholdOf(const BinQuery& query, float threshold) {
    const double reach = static_cast<double>(threshold) + std::abs(static_cast<double>(threshold)) * 0x1p-23;
    const double value = std::floor((reach - query.base) / query.unit) + 1;
    return static_cast<std::int16_t>(value < 32767 ? std::max(value, -32768.0) : 32767);
  }

  /// One call of the kernel, from `block` on, while as much from `next` on is asked for, if there is a next.
  void compare(std::span<const BinQuery> queries, std::size_t bin, std::size_t block,
               const std::uint8_t* next, std::span<Shortlist* const> nearest) const {
    constexpr std::size_t room = (blocksPerCall + 1) * fourBitVectors;
    std::uint32_t places[fourBitQueriesTogether][room];
    std::int32_t values[fourBitQueriesTogether][room];
    FourBitQuery tasks[fourBitQueriesTogether];
    for (std::size_t q = 0; q < queries.size(); ++q) {
      tasks[q] = queries[q].query;
      tasks[q].threshold = thresholdOf(queries[q], nearest[q]->threshold());
      tasks[q].places = places[q];
      tasks[q].values = values[q];
    }
    const std::uint8_t* const blocks = blocksOf(bin) + block * fourBitBlockBytes(pairs_);
    const std::size_t count = std::min(blocksPerCall, blocksIn(bin) - block);
    fourBitKernels().compare(tasks, queries.size(), blocks, count, next == nullptr ? blocks : next);
    const std::size_t rows = rowsOf(bin) - block * fourBitVectors;
    const auto firstRow =
        static_cast<std::uint32_t>(static_cast<std::size_t>(bins_.offsets[bin]) + block * fourBitVectors);
    constexpr float notANumber = std::numeric_limits<float>::quiet_NaN();
    float distances[room];
    for (std::size_t q = 0; q < queries.size(); ++q) {
      const std::size_t found = tasks[q].found;
      for (std::size_t i = 0; i < found; ++i) {
        const double distance = queries[q].base + queries[q].unit * values[q][i];
        distances[i] = places[q][i] < rows ? static_cast<float>(distance) : notANumber;
        places[q][i] += firstRow;
      }
      nearest[q]->offer({distances, found}, places[q]);
    }
  }

  /// Factors and what terms there are for up to 16 rows.
  Terms termsOf(std::size_t bin, std::span<const FourBitLane> residuals, const std::uint8_t* block) const {
    const FourBitOrder order = fourBitKernels().order;
    FourBitLane squares{}, products{}, withMean{}, meanProducts{};
    for (std::size_t part = 0; part < parts_; ++part) {
      const float* const entries = codebooks_.data() + part * fourBitEntries * fourBitWidth;
      std::array<std::uint8_t, fourBitVectors> codes;
      for (std::size_t v = 0; v < fourBitVectors; ++v)
        codes[v] = block[fourBitPlace(order, pairs_, part / 2, v)];
      for (std::size_t i = 0; i < fourBitWidth; ++i) {
        const std::size_t column = part * fourBitWidth + i;
        if (column == bins_.vectors.columns) break;
        const float difference = BinMeans::number(means_.differences(bin)[column]);
        const float mean = means_.mean(bin, column);
        const FourBitLane& residual = residuals[column];
        for (std::size_t v = 0; v < fourBitVectors; ++v) {
          const float entry = entries[i * fourBitEntries + (codes[v] >> (part % 2 * 4) & 15)];
          squares[v] += residual[v] * residual[v];
          products[v] += residual[v] * entry;
          withMean[v] += mean * residual[v];
          meanProducts[v] += difference * entry;
        }
      }
    }
    Terms terms;
    for (std::size_t v = 0; v < fourBitVectors; ++v) {
      const float wanted = products[v] > 0 ? squares[v] / (products[v] * factorUnit) : 0;
      terms.factors[v] = std::nearbyint(std::min(largestCode, wanted));
      const float own = isEuclidean() ? squares[v] : -withMean[v];
      const float term = own + productScale() * (terms.factors[v] * factorUnit) * meanProducts[v];
      terms.terms[v] = std::isfinite(term) ? term : std::numeric_limits<float>::max() / 4;
    }
    return terms;
  }

  void fill(std::size_t bin, std::span<const std::uint8_t> codes, const Job& job) {
    const auto begin = static_cast<std::size_t>(bins_.offsets[bin]);
    const std::size_t rows = rowsOf(bin), blockBytes = fourBitBlockBytes(pairs_);
    std::vector<FourBitLane> residuals(parts_ * fourBitWidth);
    std::vector<Terms> terms;
    for (std::size_t row = 0; row < rows; row += fourBitVectors) {
      job.check();
      std::uint8_t* const block = blocksOf(bin) + row / fourBitVectors * blockBytes;
      const std::size_t count = std::min(fourBitVectors, rows - row);
      std::memset(block, 0, blockBytes);
      for (std::size_t v = 0; v < count; ++v) {
        const std::uint8_t* const code = codes.data() + (begin + row + v) * pairs_;
        for (std::size_t pair = 0; pair < pairs_; ++pair)
          block[fourBitPlace(fourBitKernels().order, pairs_, pair, v)] = code[pair];
      }
      residualsOf(bins_, means_, bin, begin + row, count, 0, residuals);
      terms.push_back(termsOf(bin, residuals, block));
    }
    float lowest = std::numeric_limits<float>::max(), highest = std::numeric_limits<float>::lowest();
    for (std::size_t row = 0; row < rows; ++row) {
      const float term = terms[row / fourBitVectors].terms[row % fourBitVectors];
      lowest = std::min(lowest, term);
      highest = std::max(highest, term);
    }
    const float unit = rows == 0 ? 0 : highest / largestCode - lowest / largestCode;
    binTerms_[bin] = {rows == 0 ? 0 : lowest, unit};
    for (std::size_t row = 0; row < rows; ++row) {
      const Terms& ofBlock = terms[row / fourBitVectors];
      const std::size_t v = row % fourBitVectors;
      std::uint8_t* const factors =
          blocksOf(bin) + row / fourBitVectors * blockBytes + pairs_ * fourBitVectors;
      factors[v] = static_cast<std::uint8_t>(ofBlock.factors[v]);
      const float steps = unit > 0 ? (ofBlock.terms[v] - lowest) / unit : 0;
      factors[fourBitVectors + v] = static_cast<std::uint8_t>(std::min(std::nearbyint(steps), largestCode));
    }
  }

  StoredBins bins_;
  BinMeans means_;
  std::size_t parts_, pairs_;
  std::vector<float> codebooks_;          // parts x fourBitWidth x entries
  std::vector<std::size_t> firstBlocks_;  // of each bin, and the number of all
  std::vector<BinTerms> binTerms_;
  AlignedBuffer<std::uint8_t> blocks_;
  float termUnit_ = 0, largestNumber_ = 0;  // the largest of a bin, and of the codebooks
};

}  // namespace

std::unique_ptr<Scan> makeFourBitScan(const StoredBins& bins, const FourBitCodes& codes, const Job& job) {
  return std::make_unique<FourBitScan>(bins, codes, job);
}

}  // namespace neural_lsh::cpu
