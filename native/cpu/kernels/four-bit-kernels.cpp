// The portable variant and the choice.
#include "four-bit-kernels.h"

#include <algorithm>
#include <bit>

#include "instruction-set.h"

namespace neural_lsh::cpu {
namespace {

void compareOne(FourBitQuery& query, const std::uint8_t* blocks, std::size_t count) {
  const std::size_t padded = (query.pairs + pairsTogether - 1) / pairsTogether * pairsTogether;
  query.found = 0;
  for (std::size_t b = 0; b < count; ++b, blocks += fourBitBlockBytes(query.pairs)) {
    const std::uint8_t* first = query.tables;
    const std::uint8_t* second = query.tables + padded * 16;
    const std::uint8_t* codes = blocks;
    int sums[fourBitVectors] = {};
    for (std::size_t p = 0; p < query.pairs; ++p, first += 16, second += 16, codes += fourBitVectors) {
      for (std::size_t v = 0; v < fourBitVectors; ++v)
        sums[v] += first[codes[v] & 15] + second[codes[v] >> 4];
    }
    const std::uint8_t* const factors = codes;
    const std::uint8_t* const terms = codes + fourBitVectors;
    for (std::size_t v = 0; v < fourBitVectors; ++v) {
      const int value = (((sums[v] - query.zero) * 128 * factors[v] + (1 << 14)) >> 15) +
                        static_cast<int>((256U * terms[v] * query.termScale) >> 16);
      if (value > query.threshold) continue;
      query.places[query.found] = static_cast<std::uint32_t>(b * fourBitVectors + v);
      query.values[query.found++] = value;
    }
  }
}

void compare(FourBitQuery* queries, std::size_t queryCount, const std::uint8_t* blocks, std::size_t count,
             const std::uint8_t*) {
  for (std::size_t q = 0; q < queryCount; ++q) compareOne(queries[q], blocks, count);
}

FourBitReach multiply(const float* query, const float* codebooks, std::size_t parts, float* products,
                      float* lowest) {
  FourBitReach reach;
  for (std::size_t part = 0; part < parts; ++part, codebooks += 2 * fourBitEntries) {
    float low = 0, high = 0;
    for (std::size_t entry = 0; entry < fourBitEntries; ++entry) {
      const float product =
          query[2 * part] * codebooks[entry] + query[2 * part + 1] * codebooks[fourBitEntries + entry];
      products[part * fourBitEntries + entry] = product;
      low = std::min(low, product);
      high = std::max(high, product);
    }
    lowest[part] = low;
    reach.widest = std::max(reach.widest, high - low);
    reach.below -= static_cast<double>(low);
    reach.above += static_cast<double>(high);
  }
  return reach;
}

/// To the nearest integer, ties to even; |x| < 2^22. In a form that compilers vectorize everywhere.
int rounded(float x) {
  return static_cast<int>((x + 0x1.8p23F) - 0x1.8p23F);
}

std::int32_t round(const float* products, const float* lowest, std::size_t parts, float perUnit,
                   std::uint8_t* tables, std::size_t tableBytes) {
  std::int32_t zeros = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    std::uint8_t* const table = tables + part % 2 * tableBytes + part / 2 * fourBitEntries;
    const int zero = -rounded(lowest[part] * perUnit);
    zeros += zero;
    for (std::size_t entry = 0; entry < fourBitEntries; ++entry) {
      const int steps = rounded(products[part * fourBitEntries + entry] * perUnit);
      table[entry] = static_cast<std::uint8_t>(zero + steps);
    }
  }
  return zeros;
}

/// The sum of term(query's number, number), in 16 sums that are added in the order of the wide registers'.
template <typename Term>
double summed(const float* query, const std::uint16_t* numbers, std::size_t count, const Term& term) {
  float sums[16] = {};
  for (std::size_t c = 0; c < count; c += 16) {
    for (std::size_t i = 0; i < 16; ++i) {
      sums[i] += term(query[c + i], std::bit_cast<float>(static_cast<std::uint32_t>(numbers[c + i]) << 16));
    }
  }
  double lanes[8];
  for (std::size_t i = 0; i < 8; ++i)
    lanes[i] = static_cast<double>(sums[i]) + static_cast<double>(sums[i + 8]);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

double squaredDistance(const float* query, const std::uint16_t* numbers, std::size_t count) {
  return summed(query, numbers, count, [](float a, float b) { return (a - b) * (a - b); });
}

double dotProduct(const float* query, const std::uint16_t* numbers, std::size_t count) {
  return summed(query, numbers, count, [](float a, float b) { return a * b; });
}

}  // namespace

const FourBitKernels baselineFourBitKernels = {FourBitOrder::pairs, compare,   multiply, round,
                                               squaredDistance,     dotProduct};

const FourBitKernels& fourBitKernels() {
#ifdef NEURAL_LSH_X86
  static const FourBitKernels& picked = instructionSet() >= InstructionSet::vbmi     ? vbmiFourBitKernels
                                        : instructionSet() >= InstructionSet::avx512 ? avx512FourBitKernels
                                        : instructionSet() >= InstructionSet::avx2   ? avx2FourBitKernels
                                                                                     : baselineFourBitKernels;
  return picked;
#else
  return baselineFourBitKernels;
#endif
}

}  // namespace neural_lsh::cpu
