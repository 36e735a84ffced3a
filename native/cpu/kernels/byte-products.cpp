#include "byte-products.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "../../core/aligned-buffer.h"
#include "instruction-set.h"
#include "kernels.h"

namespace neural_lsh::cpu {
namespace {

/// One vector as the words of a panel; the elements behind its end are zero.
void toWords(const std::uint8_t* data, std::size_t depth, std::uint32_t* words) {
  const std::size_t steps = bytePanels().steps(depth);
  words[steps - 1] = 0;
  if (bytePanels().elements == 4) {
    std::memcpy(words, data, depth);
    return;
  }
  for (std::size_t s = 0; s < depth / 2; ++s) words[s] = data[2 * s] | std::uint32_t{data[2 * s + 1]} << 16;
  if (depth % 2 != 0) words[steps - 1] = data[depth - 1];
}

}  // namespace

const PanelKernels<std::int32_t>& bytePanels() {
#ifdef NEURAL_LSH_X86
  static const PanelKernels<std::int32_t>& picked =
      instructionSet() >= InstructionSet::amx      ? amxBytePanels
      : instructionSet() >= InstructionSet::vnni   ? vnniBytePanels
      : instructionSet() >= InstructionSet::avx512 ? avx512BytePanels
      : instructionSet() >= InstructionSet::avx2   ? avx2BytePanels
                                                   : baselineBytePanels;
  return picked;
#else
  return baselineBytePanels;
#endif
}

std::size_t packedByteWords(std::size_t count, std::size_t depth) {
  return bytePanels().packedWords(count, depth);
}

void packBytes(const std::uint8_t* data, std::size_t stride, std::size_t count, std::size_t depth,
               std::uint32_t* out) {
  const std::size_t width = bytePanels().panelWidth, steps = bytePanels().steps(depth);
  const std::size_t wordsOfRow = bytePanels().wordsOfRow(depth);
  thread_local AlignedBuffer<std::uint32_t> buffer;
  std::uint32_t* const words = buffer.require(width * steps);
  for (std::size_t first = 0; first < count; first += width, out += bytePanels().panelWords(depth)) {
    const std::size_t vectors = std::min(width, count - first);
    for (std::size_t v = 0; v < width; ++v) {
      const std::uint8_t* vector = data + (first + v) * stride;
      if (v < vectors) toWords(vector, depth, words + v * steps);
      out[v] = v < vectors && bytePanels().signedOffset != 0
                   ? bytePanels().signedOffset * std::accumulate(vector, vector + depth, std::uint32_t{0})
                   : 0;
    }
    // Words are transposed as floats are: nothing is computed with them.
    kernels().packRows(reinterpret_cast<const float*>(words), steps, vectors, steps, width,
                       reinterpret_cast<float*>(out + width));
    if (wordsOfRow == 0) continue;
    std::uint32_t* row = out + width * (1 + steps);
    std::fill_n(row, width * wordsOfRow, 0U);
    for (std::size_t v = 0; v < vectors; ++v, row += wordsOfRow) std::copy_n(words + v * steps, steps, row);
  }
}

void multiplyBytes(std::size_t rows, std::size_t columns, std::size_t depth, const std::uint32_t* a,
                   const std::uint32_t* b, std::int32_t* c, std::size_t strideC) {
  const PanelKernels<std::int32_t>& panels = bytePanels();
  const std::size_t width = panels.panelWidth, steps = panels.steps(depth);
  thread_local AlignedBuffer<std::int32_t> buffer;
  std::int32_t* const edge = buffer.require(panels.tileRows * width);
  for (std::size_t j = 0; j < columns; j += width) {
    const std::uint32_t* const panel = panels.rowsFrom(b, j, depth);
    for (std::size_t i = 0; i < rows; i += panels.tileRows) {
      const std::size_t height = std::min(panels.tileRows, rows - i), breadth = std::min(width, columns - j);
      const bool whole = height == panels.tileRows && breadth == width;
      std::int32_t* const target = c + i * strideC + j;
      panels.multiply(steps, panels.rowsFrom(a, i, depth), panel, whole ? target : edge,
                      whole ? strideC : width);
      if (whole) continue;
      for (std::size_t r = 0; r < height; ++r) std::copy_n(edge + r * width, breadth, target + r * strideC);
    }
  }
}

}  // namespace neural_lsh::cpu
