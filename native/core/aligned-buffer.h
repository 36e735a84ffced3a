// Scratch memory for kernels: cache-line aligned, uninitialised, grows but never shrinks.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace neural_lsh {

template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) { require(size); }

  /// Makes room for `size` elements; what was there before is lost when it grows.
  T* require(std::size_t size) {
    if (size > size_) {
      memory_.reset();
      memory_.reset(static_cast<T*>(::operator new(size * sizeof(T), alignment)));
      size_ = size;
    }
    return memory_.get();
  }

  T* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) const { return memory_.get()[i]; }

 private:
  static constexpr std::align_val_t alignment{64};
  struct Free {
    void operator()(T* p) const { ::operator delete(p, alignment); }
  };
  std::unique_ptr<T, Free> memory_;
  std::size_t size_ = 0;
};

}  // namespace neural_lsh
