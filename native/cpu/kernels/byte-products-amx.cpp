// Compiled with AMX: 16 vectors by 16 others, 64 bytes of each, an instruction.
#include "byte-products.h"
#include "panel-selection-avx512.inl"
#include "tiles-amx.inl"

namespace neural_lsh::cpu {
namespace {

/// Vectors of a panel, all of which are the rows of one call: it takes as long to shape the tiles as to
/// multiply some.
constexpr std::size_t width = 4 * tileRows;
constexpr std::size_t elements = 4;
constexpr std::size_t tileWords = tileBytes / sizeof(std::uint32_t);

/// Two tiles of rows, one after the other, by one of columns, side by side.
void multiplyPair(std::size_t steps, const std::uint32_t* rows, std::size_t rowWords,
                  const std::uint32_t* lines, std::int32_t* c, std::size_t strideC) {
  const std::size_t rowBytes = rowWords * sizeof(std::uint32_t), lineBytes = width * sizeof(std::uint32_t);
  _tile_zero(0);
  _tile_zero(1);
  for (std::size_t step = 0; step < steps; step += tileWords) {
    _tile_loadd(4, lines + step * width, lineBytes);
    _tile_loadd(2, rows + step, rowBytes);
    _tile_dpbuud(0, 2, 4);
    _tile_loadd(2, rows + tileRows * rowWords + step, rowBytes);
    _tile_dpbuud(1, 2, 4);
  }
  const std::size_t bytesC = strideC * sizeof(std::int32_t);
  _tile_stored(0, c, bytesC);
  _tile_stored(1, c + tileRows * strideC, bytesC);
}

/// What is read behind the last line belongs to the panel's rows and is multiplied with their zeros.
void multiply(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, std::int32_t* c,
              std::size_t strideC) {
  const std::size_t rowWords = (steps + tileWords - 1) / tileWords * tileWords;
  const std::uint32_t* const rows = a + width * (1 + steps);
  const std::uint32_t* const lines = b + width;
  const Tiles tiles(tileRows, tileRows);
  for (std::size_t i = 0; i < width; i += 2 * tileRows) {
    for (std::size_t j = 0; j < width; j += tileRows)
      multiplyPair(steps, rows + i * rowWords, rowWords, lines + j, c + i * strideC + j, strideC);
  }
}

std::size_t select(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, std::int32_t scale,
                   TileSide<std::int32_t> rows, TileSide<std::int32_t> columns, TilePair<std::int32_t>* out) {
  alignas(64) std::int32_t products[width * width];
  multiply(steps, a, b, products, width);
  if (scale == -2) {  // a multiplication of integers takes as long as all the rest
    const auto twice = [](__m512i x) {
      return _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_add_epi32(x, x));
    };
    return selectFrom<width>(products, rows, columns, out, twice);
  }
  const auto scaled = [scale](__m512i x) { return _mm512_mullo_epi32(x, _mm512_set1_epi32(scale)); };
  return selectFrom<width>(products, rows, columns, out, scaled);
}

}  // namespace

const PanelKernels<std::int32_t> amxBytePanels = {"amx",     elements, 1,        width, width,
                                                  tileWords, 0,        multiply, select};

}  // namespace neural_lsh::cpu
