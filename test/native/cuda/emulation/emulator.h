// As much of CUDA and cuBLASLt as the engine uses, on the host, so that its kernels and what drives them can
// be run and compared with plain loops where there is no device. The threads of a block are fibers that take
// turns in a random order, each up to where it waits for others; what is put on a stream is done as late as
// possible, and that of several streams in any order that their events allow: what is not waited for is seen
// to be missing. Several threads of the host may use the device at once: each that waits does what is to be done,
// whose ever it is, and one at a time. It says nothing about speed, nor about what only a device does (its memory model within a
// warp, its compiler, cuBLAS itself).
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ thread_local
#define __align__(bytes) __attribute__((aligned(bytes)))

namespace emulation {

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "emulation: %s\n", what.c_str());
  std::abort();
}

struct Dimensions {
  unsigned x = 1, y = 1, z = 1;
};

inline std::mt19937 order(7);

/// Held by who uses the device.
inline std::recursive_mutex deviceMutex;
using Turn = std::lock_guard<std::recursive_mutex>;

/// A place to go back to. Not setjmp's, which a sanitizer takes for the end of all calls in between.
using Place = void*[5];

/// The sanitizer for threads counts calls and returns: what is not returned from must not be counted.
[[noreturn]] __attribute__((noinline, no_sanitize_thread)) inline void goTo(Place& place) {
  __builtin_longjmp(place, 1);
}

/// The threads of one block, and what each of them waits for.
class Block {
 public:
  static constexpr unsigned warpSize = 32;
  static constexpr std::size_t stackBytes = 48 << 10;

  static Block& current() {
    static Block block;
    return block;
  }

  void run(unsigned threads, const std::function<void()>& body) {
    while (fibers_.size() < threads) {
      fibers_.push_back(std::make_unique<Fiber>());
      fibers_.back()->stack.resize(stackBytes);
    }
    body_ = &body;
    threads_ = threads;
    warps_.assign((threads + warpSize - 1) / warpSize, {});
    for (unsigned i = 0; i < threads; ++i) {
      Fiber& fiber = *fibers_[i];
      fiber.state = State::ready;
      fiber.operations = 0;
      fiber.isStarted = false;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.data();
      fiber.context.uc_stack.ss_size = stackBytes;
      makecontext(&fiber.context, &Block::enter, 0);
    }
    alive_ = threads;
    while (alive_ > 0) {
      // From anywhere on, in either direction.
      const unsigned start = order() % threads, step = order() % 2 == 0 ? 1 : threads - 1;
      bool moved = false;
      for (unsigned i = 0, thread = start; i < threads; ++i, thread = (thread + step) % threads) {
        if (fibers_[thread]->state != State::ready) continue;
        moved = true;
        resume(thread);
      }
      const bool released = releaseWarps() | releaseBlock();
      if (alive_ > 0 && !moved && !released) fail("threads wait for each other forever");
    }
  }

  unsigned thread() const { return thread_; }
  unsigned threads() const { return threads_; }

  void waitForBlock() { wait(State::waitsForBlock); }

  /// What each lane of the warp gives; all must.
  template <typename T>
  std::array<T, warpSize> exchange(T value) {
    static_assert(sizeof(T) <= sizeof(Slot));
    Warp& warp = warps_[thread_ / warpSize];
    const unsigned turn = fibers_[thread_]->operations++ % 2;
    std::memcpy(&warp.slots[turn][thread_ % warpSize], &value, sizeof(T));
    wait(State::waitsForWarp);
    std::array<T, warpSize> values;
    for (unsigned lane = 0; lane < warpSize; ++lane)
      std::memcpy(&values[lane], &warp.slots[turn][lane], sizeof(T));
    return values;
  }

  void waitForWarp() { wait(State::waitsForWarp); }

