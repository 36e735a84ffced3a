// What the allocator keeps.
#pragma once

namespace neural_lsh {

/// Gives memory that was freed, but that the C library keeps for later, back to the system, where it offers
/// that. A build calls it after its stages with much scratch memory, so that they do not add up.
void returnFreedMemory();

}  // namespace neural_lsh
