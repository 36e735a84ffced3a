// Loops over arrays, shared out in pieces that are worth a thread's while.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../core/thread-pool.h"

namespace neural_lsh::cpu {

/// Numbers in a piece of a cheap element-wise loop: about ten microseconds.
constexpr std::size_t chunkNumbers = std::size_t{1} << 15;

/// Rows of `columns` numbers that make such a piece.
inline std::size_t chunkRows(std::size_t columns) {
  return std::max<std::size_t>(1, chunkNumbers / columns);
}

/// Runs body(begin, end) over [0, count) in pieces of `grain`, on at most `threads` threads. Where the pieces
/// begin does not depend on the number of threads; a single piece runs here and wakes nobody.
template <typename Body>
void forChunks(std::size_t count, std::size_t grain, std::size_t threads, const Body& body) {
  parallelFor((count + grain - 1) / grain, threads,
              [&](std::size_t chunk) { body(chunk * grain, std::min((chunk + 1) * grain, count)); });
}

}  // namespace neural_lsh::cpu
