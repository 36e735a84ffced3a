// Numbers as they lie in the device's memory: floats or, where products and convolutions of mixed precision
// read them, bf16, the upper half of a float.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../keys.h"
#include "../qualifiers.h"

namespace neural_lsh::cuda {

using Bf16 = std::uint16_t;

/// To nearest, ties to even; NaN stays NaN.
NLSH_BOTH inline Bf16 toBf16(float value) {
  const auto bits = bitsAs<std::uint32_t>(value);
  if (value != value) return static_cast<Bf16>(bits >> 16 | 0x40);
  return static_cast<Bf16>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
NLSH_BOTH inline float fromBf16(Bf16 value) {
  return bitsAs<float>(static_cast<std::uint32_t>(value) << 16);
}

enum class NumberType { float32, bfloat16 };

NLSH_BOTH constexpr std::size_t bytesOf(NumberType type) {
  return type == NumberType::float32 ? sizeof(float) : sizeof(Bf16);
}

/// Rows of numbers, each `stride` numbers behind the one before. What lies between the end of a row and the
/// next means nothing.
struct Numbers {
  void* data = nullptr;
  NumberType type = NumberType::float32;
  std::size_t stride = 0;

  NLSH_BOTH float at(std::size_t i) const {
    return type == NumberType::float32 ? static_cast<const float*>(data)[i]
                                       : fromBf16(static_cast<const Bf16*>(data)[i]);
  }
  NLSH_BOTH void put(std::size_t i, float value) const {
    if (type == NumberType::float32)
      static_cast<float*>(data)[i] = value;
    else
      static_cast<Bf16*>(data)[i] = toBf16(value);
  }
  /// From row number `row` on.
  NLSH_BOTH Numbers from(std::size_t row) const {
    return {static_cast<char*>(data) + row * stride * bytesOf(type), type, stride};
  }
  /// What are floats, and nothing else.
  NLSH_BOTH float* floats() const { return static_cast<float*>(data); }
};

NLSH_BOTH inline Numbers floatsAt(float* data, std::size_t stride) {
  return {data, NumberType::float32, stride};
}

}  // namespace neural_lsh::cuda
