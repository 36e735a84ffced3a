// Loops over numbers in a form that the compiler vectorizes.
#pragma once

#include <cstddef>

#include "../kernels/kernels.h"

namespace neural_lsh::cpu {

/// out[i] = function(in[i], i) for i < count; `out` may be `in`. Either way the compiler sees arrays that do
/// not overlap, and vectorizes.
template <typename Real, typename Function>
inline void mapNumbers(const Real* in, std::size_t count, Real* out, const Function& function) {
  if (in == out) {
    for (std::size_t i = 0; i < count; ++i) out[i] = function(out[i], i);
  } else {
    for (std::size_t i = 0; i < count; ++i) out[i] = function(in[i], i);
  }
}

/// The largest of at least one number; NaN counts only where it comes first in its lane.
template <typename Real>
inline Real largestOf(const Real* values, std::size_t count) {
  constexpr std::size_t lanes = 16;
  Real largest[lanes];
  for (Real& lane : largest) lane = values[0];
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      largest[lane] = values[i + lane] > largest[lane] ? values[i + lane] : largest[lane];
    }
  }
  for (; i < count; ++i) largest[0] = values[i] > largest[0] ? values[i] : largest[0];
  for (std::size_t lane = 1; lane < lanes; ++lane) {
    largest[0] = largest[lane] > largest[0] ? largest[lane] : largest[0];
  }
  return largest[0];
}
inline float largestOf(const float* values, std::size_t count) {
  return kernels().largest(values, count);
}

}  // namespace neural_lsh::cpu
