// A distance and an id in one integer that orders by distance, then by id.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "qualifiers.h"

namespace neural_lsh::cuda {

using Id = std::int32_t;
using Key = std::uint64_t;

/// After all others; stands for nothing.
inline constexpr Key noKey = ~Key{0};

template <typename To, typename From>
NLSH_BOTH inline To bitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

/// Unsigned integers in the order of the numbers; -0 as 0.
NLSH_BOTH inline std::uint32_t orderedBits(float value) {
  const auto bits = bitsAs<std::uint32_t>(value + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
/// At least 0.
NLSH_BOTH inline std::uint32_t orderedBits(std::int32_t value) {
  return static_cast<std::uint32_t>(value);
}

template <typename Value>
NLSH_BOTH inline Value fromOrderedBits(std::uint32_t ordered) {
  if constexpr (std::is_integral_v<Value>) {
    return static_cast<Value>(ordered);
  } else {
    return bitsAs<float>((ordered & 0x80000000U) != 0 ? ordered & 0x7FFFFFFFU : ~ordered);
  }
}

template <typename Value>
NLSH_BOTH inline Key keyOf(Value distance, Id id) {
  return static_cast<Key>(orderedBits(distance)) << 32 | static_cast<std::uint32_t>(id);
}
template <typename Value>
NLSH_BOTH inline Value keyDistance(Key key) {
  return fromOrderedBits<Value>(static_cast<std::uint32_t>(key >> 32));
}
NLSH_BOTH inline Id keyId(Key key) {
  return static_cast<Id>(key & 0xFFFFFFFFU);
}

/// A candidate whose distance was computed in double precision.
struct RankedPoint {
  double distance;
  Id id;
};
NLSH_BOTH inline bool operator<(const RankedPoint& a, const RankedPoint& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
}

}  // namespace neural_lsh::cuda
