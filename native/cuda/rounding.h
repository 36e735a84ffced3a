// How far rounded products of matrices can be from the true ones.
#pragma once

#include <cmath>
#include <cstddef>

#include "interface.h"
#include "keys.h"
#include "qualifiers.h"

namespace neural_lsh::cuda {

/// How the operands of a product are rounded before, and its sums.
struct ProductRounding {
  double operand;    // relative, of each number
  double subnormal;  // absolute, of each number
  double addition;   // relative, of each addition
};

/// To the nearest number that tensor cores read of a float, 10 bits behind the point; ties away from zero.
NLSH_BOTH inline float toTensorFloat32(float value) {
  return bitsAs<float>((bitsAs<std::uint32_t>(value) + 0x1000U) & 0xFFFFE000U);
}

/// `unit`: the numbers were multiplied by that before they were rounded (1 but for half precision, whose
/// range is small). Tensor cores do not round sums to nearest: for them two bits more are counted than float
/// has.
inline ProductRounding productRounding(NlshPrecision precision, double unit) {
  constexpr double tensorAddition = 0x1.0p-22;
  switch (precision) {
    case NLSH_TF32:
      return {0x1.0p-11, 0, tensorAddition};
    case NLSH_BF16:
      return {0x1.0p-8, 0, tensorAddition};
    case NLSH_FP16:
      return {0x1.0p-11, 0x1.0p-25 / unit, tensorAddition};
    default:
      return {0, 0, 0x1.0p-24};
  }
}

/// One side of a distance: |x| and the term that is added to the product (distance-tiles.h of the CPU).
struct TileMagnitude {
  double norm, term;
};

/// How far a tile's distance term + term' + scale * <x, x'> can be from the true one, for any x' up to `most`
/// (Higham, "Accuracy and Stability of Numerical Algorithms", sec. 3.1). Holds for any order of the
/// additions.
NLSH_BOTH inline double tileError(const ProductRounding& rounding, std::size_t columns, double scale,
                                  TileMagnitude one, TileMagnitude most) {
  const double products = fabs(scale) * one.norm * most.norm;
  // Both operands; 1.01 covers what is of second order.
  const double lost = rounding.subnormal * sqrt(static_cast<double>(columns));
  const double operands =
      1.01 * (2 * rounding.operand * products + fabs(scale) * lost * (one.norm + most.norm + lost));
  const double chain =
      static_cast<double>(columns) + 8;  // 8: for the subtraction of the shift and the padding
  return operands + 1.01 * chain * rounding.addition * products +
         16 * 0x1.0p-24 * (one.term + most.term + products) + static_cast<double>(columns) * 0x1.0p-125;
}

}  // namespace neural_lsh::cuda