 private:
  enum class State { ready, waitsForWarp, waitsForBlock, done };
  using Slot = std::uint64_t;
  struct Fiber {
    ucontext_t context;
    Place place;
    bool isStarted = false;
    std::vector<char> stack;
    State state = State::done;
    unsigned operations = 0;
  };
  struct Warp {
    Slot slots[2][warpSize];
  };

  __attribute__((no_sanitize_thread)) static void enter() {
    Block& block = current();
    const unsigned thread = block.thread_;
    (*block.body_)();
    block.fibers_[thread]->state = State::done;
    --block.alive_;
    goTo(block.scheduler_);
  }

  /// A context to begin with, then jumps, which are several times as fast.
  __attribute__((noinline)) void resume(unsigned thread) {
    thread_ = thread;
    Fiber& fiber = *fibers_[thread];
    if (__builtin_setjmp(scheduler_) != 0) return;
    if (fiber.isStarted) goTo(fiber.place);
    fiber.isStarted = true;
    setcontext(&fiber.context);
  }

  __attribute__((noinline)) void wait(State state) {
    Fiber& fiber = *fibers_[thread_];
    fiber.state = state;
    if (__builtin_setjmp(fiber.place) == 0) goTo(scheduler_);
  }

  bool releaseWarps() {
    bool released = false;
    for (unsigned first = 0; first < threads_; first += warpSize) {
      const unsigned end = std::min(first + warpSize, threads_);
      unsigned waiting = 0, away = 0;
      for (unsigned i = first; i < end; ++i) {
        waiting += fibers_[i]->state == State::waitsForWarp ? 1 : 0;
        away += fibers_[i]->state == State::done || fibers_[i]->state == State::waitsForBlock ? 1 : 0;
      }
      if (waiting > 0 && away > 0) fail("lanes of a warp do not meet");
      if (waiting != warpSize) continue;
      for (unsigned i = first; i < end; ++i) fibers_[i]->state = State::ready;
      released = true;
    }
    return released;
  }

  bool releaseBlock() {
    unsigned waiting = 0, done = 0;
    for (unsigned i = 0; i < threads_; ++i) {
      waiting += fibers_[i]->state == State::waitsForBlock ? 1 : 0;
      done += fibers_[i]->state == State::done ? 1 : 0;
    }
    if (waiting == 0 || waiting + done != threads_) return false;
    for (unsigned i = 0; i < threads_; ++i) {
      if (fibers_[i]->state == State::waitsForBlock) fibers_[i]->state = State::ready;
    }
    return true;
  }

  Place scheduler_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Warp> warps_;
  const std::function<void()>* body_ = nullptr;
  unsigned thread_ = 0, threads_ = 0, alive_ = 0;
};

struct ThreadIndex {
  struct X {
    operator unsigned() const { return Block::current().thread(); }
  } x;
};

/// What is to be done on a stream, one thing after the other. An event counts how often it was recorded and
/// passed.
struct Event {
  std::uint64_t recorded = 0, passed = 0;
};
struct Work {
  std::function<bool()> isPossible;  // nothing: at once
  std::function<void()> run;
};
struct Stream {
  std::deque<Work> queue;
};

class Device {
 public:
  static Device& instance() {
    static Device device;
    return device;
  }

  std::size_t freeBytes = std::size_t{1} << 30;
  std::size_t launches = 0;

  Stream* makeStream() {
    streams_.push_back(std::make_unique<Stream>());
    return streams_.back().get();
  }
  void destroy(Stream* stream) {
    std::erase_if(streams_, [stream](const auto& other) { return other.get() == stream; });
  }

  /// Does anything of any stream until that is so.
  void runUntil(const std::function<bool()>& isDone) {
    while (!isDone()) {
      std::vector<Stream*> possible;
      for (const auto& stream : streams_) {
        if (stream->queue.empty()) continue;
        const Work& next = stream->queue.front();
        if (!next.isPossible || next.isPossible()) possible.push_back(stream.get());
      }
      if (possible.empty()) fail("streams wait for each other forever");
      Stream* const stream = possible[order() % possible.size()];
      const Work work = std::move(stream->queue.front());
      stream->queue.pop_front();
      if (work.run) work.run();
    }
  }
  void runAll() {
    runUntil([this] {
      return std::all_of(streams_.begin(), streams_.end(), [](const auto& s) { return s->queue.empty(); });
    });
  }

