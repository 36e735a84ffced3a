// Products of float vectors from panels (panels.h).
#pragma once

#include "panels.h"

namespace neural_lsh::cpu {

extern const PanelKernels<float> baselineFloatPanels;
#ifdef NEURAL_LSH_X86
extern const PanelKernels<float> avx2FloatPanels;
extern const PanelKernels<float> avx512FloatPanels;
extern const PanelKernels<float> amxFloatPanels;
#endif

/// The fastest variant that this CPU runs (instruction-set.h) and that multiplies floats as floats: <a, b> is
/// <b, a>, bit for bit.
const PanelKernels<float>& floatPanels();

/// The fastest of all for vectors of this depth, which may round them (split-products.h): where products only
/// say what is looked at again.
const PanelKernels<float>& coarseFloatPanels(std::size_t depth);

/// How far a product can be from the true <a, b>: relative to |a| |b|, and relative to |a| + |b|, from
/// numbers too small to be told from zero (Higham, "Accuracy and Stability of Numerical Algorithms", sec.
/// 3.1).
struct ProductError {
  double relative, underflow;
};
ProductError productError(const PanelKernels<float>& panels, std::size_t depth);

/// Packs vectors (element p of vector i at data[i * stride + p]), minus `shift` where it is not nullptr, into
/// panels one after the other, at a multiple of 64 bytes; the last is filled up with zeros.
void packFloats(const PanelKernels<float>& panels, const float* data, std::size_t stride, std::size_t count,
                std::size_t depth, const float* shift, std::uint32_t* out);

}  // namespace neural_lsh::cpu
