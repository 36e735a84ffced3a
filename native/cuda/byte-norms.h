// Squared norms of rows of bytes, exact in 32 bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device.h"

namespace neural_lsh::cuda {

/// Byte: std::int8_t or std::uint8_t.
template <typename Byte>
void squareBytes(const Byte* rows, std::size_t count, std::size_t stride, std::int32_t* norms,
                 const Stream& stream);

}  // namespace neural_lsh::cuda
