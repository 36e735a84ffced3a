// The parts of the routing kernels in float, written once over 16 numbers in vectors of LANES. The including
// file sets LANES, brings its products of bytes and is compiled for its instruction set.
#include "router-vectors.inl"

namespace neural_lsh::cpu {
namespace {

/// 16 numbers, reduced in one order by every variant: halves on halves.
template <typename Combine>
inline float reduce(const Vector (&values)[parts], Combine combine) {
  float all[lanes];
  for (std::size_t i = 0; i < parts; ++i) store(all + i * LANES, values[i]);
  for (std::size_t width = lanes / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) all[i] = combine(all[i], all[i + width]);
  }
  return all[0];
}

inline float least(const Vector (&values)[parts]) {
  return reduce(values, [](float a, float b) { return a < b ? a : b; });
}
inline float greatest(const Vector (&values)[parts]) {
  return reduce(values, [](float a, float b) { return a > b ? a : b; });
}

ByteRange quantize(const float* values, std::size_t count, std::uint8_t* bytes) {
  Vector low[parts], high[parts];
  for (std::size_t i = 0; i < parts; ++i) low[i] = high[i] = Vector{} + values[0];
  const std::size_t whole = count / lanes * lanes;
  for (std::size_t c = 0; c < whole; c += lanes) {
    for (std::size_t i = 0; i < parts; ++i) {
      const Vector v = load(values + c + i * LANES);
      low[i] = smaller(v, low[i]);
      high[i] = larger(v, high[i]);
    }
  }
  float lowest = least(low), highest = greatest(high);
  for (std::size_t c = whole; c < count; ++c) {
    lowest = values[c] < lowest ? values[c] : lowest;
    highest = values[c] > highest ? values[c] : highest;
  }
  constexpr float smallest = 1e-35F;  // of a step whose inverse is still a normal number
  const float difference = (highest - lowest) / 255.0F;
  const float step = difference > smallest ? difference : 0.0F;
  const float inverse = step > 0 ? 1.0F / step : 0.0F;
  for (std::size_t c = 0; c < whole; c += lanes) {
    for (std::size_t i = 0; i < parts; ++i) {
      const Vector v = (load(values + c + i * LANES) - lowest) * inverse + 0.5F;
      const Vector within = smaller(larger(v, Vector{}), Vector{} + 255.0F);
      const Integers integers = __builtin_convertvector(within, Integers);
      *reinterpret_cast<Bytes*>(bytes + c + i * LANES) = __builtin_convertvector(integers, Bytes);
    }
  }
  for (std::size_t c = whole; c < count; ++c) {
    const float v = (values[c] - lowest) * inverse + 0.5F;
    const float positive = v > 0 ? v : 0;
    bytes[c] = static_cast<std::uint8_t>(positive < 255.0F ? positive : 255.0F);
  }
  for (std::size_t c = count; c % rowAlignment != 0; ++c) bytes[c] = 0;
  return {lowest, step};
}

float largest(const float* values, std::size_t count) {
  constexpr std::size_t chains = 4;  // so that one comparison need not wait for the last
  Vector best[chains][parts];
  for (auto& chain : best) {
    for (Vector& v : chain) v = Vector{} - __builtin_inff();
  }
  std::size_t c = 0;
  for (; c + chains * lanes <= count; c += chains * lanes) {
#pragma GCC unroll 4
    for (std::size_t chain = 0; chain < chains; ++chain) {
#pragma GCC unroll 4
      for (std::size_t i = 0; i < parts; ++i) {
        best[chain][i] = larger(load(values + c + chain * lanes + i * LANES), best[chain][i]);
      }
    }
  }
  for (; c < count; c += lanes) {
    for (std::size_t i = 0; i < parts; ++i) best[0][i] = larger(load(values + c + i * LANES), best[0][i]);
  }
  for (std::size_t i = 0; i < parts; ++i) {
    best[0][i] = larger(larger(best[0][i], best[1][i]), larger(best[2][i], best[3][i]));
  }
  return greatest(best[0]);
}

/// Each against all: what has no branches to mispredict beats a sort of up to a few hundred numbers.
void rank(const float* values, std::size_t count, std::int32_t* ranks) {
  Integers lane;
  for (std::size_t i = 0; i < LANES; ++i) lane[i] = static_cast<std::int32_t>(i);
  for (std::size_t c = 0; c < count; c += LANES) {
    const Vector v = load(values + c);
    const std::size_t end = c + LANES < count ? c + LANES : count;
    Integers larger = {};  // comparisons are -1 where they hold
    std::size_t j = 0;
    for (; j < c; ++j) larger -= (Vector{} + values[j]) >= v;
    for (; j < end; ++j) {
      const Vector other = Vector{} + values[j];
      larger -= (other > v) | ((other == v) & (static_cast<std::int32_t>(j - c) < lane));
    }
    for (; j < count; ++j) larger -= (Vector{} + values[j]) > v;
    *reinterpret_cast<Integers*>(ranks + c) = larger;
  }
}

/// e^x for x <= 0, as in kernels.inl.
inline Vector exponential(Vector x) {
  constexpr float smallest = -87.33654F;
  const Vector magic = Vector{} + 12582912.0F;
  const Vector rounded = x * 1.44269504F + magic;
  const Vector n = rounded - magic;
  const Vector r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Vector y = Vector{} + 1.9875691500e-4F;
  y = y * r + 1.3981999507e-3F;
  y = y * r + 8.3334519073e-3F;
  y = y * r + 4.1665795894e-2F;
  y = y * r + 1.6666665459e-1F;
  y = y * r + 5.0000001201e-1F;
  y = y * (r * r) + r + 1.0F;
  const auto bits = [](Vector v) { return reinterpret_cast<Integers>(v); };
  const Vector power = reinterpret_cast<Vector>(bits(y) + ((bits(rounded) - bits(magic)) << 23));
  return x >= smallest ? power : Vector{};
}

float exponentials(const float* values, std::size_t count, float* out) {
  Vector sums[parts] = {};
  for (std::size_t c = 0; c < count; c += lanes) {
    for (std::size_t i = 0; i < parts; ++i) {
      const Vector e = exponential(load(values + c + i * LANES));
      store(out + c + i * LANES, e);
      sums[i] += e;
    }
  }
  return reduce(sums, [](float a, float b) { return a + b; });
}

}  // namespace
}  // namespace neural_lsh::cpu
