// What the allocator keeps.
#pragma once

namespace neural_lsh {

/// Gives memory that was freed, but that the C library keeps for later, back to the system, where it offers
/// that. Called after what takes much scratch memory: stages of a build, which would add up, and opening an
/// index, which a service keeps for days.
void returnFreedMemory();

}  // namespace neural_lsh
