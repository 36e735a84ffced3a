// Compiled with AMX: 16 vectors by 16 others, 32 numbers of each, an instruction.
#include "split-products.h"
#include "tiles-amx.inl"

#define LANES 16
namespace neural_lsh::cpu {
namespace {
typedef std::uint32_t Vector __attribute__((vector_size(64), may_alias));
}  // namespace
}  // namespace neural_lsh::cpu
#include "transposition.inl"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t vectors = 2 * tileRows, step = tileBytes / 2, lanes = LANES;
constexpr std::size_t lineWords = tileBytes / sizeof(std::uint32_t), tileWords = tileRows * lineWords;

/// Of each step of a block: the higher halves of both tiles of vectors, then the lower ones.
constexpr std::size_t stepWords = 4 * tileWords, lowWords = 2 * tileWords;

/// Of floats: the upper 16 bits of each word are its bfloat16.
struct Split {
  __m512i high, low;
};

Split split(__m512 x) {
  const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
  const __m512i high = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
  const __m512i rest = _mm512_castps_si512(_mm512_sub_ps(x, _mm512_castsi512_ps(high)));
  return {high, _mm512_and_si512(_mm512_add_epi32(rest, half), upper)};
}

__mmask16 firstLanes(std::size_t count) {
  return static_cast<__mmask16>(count >= lanes ? 0xFFFFU : (1U << count) - 1);
}

std::size_t rest(std::size_t count, std::size_t taken) {
  return count > taken ? count - taken : 0;
}

/// Some of a vector, less the shift.
Split splitNumbers(const float* data, const float* shift, std::size_t count) {
  const __mmask16 mask = firstLanes(count);
  const __m512 numbers = _mm512_maskz_loadu_ps(mask, data);
  return split(shift == nullptr ? numbers : _mm512_sub_ps(numbers, _mm512_maskz_loadu_ps(mask, shift)));
}

/// The numbers that a vector has of a step, next to each other.
void packNumbers(const float* data, const float* shift, std::size_t depth, std::uint32_t* out) {
  const __m512i words = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31,
                                         29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  const Split first = splitNumbers(data, shift, depth),
              second =
                  splitNumbers(data + lanes, shift == nullptr ? nullptr : shift + lanes, rest(depth, lanes));
  _mm512_store_si512(out, _mm512_permutex2var_epi16(first.high, words, second.high));
  _mm512_store_si512(out + lowWords, _mm512_permutex2var_epi16(first.low, words, second.low));
}

/// Two numbers of each of 16 vectors, pair by pair.
void packPairs(const float* data, std::size_t stride, std::size_t count, std::size_t depth,
               std::uint32_t* out) {
  const Split even = split(_mm512_maskz_loadu_ps(firstLanes(count), data)),
              odd = depth < 2 ? Split{_mm512_setzero_si512(), _mm512_setzero_si512()}
                              : split(_mm512_maskz_loadu_ps(firstLanes(count), data + stride));
  _mm512_store_si512(out, _mm512_or_si512(_mm512_maskz_srli_epi32(0xFFFF, even.high, 16), odd.high));
  _mm512_store_si512(out + lowWords, _mm512_or_si512(_mm512_maskz_srli_epi32(0xFFFF, even.low, 16), odd.low));
}

void clear(std::uint32_t* line) {
  _mm512_store_si512(line, _mm512_setzero_si512());
  _mm512_store_si512(line + lowWords, _mm512_setzero_si512());
}

/// A tile, from its first vector and number on, of the format in which lines are the vectors, if these are
/// rows, or else are pairs of numbers.
void packTile(const SplitSource& source, std::size_t first, std::size_t p, std::size_t count,
              std::size_t depth, std::uint32_t* out) {
  const float* const data =
      source.data + (source.columns ? p * source.stride + first : first * source.stride + p);
  const float* const shift = source.shift == nullptr ? nullptr : source.shift + p;
  for (std::size_t line = 0; line < tileRows; ++line, out += lineWords) {
    if (source.columns && 2 * line < depth && count > 0) {
      packPairs(data + 2 * line * source.stride, source.stride, count, depth - 2 * line, out);
    } else if (!source.columns && line < count) {
      packNumbers(data + line * source.stride, shift, depth, out);
    } else {
      clear(out);
    }
  }
}

/// Lines of words become columns.
void transposeTile(std::uint32_t* tile) {
  Vector rows[LANES];
  for (std::size_t i = 0; i < LANES; ++i) rows[i] = *reinterpret_cast<const Vector*>(tile + i * lineWords);
  transpose(rows);
  for (std::size_t i = 0; i < LANES; ++i) *reinterpret_cast<Vector*>(tile + i * lineWords) = rows[i];
}

void pack(const SplitSource& source, bool linesAreVectors, std::size_t count, std::size_t depth,
          std::uint32_t* out) {
  for (std::size_t p = 0; p < depth; p += step, out += stepWords) {
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t first = half * tileRows;
      std::uint32_t* const tile = out + half * tileWords;
      packTile(source, first, p, rest(count, first), depth - p, tile);
      if (linesAreVectors != source.columns) continue;
      transposeTile(tile);
      transposeTile(tile + lowWords);
    }
  }
}

void packLeft(const SplitSource& source, std::size_t count, std::size_t depth, std::uint32_t* out) {
  pack(source, true, count, depth, out);
}

void packRight(const SplitSource& source, std::size_t count, std::size_t depth, std::uint32_t* out) {
  pack(source, false, count, depth, out);
}

void loadLeft(const std::uint32_t* tiles) {
  _tile_loadd(2, tiles, tileBytes);
  _tile_loadd(3, tiles + tileWords, tileBytes);
}

void loadRight(const std::uint32_t* tile) {
  _tile_loadd(4, tile, tileBytes);
}

void multiplyLoaded() {
  _tile_dpbf16ps(0, 2, 4);
  _tile_dpbf16ps(1, 3, 4);
}

/// high low + high high + low high, of all left vectors and of the right ones of a tile.
void multiplyPair(std::size_t steps, const std::uint32_t* left, const std::uint32_t* right, float* c,
                  std::size_t strideC, bool accumulate) {
  const std::size_t bytes = strideC * sizeof(float);
  float* const lower = c + tileRows * strideC;
  if (accumulate) {
    _tile_loadd(0, c, bytes);
    _tile_loadd(1, lower, bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
  }
  for (std::size_t i = 0; i < steps; ++i, left += stepWords, right += stepWords) {
    loadLeft(left);
    loadRight(right + lowWords);
    multiplyLoaded();
    loadRight(right);
    multiplyLoaded();
    loadLeft(left + lowWords);
    multiplyLoaded();
  }
  _tile_stored(0, c, bytes);
  _tile_stored(1, lower, bytes);
}

void multiply(std::size_t blocks, std::size_t steps, const std::uint32_t* left, std::size_t leftWords,
              const std::uint32_t* right, float* c, std::size_t strideC, bool accumulate) {
  const Tiles tiles(tileRows, tileRows);
  for (std::size_t i = 0; i < blocks; ++i, left += leftWords, c += vectors * strideC) {
    multiplyPair(steps, left, right, c, strideC, accumulate);
    multiplyPair(steps, left, right + tileWords, c + lanes, strideC, accumulate);
  }
}

}  // namespace

const SplitKernels amxSplitKernels = {vectors, step, stepWords, packLeft, packRight, multiply};

}  // namespace neural_lsh::cpu
