// How a long-running stage is told how many threads to use, reports its progress and is stopped.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>

namespace neural_lsh {

/// Thrown out of a stage when its job was cancelled; everything that the stage owned is freed by unwinding.
class Cancelled : public std::exception {
 public:
  const char* what() const noexcept override { return "cancelled"; }
};

/// Handed to every stage by whoever runs it. Copyable; cheap to check from inside loops.
struct Job {
  const std::atomic<bool>* cancelFlag = nullptr;
  std::function<void(std::size_t done, std::size_t total)> onProgress;  // must be callable from any thread
  std::size_t threads = 0;                                              // 0: as many as the machine has

  bool cancelled() const { return cancelFlag != nullptr && cancelFlag->load(std::memory_order_relaxed); }
  void check() const {
    if (cancelled()) throw Cancelled();
  }
  void progress(std::size_t done, std::size_t total) const {
    if (onProgress) onProgress(done, total);
  }
};

}  // namespace neural_lsh
