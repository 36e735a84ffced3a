// Compiled with AMX: 16 rows by 16 outputs, 64 inputs of each, an instruction.
#define LANES 16
#include "router-vectors.inl"
#include "tiles-amx.inl"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t tileQuads = tileBytes / ByteWeights::quadInputs;
/// Fewer take as long as so many; without tiles they are faster.
constexpr std::size_t leastRows = 6;
/// Rows and blocks of outputs at once, two tiles of each: every tile that is loaded is multiplied twice.
constexpr std::size_t rowsAtOnce = 2 * tileRows, blocksAtOnce = 2;

static_assert(ByteWeights::blockOutputs * sizeof(std::int32_t) == tileBytes);
static_assert(ByteWeights::padding >= (tileQuads - 1) * tileBytes);

struct alignas(64) Sums {
  std::int32_t of[2][blocksAtOnce][tileRows][ByteWeights::blockOutputs];  // of the first rows and the others
};

/// What lies behind a block is multiplied with the zeros behind a row.
template <std::size_t ROW_TILES, std::size_t BLOCKS>
void multiplyTiles(const ByteWeights& weights, std::size_t block, const std::uint8_t* bytes,
                   std::size_t strideBytes, Sums& sums) {
  const std::size_t steps = (weights.quads + tileQuads - 1) / tileQuads;
  const std::size_t blockBytes = weights.quads * tileBytes;
  const std::int8_t* const first = weights.bytes + block * blockBytes;
  _tile_zero(0);
  if constexpr (BLOCKS == 2) _tile_zero(1);
  if constexpr (ROW_TILES == 2) _tile_zero(2);
  if constexpr (ROW_TILES == 2 && BLOCKS == 2) _tile_zero(3);
  for (std::size_t step = 0; step < steps; ++step) {
    _tile_loadd(4, bytes + step * tileBytes, strideBytes);
    _tile_loadd(6, first + step * tileQuads * tileBytes, tileBytes);
    _tile_dpbusd(0, 4, 6);
    if constexpr (BLOCKS == 2) {
      _tile_loadd(7, first + blockBytes + step * tileQuads * tileBytes, tileBytes);
      _tile_dpbusd(1, 4, 7);
    }
    if constexpr (ROW_TILES == 2) {
      _tile_loadd(5, bytes + tileRows * strideBytes + step * tileBytes, strideBytes);
      _tile_dpbusd(2, 5, 6);
      if constexpr (BLOCKS == 2) _tile_dpbusd(3, 5, 7);
    }
  }
  _tile_stored(0, sums.of[0][0], tileBytes);
  if constexpr (BLOCKS == 2) _tile_stored(1, sums.of[0][1], tileBytes);
  if constexpr (ROW_TILES == 2) _tile_stored(2, sums.of[1][0], tileBytes);
  if constexpr (ROW_TILES == 2 && BLOCKS == 2) _tile_stored(3, sums.of[1][1], tileBytes);
}

template <std::size_t ROW_TILES>
void multiplyBlocks(const ByteWeights& weights, std::size_t begin, std::size_t end, const std::uint8_t* bytes,
                    std::size_t strideBytes, const ByteRange* ranges, std::size_t rows, float* out,
                    std::size_t strideOut) {
  Sums sums;
  for (std::size_t block = begin; block < end; block += blocksAtOnce) {
    const std::size_t blocks = end - block < blocksAtOnce ? end - block : blocksAtOnce;
    if (blocks == 2) {
      multiplyTiles<ROW_TILES, 2>(weights, block, bytes, strideBytes, sums);
    } else {
      multiplyTiles<ROW_TILES, 1>(weights, block, bytes, strideBytes, sums);
    }
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t b = 0; b < blocks; ++b) {
        Integers products[parts];
        __builtin_memcpy(&products, sums.of[row / tileRows][b][row % tileRows], sizeof(products));
        finish(weights, (block + b) * lanes, products, ranges[row],
               out + row * strideOut + (block + b - begin) * lanes);
      }
    }
  }
}

void multiply(const ByteWeights& weights, std::size_t begin, std::size_t end, const std::uint8_t* bytes,
              std::size_t strideBytes, const ByteRange* ranges, std::size_t rows, float* out,
              std::size_t strideOut) {
  while (rows >= leastRows) {
    const std::size_t count = rows < rowsAtOnce ? rows : rowsAtOnce;
    const Tiles tiles(count < tileRows ? count : tileRows, count < tileRows ? 0 : count - tileRows);
    const auto multiplyAll = count > tileRows ? multiplyBlocks<2> : multiplyBlocks<1>;
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
