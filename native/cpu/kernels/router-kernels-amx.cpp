// Compiled with AMX: 16 rows by 16 outputs, 64 inputs of each, an instruction.
#define LANES 16
#include "router-vectors.inl"
#include "tiles-amx.inl"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t tileQuads = tileBytes / ByteWeights::quadInputs;
/// Fewer take as long as so many; without tiles they are faster.
constexpr std::size_t leastRows = 6;
/// Two tiles of rows: every one of weights that is loaded is multiplied twice.
constexpr std::size_t rowsAtOnce = 2 * tileRows;

static_assert(ByteWeights::blockOutputs * sizeof(std::int32_t) == tileBytes);
static_assert(ByteWeights::padding >= (tileQuads - 1) * tileBytes);

struct alignas(64) Sums {
  std::int32_t of[rowsAtOnce][ByteWeights::blockOutputs];
};

/// What lies behind a block is multiplied with the zeros behind a row.
template <bool PAIR>
void multiplyTiles(const ByteWeights& weights, std::size_t block, const std::uint8_t* bytes,
                   std::size_t strideBytes, Sums& sums) {
  const std::size_t steps = (weights.quads + tileQuads - 1) / tileQuads;
  const std::int8_t* const columns = weights.bytes + block * weights.quads * tileBytes;
  _tile_zero(0);
  if constexpr (PAIR) _tile_zero(1);
  for (std::size_t step = 0; step < steps; ++step) {
    _tile_loadd(4, columns + step * tileQuads * tileBytes, tileBytes);
    _tile_loadd(2, bytes + step * tileBytes, strideBytes);
    _tile_dpbusd(0, 2, 4);
    if constexpr (PAIR) {
      _tile_loadd(3, bytes + tileRows * strideBytes + step * tileBytes, strideBytes);
      _tile_dpbusd(1, 3, 4);
    }
  }
  _tile_stored(0, sums.of, tileBytes);
  if constexpr (PAIR) _tile_stored(1, sums.of + tileRows, tileBytes);
}

template <bool PAIR>
void multiplyBlocks(const ByteWeights& weights, std::size_t begin, std::size_t end, const std::uint8_t* bytes,
                    std::size_t strideBytes, const ByteRange* ranges, std::size_t rows, float* out,
                    std::size_t strideOut) {
  Sums sums;
  for (std::size_t block = begin; block < end; ++block) {
    multiplyTiles<PAIR>(weights, block, bytes, strideBytes, sums);
    for (std::size_t row = 0; row < rows; ++row) {
      Integers products[parts];
      __builtin_memcpy(&products, sums.of[row], sizeof(products));
      finish(weights, block * lanes, products, ranges[row], out + row * strideOut + (block - begin) * lanes);
    }
  }
}

void multiply(const ByteWeights& weights, std::size_t begin, std::size_t end, const std::uint8_t* bytes,
              std::size_t strideBytes, const ByteRange* ranges, std::size_t rows, float* out,
              std::size_t strideOut) {
  while (rows >= leastRows) {
    const std::size_t count = rows < rowsAtOnce ? rows : rowsAtOnce;
    const Tiles tiles(count < tileRows ? count : tileRows, count < tileRows ? 0 : count - tileRows);
    const auto multiplyAll = count > tileRows ? multiplyBlocks<true> : multiplyBlocks<false>;
    multiplyAll(weights, begin, end, bytes, strideBytes, ranges, count, out, strideOut);
    rows -= count;
    bytes += count * strideBytes;
    ranges += count;
    out += count * strideOut;
  }
  if (rows > 0)
    vnniRouterKernels.multiply(weights, begin, end, bytes, strideBytes, ranges, rows, out, strideOut);
}

}  // namespace

RouterKernels amxRouterKernels() {
  RouterKernels kernels = vnniRouterKernels;
  kernels.name = "amx";
  kernels.multiply = multiply;
  return kernels;
}

}  // namespace neural_lsh::cpu
