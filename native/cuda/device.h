// What is owned on a device, freed when its owner goes. In a class that has memory and streams, the streams
// come last: they are destroyed first, and wait until nothing uses the memory any more.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "status.h"

namespace neural_lsh::cuda {

/// Makes a device the calling thread's. What that was before is not restored: for a thread that never chose
/// one it would be the first device, where CUDA would take some hundred megabytes for a device that nobody
/// asked for.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    checkNotLost();
    NLSH_CHECK(cudaSetDevice(device));
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;
};

/// Throws badArgument unless there is such a device.
void checkDevice(int device);

/// What sizes and ways are chosen by.
struct DeviceLimits {
  std::size_t multiprocessors;
  std::size_t l2Bytes;
  std::size_t sharedBytes;  // that a block can have
  std::size_t freeBytes;
  int major;  // of the compute capability
};
DeviceLimits deviceLimits(int device);

class Event;

class Stream {
 public:
  Stream() { NLSH_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() {
    static_cast<void>(cudaStreamSynchronize(stream_));
    static_cast<void>(cudaStreamDestroy(stream_));
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  operator cudaStream_t() const { return stream_; }
  void synchronize() const { NLSH_CHECK(cudaStreamSynchronize(stream_)); }
  /// What is started on this stream from now on begins after the event.
  void wait(const Event& event) const;

 private:
  cudaStream_t stream_ = nullptr;
};

/// Counts as passed before it is recorded for the first time.
class Event {
 public:
  Event() { NLSH_CHECK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync)); }
  ~Event() { static_cast<void>(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  operator cudaEvent_t() const { return event_; }
  void record(const Stream& stream) { NLSH_CHECK(cudaEventRecord(event_, stream)); }
  void synchronize() const { NLSH_CHECK(cudaEventSynchronize(event_)); }

 private:
  cudaEvent_t event_ = nullptr;
};

inline void Stream::wait(const Event& event) const {
  NLSH_CHECK(cudaStreamWaitEvent(stream_, event, 0));
}

/// An array whose memory comes from `Memory::allocate` and goes to `Memory::free`.
template <typename T, typename Memory>
class Array {
 public:
  Array() = default;
  explicit Array(std::size_t size) : size_(size) {
    if (size > 0) memory_.reset(static_cast<T*>(Memory::allocate(size * sizeof(T))));
  }

  /// At least so many; what it held is lost when it grows.
  T* require(std::size_t size) {
    if (size > size_) {
      *this = Array();
      *this = Array(size);
    }
    return data();
  }

  T* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }

 private:
  struct Free {
    void operator()(T* memory) const { Memory::free(memory); }
  };
  std::unique_ptr<T, Free> memory_;
  std::size_t size_ = 0;
};

struct DeviceMemory {
  static void* allocate(std::size_t bytes) {
    void* memory = nullptr;
    NLSH_CHECK(cudaMalloc(&memory, bytes));
    return memory;
  }
  static void free(void* memory) { static_cast<void>(cudaFree(memory)); }
};

/// Of the host, but where the device reads and writes it directly.
struct PinnedMemory {
  static void* allocate(std::size_t bytes) {
    void* memory = nullptr;
    NLSH_CHECK(cudaMallocHost(&memory, bytes));
    return memory;
  }
  static void free(void* memory) { static_cast<void>(cudaFreeHost(memory)); }
};

template <typename T>
using DeviceArray = Array<T, DeviceMemory>;
template <typename T>
using PinnedArray = Array<T, PinnedMemory>;

/// Room for as many parts as there is memory for, at most so many, at least one; returns how many.
template <typename T>
std::size_t requireParts(DeviceArray<T>& array, std::size_t partSize, std::size_t most) {
  for (std::size_t parts = most;; parts /= 2) {
    try {
      array.require(parts * partSize);
      return parts;
    } catch (const Failure& failure) {
      if (failure.status() != NLSH_OUT_OF_MEMORY || parts == 1) throw;
    }
  }
}

/// Starts to copy; `from` or `to` of the host must be pinned, and stay until the stream is that far.
template <typename T>
void copyToDevice(T* to, const T* from, std::size_t count, const Stream& stream) {
  if (count > 0) NLSH_CHECK(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyHostToDevice, stream));
}
template <typename T>
void copyToHost(T* to, const T* from, std::size_t count, const Stream& stream) {
  if (count > 0) NLSH_CHECK(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToHost, stream));
}
/// The same from or to any memory of the host; return when it is done. Not cudaMemcpy: its stream and ours,
/// which do not wait for it, would race.
template <typename T>
void writeToDevice(T* to, const T* from, std::size_t count, const Stream& stream) {
  copyToDevice(to, from, count, stream);
  stream.synchronize();
}
template <typename T>
void readFromDevice(T* to, const T* from, std::size_t count, const Stream& stream) {
  copyToHost(to, from, count, stream);
  stream.synchronize();
}
template <typename T>
void fillZeros(T* to, std::size_t count, const Stream& stream) {
  if (count > 0) NLSH_CHECK(cudaMemsetAsync(to, 0, count * sizeof(T), stream));
}

}  // namespace neural_lsh::cuda
