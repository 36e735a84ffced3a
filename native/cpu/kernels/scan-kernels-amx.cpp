// Compiled with AMX: 16 queries against 16 vectors, 64 bytes of each, an instruction.
#include <cstring>

#include "scan-kernels.h"
#include "scan-select-avx512.inl"
#include "tiles-amx.inl"

namespace neural_lsh::cpu {
namespace {

/// A tile's row is a query's, or a block's group of dimensions.
constexpr std::size_t tileGroups = tileBytes / groupDimensions;
constexpr std::size_t blocksAtOnce = 2;
/// Fewer take as long as so many; one after the other they are faster.
constexpr std::size_t leastQueries = 4;
/// Longer vectors are left to the variant without tiles: their queries would not fit into the caches.
constexpr std::size_t mostSteps = 32;

static_assert(blockVectors * sizeof(std::int32_t) == tileBytes && groupBytes == tileBytes);
static_assert(tileRows <= mostQueriesTogether && tilePadding >= (tileGroups - 1) * groupBytes);

/// The queries' parts, a row each, and zeros beyond the last dimension and the last query.
class PackedQueries {
 public:
  PackedQueries(const ByteQuery* queries, std::size_t count, std::size_t groups)
      : steps_((groups + tileGroups - 1) / tileGroups) {
    pack(high_, queries, count, groups, &ByteQuery::high);
    if (queries[0].low != nullptr) pack(low_, queries, count, groups, &ByteQuery::low);
  }

  std::size_t steps() const { return steps_; }
  const std::int8_t* high() const { return high_; }
  const std::int8_t* low() const { return low_; }

 private:
  void pack(std::int8_t* to, const ByteQuery* queries, std::size_t count, std::size_t groups,
            const std::int8_t* ByteQuery::* part) const {
    const std::size_t bytes = groups * groupDimensions, stride = steps_ * tileBytes;
    for (std::size_t q = 0; q < count; ++q, to += stride) {
      std::memcpy(to, queries[q].*part, bytes);
      std::memset(to + bytes, 0, stride - bytes);
    }
    std::memset(to, 0, (tileRows - count) * stride);
  }

  std::size_t steps_;
  alignas(64) std::int8_t high_[tileRows * mostSteps * tileBytes];
  alignas(64) std::int8_t low_[tileRows * mostSteps * tileBytes];
};

/// Products of all queries with two blocks.
struct alignas(64) Products {
  std::int32_t of[2][blocksAtOnce][tileRows][blockVectors];  // with high and low parts
};

/// What is asked for meanwhile, a little at a time: a core waits for no more than some lines at once, and has
/// nothing on its way while it only computes.
class Upcoming {
 public:
  Upcoming(const std::uint8_t* begin, std::size_t bytes, std::size_t turns)
      : next_(begin), end_(begin + bytes), share_((bytes / tileBytes + turns - 1) / turns) {}

  void askForShare() {
    for (std::size_t i = 0; i < share_ && next_ < end_; ++i, next_ += tileBytes)
      _mm_prefetch(reinterpret_cast<const char*>(next_), _MM_HINT_T1);
  }

 private:
  const std::uint8_t *next_, *end_;
  std::size_t share_;
};

/// Of the queries' parts, `queries`, with two blocks. A block may be the second of the two, too. What lies
/// behind a block is multiplied with zeros.
void multiply(const std::int8_t* queries, std::size_t steps, const std::uint8_t* first,
              const std::uint8_t* second, std::int32_t (*products)[tileRows][blockVectors],
              Upcoming& upcoming) {
  _tile_zero(0);
  _tile_zero(1);
  for (std::size_t step = 0; step < steps; ++step) {
    upcoming.askForShare();
    _tile_loadd(2, queries + step * tileBytes, steps * tileBytes);
    _tile_loadd(4, first + step * tileGroups * groupBytes, groupBytes);
    _tile_dpbsud(0, 2, 4);
    _tile_loadd(4, second + step * tileGroups * groupBytes, groupBytes);
    _tile_dpbsud(1, 2, 4);
  }
  _tile_stored(0, products[0], tileBytes);
  _tile_stored(1, products[1], tileBytes);
}

template <bool LOW>
void compareTiles(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries, std::size_t queryCount) {
  const std::size_t blockBytes = byteBlockBytes(groups);
  const PackedQueries packed(queries, queryCount, groups);
  const Tiles tiles(tileRows, tileRows);
  Products products;
  for (std::size_t b = 0; b < blocks.count; b += blocksAtOnce) {
    const std::size_t count = blocks.count - b < blocksAtOnce ? blocks.count - b : blocksAtOnce;
    Upcoming upcoming(blocks.next + b * blockBytes, b < blocks.nextCount ? count * blockBytes : 0,
                      packed.steps() + queryCount);
    const auto* const first = blocks.blocks + b * blockBytes;
    const auto* const codes = first + blockVectors * sizeof(float);
    const auto* const last = codes + (count - 1) * blockBytes;
    multiply(packed.high(), packed.steps(), codes, last, products.of[0], upcoming);
    if constexpr (LOW) multiply(packed.low(), packed.steps(), codes, last, products.of[1], upcoming);
    for (std::size_t q = 0; q < queryCount; ++q) {
      upcoming.askForShare();
      for (std::size_t i = 0; i < count; ++i) {
        const __m512i high = _mm512_load_si512(products.of[0][i][q]);
        const __m512i low = LOW ? _mm512_load_si512(products.of[1][i][q]) : high;
        select(queries[q], reinterpret_cast<const float*>(first + i * blockBytes),
               static_cast<std::uint32_t>((b + i) * blockVectors), high, low, LOW);
      }
    }
  }
}

void compareWithoutTiles(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries,
                         std::size_t queryCount) {
  const std::size_t together = vnniScanKernels.queriesTogether;
  for (std::size_t q = 0; q < queryCount; q += together) {
    const std::size_t count = queryCount - q < together ? queryCount - q : together;
    vnniScanKernels.compareBytes(blocks, groups, queries + q, count);
  }
}

void compareBytes(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries, std::size_t queryCount) {
  if (queryCount < leastQueries || groups > mostSteps * tileGroups)
    return compareWithoutTiles(blocks, groups, queries, queryCount);
  for (std::size_t q = 0; q < queryCount; ++q) queries[q].found = 0;
  if (queries[0].low == nullptr) {
    compareTiles<false>(blocks, groups, queries, queryCount);
  } else {
    compareTiles<true>(blocks, groups, queries, queryCount);
  }
}

}  // namespace

ScanKernels amxScanKernels() {
  ScanKernels kernels = vnniScanKernels;
  kernels.queriesTogether = tileRows;
  kernels.compareBytes = compareBytes;
  return kernels;
}

}  // namespace neural_lsh::cpu
