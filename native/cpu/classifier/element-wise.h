// Element-wise work that is done in place or not.
#pragma once

#include <cstddef>

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

}  // namespace neural_lsh::cpu
