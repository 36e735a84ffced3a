// The numbers of core/random.h, each by itself: the generator's state is its seed plus a multiple of a
// constant, so that thread i can draw number i without those before it.
#pragma once

#include <cmath>
#include <cstdint>

#include "../qualifiers.h"

namespace neural_lsh::cuda {

/// Output number `number`, from 0, of Random(seed).
NLSH_BOTH inline std::uint64_t outputOf(std::uint64_t seed, std::uint64_t number) {
  std::uint64_t z = seed + (number + 1) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

NLSH_BOTH inline double uniformOf(std::uint64_t seed, std::uint64_t number) {
  return static_cast<double>(outputOf(seed, number) >> 11) * 0x1.0p-53;
}

struct Normals {
  double first, second;
};

/// What call number `pair` of Random(seed).normals() gives.
NLSH_BOTH inline Normals normalsOf(std::uint64_t seed, std::uint64_t pair) {
  constexpr double pi = 3.14159265358979323846;
  const double radius = std::sqrt(-2 * std::log(1 - uniformOf(seed, 2 * pair)));
  const double angle = 2 * pi * uniformOf(seed, 2 * pair + 1);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// Dropout as cpu/classifier/layers.cpp has it: a number's lot is 16 bits, of which an output has four.
struct Dropping {
  std::uint32_t threshold;  // lots below it are dropped
  float scale;              // of what stays

  NLSH_BOTH float apply(std::uint64_t seed, std::uint64_t position, float value) const {
    const std::uint64_t lot = (outputOf(seed, position / 4) >> (16 * (position % 4))) & 0xFFFF;
    return lot < threshold ? 0.0F : value * scale;
  }
};

inline Dropping droppingOf(double rate) {
  const double lots = std::round(rate * 65536);
  const auto threshold = static_cast<std::uint32_t>(lots < 65535 ? lots : 65535);
  return {threshold, 65536.0F / static_cast<float>(65536 - threshold)};
}

}  // namespace neural_lsh::cuda
