// One process-wide pool of hardware threads - 1 workers; the caller of a loop works too.
#pragma once

#include <cstddef>
#include <functional>

namespace neural_lsh {

/// Number of hardware threads, at least 1.
std::size_t hardwareThreads();

/// Runs body(index) once for every index in [0, count), on at most `threads` threads (0: all), the caller
/// included, indices handed out one by one. Returns when all are done; the first exception is rethrown here,
/// after which no further index is started. All compute in the caller's floating-point mode. May be called
/// from several threads at once and from inside a body.
void parallelFor(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& body);

}  // namespace neural_lsh
