// Compiled with AMX: floats as sums of two bfloat16 (split-products.h).
#include "float-products.h"
#include "panel-selection-avx512.inl"
#include "split-products.h"

namespace neural_lsh::cpu {
namespace {

/// Vectors of a panel, all of which are the rows of one call: two blocks of split-products.h. A panel holds
/// them as right operands, then as left ones.
constexpr std::size_t width = 64, blockVectors = 32, elements = 32, stepWords = 32;

void multiply(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, float* c,
              std::size_t strideC) {
  const std::size_t blockWords = steps * stepWords * blockVectors;
  const std::uint32_t* const left = a + width + width / blockVectors * blockWords;
  const std::uint32_t* right = b + width;
  for (std::size_t j = 0; j < width; j += blockVectors, right += blockWords)
    amxSplitKernels.multiply(width / blockVectors, steps, left, blockWords, right, c + j, strideC, false);
}

std::size_t select(std::size_t steps, const std::uint32_t* a, const std::uint32_t* b, float scale,
                   TileSide<float> rows, TileSide<float> columns, TilePair<float>* out) {
  alignas(64) float products[width * width];
  multiply(steps, a, b, products, width);
  const auto scaled = [scale](__m512 x) { return _mm512_mul_ps(x, _mm512_set1_ps(scale)); };
  return selectFrom<width>(products, rows, columns, out, scaled);
}

}  // namespace

const PanelKernels<float> amxFloatPanels = {"amx",     elements, stepWords, width, width,
                                            stepWords, 0,        multiply,  select};

}  // namespace neural_lsh::cpu