  void* allocate(std::size_t bytes) {
    if (bytes > freeBytes) return nullptr;
    freeBytes -= bytes;
    void* const memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::memset(memory, 0x7B, bytes);  // nothing is zero by itself
    sizes_[memory] = bytes;
    return memory;
  }
  void free(void* memory) {
    if (memory == nullptr) return;
    runAll();
    freeBytes += sizes_.at(memory);
    sizes_.erase(memory);
    std::free(memory);
  }
  /// Fails unless these bytes are of one allocation.
  void checkRange(const void* first, std::size_t bytes) const {
    auto after = sizes_.upper_bound(const_cast<void*>(first));
    if (after == sizes_.begin()) fail("not memory of the device");
    --after;
    const auto* const begin = static_cast<const char*>(after->first);
    if (static_cast<const char*>(first) + bytes > begin + after->second)
      fail("beyond the memory of the device");
  }

 private:
  std::vector<std::unique_ptr<Stream>> streams_;
  std::map<void*, std::size_t> sizes_;
};

}  // namespace emulation

// Inside kernels.
using dim3Base = emulation::Dimensions;
struct dim3 : dim3Base {
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : dim3Base{x, y, z} {}
};
inline const emulation::ThreadIndex threadIdx;
inline emulation::Dimensions blockIdx, blockDim, gridDim;

struct float4 {
  float x, y, z, w;
};
struct int4 {
  int x, y, z, w;
};

using std::max;
using std::min;

inline void __syncthreads() {
  emulation::Block::current().waitForBlock();
}
inline void __syncwarp() {
  emulation::Block::current().waitForWarp();
}
inline unsigned __ballot_sync(unsigned, bool yes) {
  const auto votes = emulation::Block::current().exchange<char>(yes ? 1 : 0);
  unsigned bits = 0;
  for (std::size_t i = 0; i < votes.size(); ++i) bits |= static_cast<unsigned>(votes[i]) << i;
  return bits;
}
template <typename T>
T __shfl_sync(unsigned, T value, unsigned lane) {
  return emulation::Block::current().exchange(value)[lane % 32];
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, unsigned mask) {
  const unsigned lane = emulation::Block::current().thread() % 32;
  return emulation::Block::current().exchange(value)[lane ^ mask];
}
inline unsigned atomicAdd(unsigned* to, unsigned value) {
  return std::exchange(*to, *to + value);
}
inline int atomicMax(int* to, int value) {
  return std::exchange(*to, std::max(*to, value));
}
inline int __popc(unsigned bits) {
  return __builtin_popcount(bits);
}
inline int __ffs(int bits) {
  return __builtin_ffs(bits);
}
inline int __float_as_int(float value) {
  int bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline float __int_as_float(int bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
inline float __double2float_ru(double value) {
  const auto rounded = static_cast<float>(value);
  return static_cast<double>(rounded) < value ? std::nextafter(rounded, HUGE_VALF) : rounded;
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned sum) {
  for (unsigned shift = 0; shift < 32; shift += 8) sum += ((a >> shift) & 255U) * ((b >> shift) & 255U);
  return sum;
}

// The runtime.
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorECCUncorrectable = 214,
  cudaErrorNvlinkUncorrectable = 220,
  cudaErrorContained = 721,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchTimeout = 702,
  cudaErrorAssert = 710,
  cudaErrorHardwareStackError = 714,
  cudaErrorIllegalInstruction = 715,
  cudaErrorMisalignedAddress = 716,
  cudaErrorInvalidAddressSpace = 717,
  cudaErrorInvalidPc = 718,
  cudaErrorLaunchFailure = 719,
  cudaErrorTensorMemoryLeak = 720,
  cudaErrorExternalDevice = 722
};
using cudaStream_t = emulation::Stream*;
using cudaEvent_t = emulation::Event*;
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaEventBlockingSync = 1 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrL2CacheSize,
  cudaDevAttrMaxSharedMemoryPerBlockOptin,
  cudaDevAttrComputeCapabilityMajor
};
struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
};

