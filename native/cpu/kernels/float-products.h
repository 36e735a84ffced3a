// Products of float vectors from panels (panels.h).
#pragma once

#include "panels.h"

namespace neural_lsh::cpu {

extern const PanelKernels<float> baselineFloatPanels;
#ifdef NEURAL_LSH_X86
extern const PanelKernels<float> avx2FloatPanels;
extern const PanelKernels<float> avx512FloatPanels;
#endif

/// The fastest variant that this CPU runs (instruction-set.h).
const PanelKernels<float>& floatPanels();

/// Packs vectors (element p of vector i at data[i * stride + p]), minus `shift` where it is not nullptr, into
/// panels one after the other; the last is filled up with zeros.
void packFloats(const float* data, std::size_t stride, std::size_t count, std::size_t depth,
                const float* shift, std::uint32_t* out);

}  // namespace neural_lsh::cpu
