// Runs code that can be neither trusted nor stopped in a forked child process.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "../core/job.h"

namespace neural_lsh {

/// How a child process ended. `peakBytes` is the memory it took beyond what it started with.
struct ChildEnd {
  enum class Kind { finished, outOfMemory, exception, signal };
  Kind kind = Kind::exception;
  int signal = 0;
  std::size_t peakBytes = 0;
};

/// Zeroed memory that a forked child shares with its parent.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes);  // throws std::bad_alloc
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  void* data() const { return data_; }

 private:
  void* data_;
  std::size_t bytes_;
};

/// A running child process; destroying it kills the child and waits until its memory is free again.
class ChildProcess {
 public:
  /// Forks and runs `work` in the child, which can hand results over only through SharedMemory. Null where
  /// the system has no fork or refuses one.
  static std::unique_ptr<ChildProcess> start(const std::function<void()>& work);

  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Waits for the end of the child; throws Cancelled within 20 ms of the job's cancellation.
  ChildEnd wait(const Job& job);

 private:
  struct Report;
  ChildProcess();
  [[noreturn]] void runAsChild(int parent, const std::function<void()>& work);
  bool ended();

  SharedMemory memory_;
  Report* report_;
  int pid_ = 0;     // 0: none, or reaped
  int status_ = 0;  // as waitpid gives it
};

}  // namespace neural_lsh
