#include "huge-pages.h"

#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace neural_lsh {
namespace {

/// Advises the system on the whole large pages of a range.
void advise(const void* memory, std::size_t bytes, int advice) {
#ifdef __linux__
  constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory), first = (begin + page - 1) / page * page;
  if (first + page > begin + bytes) return;
  madvise(reinterpret_cast<void*>(first), (begin + bytes - first) / page * page, advice);
#else
  static_cast<void>(memory), static_cast<void>(bytes), static_cast<void>(advice);
#endif
}

#ifdef __linux__
constexpr int hugePages = MADV_HUGEPAGE;
constexpr int collapse =
    25;  // MADV_COLLAPSE, since Linux 6.1; headers may be older, and older systems refuse
#else
constexpr int hugePages = 0, collapse = 0;
#endif

}  // namespace

void useHugePages(void* memory, std::size_t bytes) {
  advise(memory, bytes, hugePages);
}

void moveToHugePages(const void* memory, std::size_t bytes) {
  advise(memory, bytes, collapse);
}

}  // namespace neural_lsh
