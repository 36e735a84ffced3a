// What takes long to let go of, such as a device's memory, is let go of on a thread of its own.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace neural_lsh::addon {

/// Its thread starts with the first thing, and the releaser's end waits until everything is let go of.
class Releaser {
 public:
  Releaser() = default;
  ~Releaser();
  Releaser(const Releaser&) = delete;
  Releaser& operator=(const Releaser&) = delete;

  /// Lets go of what it takes, later; at once where there are neither threads nor memory to be had.
  void release(std::shared_ptr<const void> thing) noexcept;

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<const void>> things_;
  bool ending_ = false;
  std::thread thread_;
};

/// A value that its last owner does not destroy but hands to the releaser, which lives as long as the value.
template <typename T, typename... Arguments>
std::shared_ptr<const T> makeReleased(const std::shared_ptr<Releaser>& releaser, Arguments&&... arguments) {
  auto made = std::make_shared<const T>(std::forward<Arguments>(arguments)...);
  const T* const address = made.get();
  return {address,
          [releaser, made = std::move(made)](const T*) mutable { releaser->release(std::move(made)); }};
}

}  // namespace neural_lsh::addon
