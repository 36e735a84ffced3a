#include "float-products.h"

#include <algorithm>
#include <cmath>

#include "instruction-set.h"
#include "kernels.h"
#include "split-products.h"

namespace neural_lsh::cpu {
namespace {

bool splits(const PanelKernels<float>& panels) {
  return panels.stepWords > 1;
}

/// A panel of floats, all of whose vectors' first numbers stand before the second ones.
void packPlain(const float* data, std::size_t stride, std::size_t count, std::size_t depth, std::size_t width,
               const float* shift, float* out) {
  kernels().packRows(data, stride, count, depth, width, out);
  if (shift == nullptr) return;
  for (std::size_t p = 0; p < depth; ++p) {
    for (std::size_t v = 0; v < count; ++v) out[p * width + v] -= shift[p];
  }
}

/// A panel of split floats: blocks of vectors as right operands, then as left ones.
void packSplit(const float* data, std::size_t stride, std::size_t count, std::size_t depth, std::size_t width,
               const float* shift, std::uint32_t* out) {
  const SplitKernels& kernel = *splitKernels();
  const std::size_t blockWords = (depth + kernel.step - 1) / kernel.step * kernel.stepWords;
  std::uint32_t* left = out + width / kernel.vectors * blockWords;
  for (std::size_t v = 0; v < width; v += kernel.vectors, out += blockWords, left += blockWords) {
    const std::size_t vectors = v < count ? std::min(kernel.vectors, count - v) : 0;
    const SplitSource source{data + v * stride, stride, false, shift};
    kernel.packRight(source, vectors, depth, out);
    kernel.packLeft(source, vectors, depth, left);
  }
}

}  // namespace

const PanelKernels<float>& floatPanels() {
#ifdef NEURAL_LSH_X86
  static const PanelKernels<float>& picked = instructionSet() >= InstructionSet::avx512 ? avx512FloatPanels
                                             : instructionSet() >= InstructionSet::avx2 ? avx2FloatPanels
                                                                                        : baselineFloatPanels;
  return picked;
#else
  return baselineFloatPanels;
#endif
}

const PanelKernels<float>& coarseFloatPanels(std::size_t depth) {
#ifdef NEURAL_LSH_X86
  constexpr std::size_t leastDepth = 16;  // below, most of what is multiplied in tiles fills them up
  if (depth >= leastDepth && splitKernels() != nullptr) return amxFloatPanels;
#endif
  return floatPanels();
}

ProductError productError(const PanelKernels<float>& panels, std::size_t depth) {
  constexpr double addition = 1.01 * 0x1.0p-24;
  if (splits(panels)) {
    // What is left of a float after two bfloat16, 2^-17 of each factor, and the product of their lower
    // halves, 2^-8 of each; then the sums, in any order, of three products for each of the numbers.
    return {1.01 * 0x1.0p-15 + addition * 3 * static_cast<double>(depth),
            std::sqrt(static_cast<double>(depth)) * 0x1.0p-125};
  }
  // Additions one after the other: those of a block, those of the blocks.
  const std::size_t block = std::min(depth, panelBlockSteps), blocks = depth / panelBlockSteps + 1;
  return {addition * static_cast<double>(block + blocks), 0};
}

void packFloats(const PanelKernels<float>& panels, const float* data, std::size_t stride, std::size_t count,
                std::size_t depth, const float* shift, std::uint32_t* out) {
  const std::size_t width = panels.panelWidth;
  for (std::size_t first = 0; first < count; first += width, out += panels.panelWords(depth)) {
    const float* const vectors = data + first * stride;
    const std::size_t some = std::min(width, count - first);
    std::fill_n(out, width, 0);
    if (splits(panels)) {
      packSplit(vectors, stride, some, depth, width, shift, out + width);
    } else {
      packPlain(vectors, stride, some, depth, width, shift, reinterpret_cast<float*>(out + width));
    }
  }
}

}  // namespace neural_lsh::cpu
