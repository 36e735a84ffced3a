#include "releaser.h"

#include <utility>

namespace neural_lsh::addon {

Releaser::~Releaser() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Releaser::release(std::shared_ptr<const void> thing) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    things_.push_back(std::move(thing));
  } catch (...) {
    return;  // and with it goes what could not be handed over
  }
  changed_.notify_one();
}

void Releaser::run() {
  for (;;) {
    std::vector<std::shared_ptr<const void>> now;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !things_.empty(); });
      if (things_.empty()) return;
      now.swap(things_);
    }
  }
}

}  // namespace neural_lsh::addon