inline cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
inline const char* cudaGetErrorString(cudaError_t) {
  return "error";
}
inline const char* cudaGetErrorName(cudaError_t) {
  return "cudaError";
}
inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) {
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulation", 9, 0, 4};
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 8;
      break;
    default:  // small tiles: there are several of them even of little data
      *value = 96 << 10;
  }
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const emulation::Turn turn(emulation::deviceMutex);
  *free = *total = emulation::Device::instance().freeBytes;
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const emulation::Turn turn(emulation::deviceMutex);
  *memory = emulation::Device::instance().allocate(bytes);
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::Device::instance().free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = std::malloc(bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const emulation::Turn turn(emulation::deviceMutex);
  *stream = emulation::Device::instance().makeStream();
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::Device::instance().runUntil([stream] { return stream->queue.empty(); });
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::Device::instance().destroy(stream);
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new emulation::Event;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::Device::instance().runAll();
  delete event;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const emulation::Turn turn(emulation::deviceMutex);
  const std::uint64_t number = ++event->recorded;
  stream->queue.push_back({{}, [event, number] { event->passed = std::max(event->passed, number); }});
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::Device::instance().runUntil([event] { return event->passed == event->recorded; });
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const emulation::Turn turn(emulation::deviceMutex);
  const std::uint64_t number = event->recorded;
  stream->queue.push_back({[event, number] { return event->passed >= number; }, {}});
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t stream) {
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::Device::instance().checkRange(kind == cudaMemcpyHostToDevice ? to : from, bytes);
  stream->queue.push_back({{}, [=] { std::memcpy(to, from, bytes); }});
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::Device::instance().checkRange(to, bytes);
  stream->queue.push_back({{}, [=] { std::memset(to, value, bytes); }});
  return cudaSuccess;
}
inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments... arguments) {
  using emulation::Block;
  if (config->gridDim.x == 0 || config->gridDim.y == 0 || config->gridDim.y > 65'535 ||
      config->blockDim.x > 1024 || config->dynamicSmemBytes > 96 << 10)
    emulation::fail("a launch of a shape that there is not");
  const std::tuple<Parameters...> values(arguments...);
  const emulation::Turn turn(emulation::deviceMutex);
  config->stream->queue.push_back({{}, [values, kernel, grid = config->gridDim, block = config->blockDim] {
                                     ++emulation::Device::instance().launches;
                                     ::gridDim = grid;
                                     ::blockDim = block;
                                     const std::function<void()> body = [&] { std::apply(kernel, values); };
                                     for (unsigned y = 0; y < grid.y; ++y) {
                                       for (unsigned x = 0; x < grid.x; ++x) {
                                         blockIdx = {x, y, 1};
                                         Block::current().run(block.x, body);
                                       }
                                     }
                                   }});
  return cudaSuccess;
}

// Numbers of 16 bits.
struct __nv_bfloat16 {
  std::uint16_t bits;
};
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return {static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}
struct __half {
  std::uint16_t bits;
};
inline __half __float2half_rn(float value) {
  const double size = std::abs(static_cast<double>(value));
  const int exponent = size == 0 ? -14 : std::max(std::ilogb(size), -14);
  const auto steps = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  const std::uint32_t bits = static_cast<std::uint32_t>(exponent + 14) * 1024 + steps;
  return {static_cast<std::uint16_t>(bits | (std::signbit(value) ? 0x8000U : 0U))};
}

