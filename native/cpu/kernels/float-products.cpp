#include "float-products.h"

#include <algorithm>

#include "instruction-set.h"
#include "kernels.h"

namespace neural_lsh::cpu {

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

void packFloats(const float* data, std::size_t stride, std::size_t count, std::size_t depth,
                const float* shift, std::uint32_t* out) {
  const std::size_t width = floatPanels().panelWidth;
  for (std::size_t first = 0; first < count; first += width, out += floatPanels().panelWords(depth)) {
    const std::size_t vectors = std::min(width, count - first);
    std::fill_n(out, width, 0);
    float* const panel = reinterpret_cast<float*>(out + width);
    kernels().packRows(data + first * stride, stride, vectors, depth, width, panel);
    if (shift == nullptr) continue;
    for (std::size_t p = 0; p < depth; ++p) {
      for (std::size_t v = 0; v < vectors; ++v) panel[p * width + v] -= shift[p];
    }
  }
}

}  // namespace neural_lsh::cpu
