// The portable variant and the choice.
#include "four-bit-kernels.h"

#include "instruction-set.h"

namespace neural_lsh::cpu {
namespace {

std::size_t compare(const FourBitQuery& query, const std::uint8_t* blocks, std::size_t count,
                    const std::uint8_t*, FourBitSurvivor* survivors) {
  const std::size_t padded = (query.pairs + pairsTogether - 1) / pairsTogether * pairsTogether;
  std::size_t found = 0;
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
      survivors[found++] = {static_cast<std::uint32_t>(b * fourBitVectors + v), value};
    }
  }
  return found;
}

}  // namespace

const FourBitKernels baselineFourBitKernels = {compare};

const FourBitKernels& fourBitKernels() {
#ifdef NEURAL_LSH_X86
  static const FourBitKernels& picked = instructionSet() >= InstructionSet::avx512 ? avx512FourBitKernels
                                        : instructionSet() == InstructionSet::avx2 ? avx2FourBitKernels
                                                                                   : baselineFourBitKernels;
  return picked;
#else
  return baselineFourBitKernels;
#endif
}

}  // namespace neural_lsh::cpu