// cuBLASLt.
enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_ALLOC_FAILED = 3 };
enum cublasComputeType_t { CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32I };
enum cudaDataType_t { CUDA_R_32F, CUDA_R_16BF, CUDA_R_16F, CUDA_R_8I, CUDA_R_32I };
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
enum cublasLtEpilogue_t { CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS };
enum cublasLtMatmulDescAttributes_t {
  CUBLASLT_MATMUL_DESC_TRANSA,
  CUBLASLT_MATMUL_DESC_TRANSB,
  CUBLASLT_MATMUL_DESC_EPILOGUE,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER
};
enum cublasLtMatmulPreferenceAttributes_t { CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES };
struct EmulatedLayout {
  cudaDataType_t type;
  std::uint64_t rows, columns;
  std::int64_t stride;
};
struct EmulatedDescription {
  cublasComputeType_t compute;
  cublasOperation_t transA = CUBLAS_OP_N, transB = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float* bias = nullptr;
};
using cublasLtMatrixLayout_t = EmulatedLayout*;
using cublasLtMatmulDesc_t = EmulatedDescription*;
using cublasLtMatmulPreference_t = int*;
using cublasLtHandle_t = int*;
struct cublasLtMatmulAlgo_t {};
struct cublasLtMatmulHeuristicResult_t {
  cublasLtMatmulAlgo_t algo;
};

