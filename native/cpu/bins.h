// Points grouped by bin, contiguous in memory.
#pragma once

#include <cstdint>
#include <span>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

/// offsets (bins + 1) and ids (one a label) of the points grouped by label, ascending inside a bin: bin b
/// holds rows offsets[b] .. offsets[b + 1]. Throws Error ERR_NLSH_ARGUMENT when a label is not in [0, bins).
void groupIntoBins(std::span<const Id> labels, std::size_t bins, std::span<Id> offsets, std::span<Id> ids);

/// Row i of `to` becomes row order[i] of `from`; order is a permutation. `to` has from's size and may be
/// from's own memory, whose rows are then moved along the permutation's cycles.
void reorderRows(const Matrix& from, std::span<const Id> order, std::span<float> to, const Job& job);

/// The same where all numbers are integers in 0 .. 255 (areBytes).
void reorderRows(const Matrix& from, std::span<const Id> order, std::span<std::uint8_t> to, const Job& job);

/// Whether all numbers are integers in 0 .. 255.
bool areBytes(const Matrix& vectors, const Job& job);

}  // namespace neural_lsh::cpu
