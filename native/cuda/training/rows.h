// What is done with one row of numbers by lanes that work on it together (lanes.h, block.h). A lane has the
// entries of its own number, and every so many after it; what it writes, only it reads again.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../qualifiers.h"
#include "numbers.h"
#include "random.h"

namespace neural_lsh::cuda {

template <typename Lanes, typename Body>
NLSH_BOTH void forOwned(const Lanes& lanes, std::size_t count, const Body& body) {
  for (std::size_t i = lanes.index(); i < count; i += Lanes::count) body(i);
}

template <typename Lanes>
NLSH_BOTH bool owns(const Lanes& lanes, std::size_t i) {
  return i % Lanes::count == lanes.index();
}

/// As cpu/classifier/input-transform.h; noise: the deviation of what is added to it, drawn from Random(seed).
struct InputRule {
  const float *mean, *scale;
  bool unitLength;
  double noise;
};

template <typename Lanes>
NLSH_BOTH void transformRow(const Lanes& lanes, const InputRule& rule, const float* row, std::size_t inputs,
                            std::uint64_t seed, const Numbers& out) {
  double squared = 0;
  if (rule.unitLength) {
    forOwned(lanes, inputs, [&](std::size_t c) { squared += static_cast<double>(row[c]) * row[c]; });
    squared = lanes.sum(squared);
  }
  const double toUnit = squared > 0 ? 1 / std::sqrt(squared) : 0;
  const auto transformed = [&](std::size_t c) {
    const float value = rule.unitLength ? static_cast<float>(row[c] * toUnit) : row[c];
    return (value - rule.mean[c]) * rule.scale[c];
  };
  if (rule.noise == 0) {
    forOwned(lanes, inputs, [&](std::size_t c) { out.put(c, transformed(c)); });
    return;
  }
  forOwned(lanes, (inputs + 1) / 2, [&](std::size_t pair) {
    const auto [first, second] = normalsOf(seed, pair);
    const std::size_t c = 2 * pair;
    out.put(c, transformed(c) + static_cast<float>(rule.noise * first));
    if (c + 1 < inputs) out.put(c + 1, transformed(c + 1) + static_cast<float>(rule.noise * second));
  });
}

/// How many of the values come before number `index` when the largest come first, ties by smaller number.
template <typename Lanes>
NLSH_BOTH std::size_t rankOf(const Lanes& lanes, const float* values, std::size_t count, std::size_t index) {
  const float value = values[index];
  std::uint32_t before = 0;
  forOwned(lanes, count,
           [&](std::size_t i) { before += values[i] > value || (values[i] == value && i < index); });
  return lanes.sum(before);
}

}  // namespace neural_lsh::cuda
