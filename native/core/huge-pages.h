// Large pages for what is read all over: with small ones, most reads would miss the table of pages.
#pragma once

#include <cstddef>

namespace neural_lsh {

/// Asks for large pages before the memory is written for the first time; only a wish.
void useHugePages(void* memory, std::size_t bytes);

/// The same for memory that is already in use: what it holds is moved. Waits for that.
void moveToHugePages(const void* memory, std::size_t bytes);

}  // namespace neural_lsh
