#include "bins.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "../core/error.h"
#include "chunks.h"

namespace neural_lsh::cpu {
namespace {

/// Row p becomes row order[p], along the permutation's cycles: one row of extra memory.
void permuteRows(std::span<float> vectors, std::size_t columns, std::span<const Id> order) {
  std::vector<bool> placed(order.size(), false);
  std::vector<float> saved(columns);
  const auto row = [&](std::size_t i) { return vectors.begin() + static_cast<std::ptrdiff_t>(i * columns); };
  for (std::size_t start = 0; start < order.size(); ++start) {
    if (placed[start]) continue;
    std::copy_n(row(start), columns, saved.begin());
    std::size_t current = start;
    for (auto source = static_cast<std::size_t>(order[current]); source != start;
         source = static_cast<std::size_t>(order[current])) {
      std::copy_n(row(source), columns, row(current));
      placed[current] = true;
      current = source;
    }
    std::copy_n(saved.begin(), columns, row(current));
    placed[current] = true;
  }
}

}  // namespace

void groupIntoBins(std::span<const Id> labels, std::size_t bins, std::span<Id> offsets, std::span<Id> ids) {
  std::fill(offsets.begin(), offsets.end(), 0);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || static_cast<std::size_t>(labels[i]) >= bins) {
      throw argumentError("labels", "row " + std::to_string(i) + " has the label " +
                                        std::to_string(labels[i]) + "; labels must be in [0, " +
                                        std::to_string(bins) + ")");
    }
    ++offsets[static_cast<std::size_t>(labels[i]) + 1];
  }
  for (std::size_t b = 0; b < bins; ++b) offsets[b + 1] += offsets[b];
  std::vector<Id> next(offsets.begin(), offsets.end() - 1);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ids[static_cast<std::size_t>(next[static_cast<std::size_t>(labels[i])]++)] = static_cast<Id>(i);
  }
}

void reorderRows(const Matrix& from, std::span<const Id> order, std::span<float> to, const Job& job) {
  job.check();
  if (to.data() == from.data) {
    permuteRows(to, from.columns, order);
    return;
  }
  forChunks(from.rows, chunkRows(from.columns), job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    for (std::size_t i = begin; i < end; ++i) {
      std::copy_n(from.row(static_cast<std::size_t>(order[i])), from.columns, to.data() + i * from.columns);
    }
  });
}

void reorderRows(const Matrix& from, std::span<const Id> order, std::span<std::uint8_t> to, const Job& job) {
  forChunks(from.rows, chunkRows(from.columns), job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    for (std::size_t i = begin; i < end; ++i) {
      const float* row = from.row(static_cast<std::size_t>(order[i]));
      std::transform(row, row + from.columns, to.data() + i * from.columns,
                     [](float value) { return static_cast<std::uint8_t>(static_cast<int>(value)); });
    }
  });
}

bool areBytes(const Matrix& vectors, const Job& job) {
  std::atomic<bool> found{true};
  forChunks(vectors.rows, chunkRows(vectors.columns), job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    if (!found.load(std::memory_order_relaxed)) return;
    // A float plus 2^23 is rounded to an integer. What is not a number is not equal to itself.
    constexpr float rounding = 0x1p23F;
    const float *value = vectors.row(begin), *last = vectors.row(end);
    unsigned others = 0;
    for (; value != last; ++value) {
      others |=
          static_cast<unsigned>(!(*value >= 0 && *value <= 255 && (*value + rounding) - rounding == *value));
    }
    if (others != 0) found.store(false, std::memory_order_relaxed);
  });
  return found;
}

}  // namespace neural_lsh::cpu
