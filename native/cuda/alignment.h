// What numbers are rounded up to.
#pragma once

#include <cstddef>

#include "qualifiers.h"

namespace neural_lsh::cuda {

NLSH_BOTH constexpr std::size_t divideUp(std::size_t count, std::size_t by) {
  return (count + by - 1) / by;
}
NLSH_BOTH constexpr std::size_t roundUp(std::size_t count, std::size_t to) {
  return divideUp(count, to) * to;
}

/// Operands of products have this many rows and columns or a multiple of it, whatever their type: all kernels
/// of cuBLASLt take them so. What is given to it must begin at a multiple of 256 bytes, which any such number
/// of rows keeps.
inline constexpr std::size_t operandAlignment = 16;
NLSH_BOTH constexpr std::size_t roundUpToOperands(std::size_t count) {
  return roundUp(count, operandAlignment);
}

}  // namespace neural_lsh::cuda
