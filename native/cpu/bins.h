// Points grouped by bin, contiguous in memory.
#pragma once

#include <span>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

/// offsets (bins + 1) and ids (one a label) of the points grouped by label, ascending inside a bin: bin b holds rows
/// offsets[b] .. offsets[b + 1]. When `vectors` (labels.size() x columns) is not empty its rows are moved, in place,
/// to that order. Throws Error ERR_NLSH_ARGUMENT when a label is not in [0, bins), before anything is moved.
void groupIntoBins(std::span<const Id> labels, std::size_t bins, std::span<float> vectors, std::size_t columns,
                   std::span<Id> offsets, std::span<Id> ids, const Job& job);

}  // namespace neural_lsh::cpu
