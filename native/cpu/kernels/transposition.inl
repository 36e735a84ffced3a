// The transposition of a square of vectors in registers. The including file sets LANES and has the type
// Vector, of so many 32-bit words.

namespace neural_lsh::cpu {
namespace {

// A step of a square's transposition: of the rows i and i + RUN, blocks of RUN lanes change places. Lanes of
// the lower row's result are numbered as __builtin_shufflevector wants them, those of the upper one likewise.
template <int RUN>
constexpr int lowerLane(int lane) {
  return (lane & RUN) == 0 ? lane : LANES + lane - RUN;
}
template <int RUN>
constexpr int upperLane(int lane) {
  return (lane & RUN) == 0 ? lane + RUN : LANES + lane;
}
#if LANES == 16
#define EACH_LANE(f) \
  f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif LANES == 8
#define EACH_LANE(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define EACH_LANE(f) f(0), f(1), f(2), f(3)
#endif

template <int RUN>
inline void exchange(Vector (&rows)[LANES]) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES; ++i) {
    if ((i & RUN) != 0) continue;
    const Vector lower = rows[i], upper = rows[i + RUN];
    rows[i] = __builtin_shufflevector(lower, upper, EACH_LANE(lowerLane<RUN>));
    rows[i + RUN] = __builtin_shufflevector(lower, upper, EACH_LANE(upperLane<RUN>));
  }
}

/// In registers.
inline void transpose(Vector (&rows)[LANES]) {
#if LANES == 16
  exchange<8>(rows);
#endif
#if LANES >= 8
  exchange<4>(rows);
#endif
  exchange<2>(rows);
  exchange<1>(rows);
}

}  // namespace
}  // namespace neural_lsh::cpu
