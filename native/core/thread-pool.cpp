#include "thread-pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "floating-point-mode.h"

namespace neural_lsh {
namespace {

void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#endif
}

// Loops of training steps follow each other within microseconds, waking a thread costs tens of them: both
// sides look this often before they sleep.
constexpr int spins = 2000;

/// One parallelFor: lives on its caller's stack until no helper is left in it.
struct Loop {
  const std::function<void(std::size_t)>& body;
  const std::size_t count;
  const std::size_t maxHelpers;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> helpers{0};  // changed under the pool's mutex
  std::exception_ptr error;             // written under the pool's mutex
  const FloatingPointMode mode = FloatingPointMode::current();

  bool wantsHelp() const { return helpers < maxHelpers && next < count; }
};

class Pool {
 public:
  Pool() {
    const std::size_t workers = hardwareThreads() - 1;
    try {
      for (std::size_t i = 0; i < workers; ++i) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      // The system grants no more threads: those that there are, and the callers, do the work.
    }
  }

  void run(Loop& loop) {
    {
      std::lock_guard lock(mutex_);
      loops_.push_back(&loop);
      published_.fetch_add(1, std::memory_order_release);
    }
    if (loop.maxHelpers == 1) {
      work_.notify_one();
    } else {
      work_.notify_all();
    }
    work(loop);
    leave(loop);
    if (loop.error) std::rethrow_exception(loop.error);
  }

 private:
  void work(Loop& loop) {
    try {
      for (std::size_t i = loop.next++; i < loop.count; i = loop.next++) loop.body(i);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!loop.error) loop.error = std::current_exception();
      loop.next = loop.count;
    }
  }

  void leave(Loop& loop) {
    {
      std::lock_guard lock(mutex_);
      std::erase(loops_, &loop);
    }
    for (int i = 0; i < spins && loop.helpers != 0; ++i) relax();
    std::unique_lock lock(mutex_);
    left_.wait(lock, [&] { return loop.helpers == 0; });
  }

  Loop* find() {
    const auto it =
        std::find_if(loops_.begin(), loops_.end(), [](const Loop* loop) { return loop->wantsHelp(); });
    return it == loops_.end() ? nullptr : *it;
  }

  void serve() {
    for (;;) {
      const std::size_t seen = published_.load(std::memory_order_acquire);
      Loop* loop = nullptr;
      {
        std::lock_guard lock(mutex_);
        loop = find();
        if (loop) ++loop->helpers;
      }
      if (loop) {
        loop->mode.use();
        work(*loop);
        std::lock_guard lock(mutex_);
        if (--loop->helpers == 0) left_.notify_all();
        continue;
      }
      for (int i = 0; i < spins && published_.load(std::memory_order_acquire) == seen; ++i) relax();
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return published_.load(std::memory_order_relaxed) != seen; });
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable left_;
  std::vector<Loop*> loops_;
  std::atomic<std::size_t> published_{0};
};

// Never destroyed: its threads must outlive whatever still runs while the process exits.
Pool& pool() {
  static Pool& instance = *std::make_unique<Pool>().release();
  return instance;
}

}  // namespace

std::size_t hardwareThreads() {
  static const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  return threads;
}

void parallelFor(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& body) {
  const std::size_t limit = std::min(threads == 0 ? hardwareThreads() : threads, hardwareThreads());
  if (limit <= 1 || count <= 1) {
    for (std::size_t i = 0; i < count; ++i) body(i);
    return;
  }
  Loop loop{body, count, std::min(limit, count) - 1, {}, {}, {}};
  pool().run(loop);
}

}  // namespace neural_lsh