inline const char* cublasLtGetStatusString(cublasStatus_t) {
  return "error";
}
inline const char* cublasLtGetStatusName(cublasStatus_t) {
  return "CUBLAS_STATUS";
}
inline std::size_t cublasLtGetVersion() {
  return 130'000;
}
inline cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new int;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                                 std::uint64_t rows, std::uint64_t columns,
                                                 std::int64_t stride) {
  *layout = new EmulatedLayout{type, rows, columns, stride};
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t compute,
                                               cudaDataType_t) {
  *description = new EmulatedDescription{compute};
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete description;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                                     cublasLtMatmulDescAttributes_t attribute,
                                                     const void* value, std::size_t bytes) {
  const auto set = [&](auto& to) {
    if (bytes != sizeof(to)) emulation::fail("an attribute of another size");
    std::memcpy(&to, value, bytes);
  };
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      set(description->transA);
      break;
    case CUBLASLT_MATMUL_DESC_TRANSB:
      set(description->transB);
      break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      set(description->epilogue);
      break;
    default:
      set(description->bias);
  }
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new int;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                           cublasLtMatmulPreferenceAttributes_t, const void*,
                                                           std::size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                                     cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                                     cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                                     cublasLtMatmulPreference_t, int,
                                                     cublasLtMatmulHeuristicResult_t*, int* found) {
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

namespace emulation {

/// Tensor cores read the upper bits of a float, however the others would round it.
inline float truncated(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  bits &= 0xFFFFE000U;
  std::memcpy(&value, &bits, sizeof(bits));
  return value;
}

inline float asFloat(const void* numbers, cudaDataType_t type, cublasComputeType_t compute, std::size_t i) {
  if (type == CUDA_R_32F) {
    const float value = static_cast<const float*>(numbers)[i];
    return compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? truncated(value) : value;
  }
  const std::uint32_t half = static_cast<const std::uint16_t*>(numbers)[i];
  if (type == CUDA_R_16BF) {
    const std::uint32_t bits = half << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  const int exponent = static_cast<int>((half >> 10) & 31U);
  const auto steps = static_cast<double>((half & 1023U) + (exponent > 0 ? 1024U : 0U));
  const double value = std::ldexp(steps, std::max(exponent, 1) - 25);
  return static_cast<float>((half & 0x8000U) != 0 ? -value : value);
}

/// The transposed product that the engine asks for.
__attribute__((optimize("O3"))) inline void multiply(const EmulatedDescription& description,
                                                     const EmulatedLayout& layoutA, const void* a,
                                                     const EmulatedLayout& layoutB, const void* b,
                                                     const EmulatedLayout& layoutC, void* c) {
  const std::size_t depth = layoutA.rows;
  std::vector<float> column(depth), widened(layoutA.type == CUDA_R_8I ? 0 : depth * layoutA.columns);
  for (std::size_t m = 0; m < layoutA.columns && layoutA.type != CUDA_R_8I; ++m) {
    for (std::size_t k = 0; k < depth; ++k)
      widened[m * depth + k] = asFloat(a, layoutA.type, description.compute, m * static_cast<std::size_t>(layoutA.stride) + k);
  }
  for (std::size_t n = 0; n < layoutB.columns; ++n) {
    const std::size_t startB = n * static_cast<std::size_t>(layoutB.stride);
    const std::size_t startC = n * static_cast<std::size_t>(layoutC.stride);
    if (layoutA.type == CUDA_R_8I) {
      for (std::size_t m = 0; m < layoutA.columns; ++m) {
        const auto* const x =
            static_cast<const std::int8_t*>(a) + m * static_cast<std::size_t>(layoutA.stride);
        const auto* const y = static_cast<const std::int8_t*>(b) + startB;
        std::int32_t sum = 0;
        for (std::size_t k = 0; k < depth; ++k) sum += x[k] * y[k];
        static_cast<std::int32_t*>(c)[startC + m] = sum;
      }
      continue;
    }
    for (std::size_t k = 0; k < depth; ++k) column[k] = asFloat(b, layoutB.type, description.compute, startB + k);
    for (std::size_t m = 0; m < layoutA.columns; ++m) {
      float sum = 0;
      for (std::size_t k = 0; k < depth; ++k) sum += widened[m * depth + k] * column[k];
      if (description.epilogue != CUBLASLT_EPILOGUE_DEFAULT) sum += description.bias[m];
      if (description.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS) sum = std::max(sum, 0.0F);
      static_cast<float*>(c)[startC + m] = sum;
    }
  }
}

inline std::size_t bytesOf(const EmulatedLayout& layout) {
  const std::size_t number = layout.type == CUDA_R_8I                                  ? 1
                             : layout.type == CUDA_R_16BF || layout.type == CUDA_R_16F ? 2
                                                                                       : 4;
  return ((layout.columns - 1) * static_cast<std::size_t>(layout.stride) + layout.rows) * number;
}

/// What cuBLASLt wants of the operands of all its kernels.
inline void checkOperand(const EmulatedLayout& layout, const void* memory) {
  if (reinterpret_cast<std::uintptr_t>(memory) % 256 != 0)
    fail("an operand that is not aligned to 256 bytes");
  if (layout.rows % 16 != 0 || layout.columns % 16 != 0 || layout.stride % 16 != 0)
    fail("a size that is not padded");
  Device::instance().checkRange(memory, bytesOf(layout));
}

}  // namespace emulation

inline cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void*,
                                     const void* a, cublasLtMatrixLayout_t layoutA, const void* b,
                                     cublasLtMatrixLayout_t layoutB, const void*, const void*,
                                     cublasLtMatrixLayout_t, void* out, cublasLtMatrixLayout_t layoutOut,
                                     const cublasLtMatmulAlgo_t*, void*, std::size_t, cudaStream_t stream) {
  if (description->transA != CUBLAS_OP_T || description->transB != CUBLAS_OP_N ||
      layoutA->rows != layoutB->rows || layoutOut->rows != layoutA->columns ||
      layoutOut->columns != layoutB->columns)
    emulation::fail("matrices that do not fit");
  const emulation::Turn turn(emulation::deviceMutex);
  emulation::checkOperand(*layoutA, a);
  emulation::checkOperand(*layoutB, b);
  emulation::checkOperand(*layoutOut, out);
  stream->queue.push_back({{}, [=, d = *description, x = *layoutA, y = *layoutB, z = *layoutOut] {
                             emulation::multiply(d, x, a, y, b, z, out);
                           }});
  return CUBLAS_STATUS_SUCCESS;
}

inline std::size_t cudnnGetVersion() {
  return 91'300;
}
