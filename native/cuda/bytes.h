// Vectors whose numbers are all integers in 0 .. 255: their squared distances are exact in 32-bit integers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "interface.h"

namespace neural_lsh::cuda {

/// Sums of products of bytes, and distances made of them, fit into 32 bits up to so many.
inline constexpr std::size_t maxByteColumns = 32'768;

inline bool areBytes(NlshMatrix matrix) {
  constexpr std::size_t together = 4096;
  const std::size_t count = matrix.rows * matrix.columns;
  for (std::size_t first = 0; first < count; first += together) {
    bool here = true;
    for (std::size_t i = first; i < std::min(first + together, count); ++i) {
      const float value = std::clamp(matrix.data[i], 0.0F, 255.0F);
      here &= matrix.data[i] == static_cast<float>(static_cast<std::uint8_t>(value));
    }
    if (!here) return false;
  }
  return true;
}

}  // namespace neural_lsh::cuda
