// What a thread does with denormal numbers: those next to zero, which many CPUs compute with a hundred times
// as slowly as with others.
#pragma once

#include <cstdint>

namespace neural_lsh {

/// Of the calling thread, as its control register has it.
class FloatingPointMode {
 public:
  static FloatingPointMode current() {
    FloatingPointMode mode;
#if defined(__x86_64__)
    mode.bits_ = __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
    asm volatile("mrs %0, fpcr" : "=r"(mode.bits_));
#endif
    return mode;
  }

  void use() const {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(static_cast<unsigned>(bits_));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(bits_));
#endif
  }

  /// The same, but that denormal numbers are zeros, as operands and as results.
  FloatingPointMode withoutDenormals() const {
#if defined(__x86_64__)
    constexpr std::uint64_t flushToZero = 0x8000, denormalsAreZeros = 0x0040;
    return FloatingPointMode(bits_ | flushToZero | denormalsAreZeros);
#elif defined(__aarch64__)
    constexpr std::uint64_t flushToZero = std::uint64_t{1} << 24;
    return FloatingPointMode(bits_ | flushToZero);
#else
    return *this;
#endif
  }

 private:
  FloatingPointMode() = default;
  explicit FloatingPointMode(std::uint64_t bits) : bits_(bits) {}

  std::uint64_t bits_ = 0;
};

/// While it lives, denormal numbers are zeros for its thread, and for those that help it (thread-pool.h).
class WithoutDenormals {
 public:
  WithoutDenormals() { before_.withoutDenormals().use(); }
  ~WithoutDenormals() { before_.use(); }
  WithoutDenormals(const WithoutDenormals&) = delete;
  WithoutDenormals& operator=(const WithoutDenormals&) = delete;

 private:
  FloatingPointMode before_ = FloatingPointMode::current();
};

}  // namespace neural_lsh
