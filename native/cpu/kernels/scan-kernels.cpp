// The portable variant, written so that compilers turn its loops into vector instructions, and the choice.
#include "scan-kernels.h"

#include "instruction-set.h"

namespace neural_lsh::cpu {
namespace {

/// sums[v] = <vector v, query>
void multiply(const std::uint8_t* codes, std::size_t groups, const std::int8_t* query, std::int32_t* sums) {
  for (std::size_t v = 0; v < blockVectors; ++v) sums[v] = 0;
  for (std::size_t g = 0; g < groups; ++g, codes += groupBytes, query += groupDimensions) {
    for (std::size_t v = 0; v < blockVectors; ++v) {
      const std::uint8_t* code = codes + groupDimensions * v;
      sums[v] += code[0] * query[0] + code[1] * query[1] + code[2] * query[2] + code[3] * query[3];
    }
  }
}

void compareBytes(const ByteBlocks& blocks, std::size_t groups, ByteQuery* queries, std::size_t queryCount) {
  for (std::size_t q = 0; q < queryCount; ++q) queries[q].found = 0;
  for (std::size_t b = 0; b < blocks.count; ++b) {
    const std::uint8_t* const block = blocks.blocks + b * byteBlockBytes(groups);
    const auto* biases = reinterpret_cast<const float*>(block);
    const std::uint8_t* codes = block + blockVectors * sizeof(float);
    for (ByteQuery* query = queries; query != queries + queryCount; ++query) {
      std::int32_t high[blockVectors], low[blockVectors] = {};
      multiply(codes, groups, query->high, high);
      if (query->low != nullptr) multiply(codes, groups, query->low, low);
      for (std::size_t v = 0; v < blockVectors; ++v) {
        const float product = static_cast<float>(high[v]) + static_cast<float>(low[v]) * 0x1p-7F;
        float scaled = query->scale * product;
#if defined(__aarch64__)
        asm("" : "+w"(scaled));  // a fused multiply-add would round once where the others round twice
#endif
        const float value = scaled + biases[v];
        if (!(value <= query->threshold)) continue;
        query->survivors[query->found++] = {static_cast<std::uint32_t>(b * blockVectors + v), value};
      }
    }
  }
}

/// Four sums, so that the additions overlap.
template <typename Number>
Number squaredDistance(const float* query, const std::uint8_t* row, std::size_t columns) {
  Number sums[4] = {};
  std::size_t c = 0;
  for (; c + 4 <= columns; c += 4) {
    for (std::size_t i = 0; i < 4; ++i) {
      const Number difference = static_cast<Number>(query[c + i]) - row[c + i];
      sums[i] += difference * difference;
    }
  }
  for (; c < columns; ++c) {
    const Number difference = static_cast<Number>(query[c]) - row[c];
    sums[0] += difference * difference;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <typename Number>
Number dotProduct(const float* query, const std::uint8_t* row, std::size_t columns) {
  Number sums[4] = {};
  std::size_t c = 0;
  for (; c + 4 <= columns; c += 4) {
    for (std::size_t i = 0; i < 4; ++i) sums[i] += static_cast<Number>(query[c + i]) * row[c + i];
  }
  for (; c < columns; ++c) sums[0] += static_cast<Number>(query[c]) * row[c];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

const ScanKernels baselineScanKernels = {
    4, compareBytes, squaredDistance<float>, dotProduct<float>, squaredDistance<double>, dotProduct<double>};

const ScanKernels& scanKernels() {
#ifdef NEURAL_LSH_X86
  static const ScanKernels picked = instructionSet() >= InstructionSet::amx    ? amxScanKernels()
                                    : instructionSet() >= InstructionSet::vnni ? vnniScanKernels
                                    : instructionSet() >= InstructionSet::avx2 ? avx2ScanKernels
                                                                               : baselineScanKernels;
  return picked;
#else
  return baselineScanKernels;
#endif
}

}  // namespace neural_lsh::cpu
