// Walks over a product of bytes in register tiles. The including file defines MOST_ROWS, MOST_BLOCKS and
// multiplyTile<ROWS, BLOCKS>(weights, block, bytes, strideBytes, ranges, out, strideOut).
namespace neural_lsh::cpu {
namespace {

/// The tile of just the size that is wanted.
template <std::size_t ROWS = MOST_ROWS, std::size_t BLOCKS = MOST_BLOCKS>
void multiplyEdge(const ByteWeights& weights, std::size_t block, std::size_t blocks,
                  const std::uint8_t* bytes, std::size_t strideBytes, const ByteRange* ranges,
                  std::size_t rows, float* out, std::size_t strideOut) {
  if constexpr (BLOCKS > 1) {
    if (blocks < BLOCKS) {
      return multiplyEdge<ROWS, BLOCKS - 1>(weights, block, blocks, bytes, strideBytes, ranges, rows, out,
                                            strideOut);
    }
  }
  if constexpr (ROWS > 1) {
    if (rows < ROWS) {
      return multiplyEdge<ROWS - 1, BLOCKS>(weights, block, blocks, bytes, strideBytes, ranges, rows, out,
                                            strideOut);
    }
  }
  multiplyTile<ROWS, BLOCKS>(weights, block, bytes, strideBytes, ranges, out, strideOut);
}

/// A few blocks' weights stay in the cache for all rows.
void multiply(const ByteWeights& weights, std::size_t begin, std::size_t end, const std::uint8_t* bytes,
              std::size_t strideBytes, const ByteRange* ranges, std::size_t rows, float* out,
              std::size_t strideOut) {
  for (std::size_t block = begin; block < end; block += MOST_BLOCKS) {
    const std::size_t blocks = end - block < MOST_BLOCKS ? end - block : MOST_BLOCKS;
    for (std::size_t row = 0; row < rows; row += MOST_ROWS) {
      multiplyEdge(weights, block, blocks, bytes + row * strideBytes, strideBytes, ranges + row,
                   rows - row < MOST_ROWS ? rows - row : MOST_ROWS,
                   out + row * strideOut + (block - begin) * ByteWeights::blockOutputs, strideOut);
    }
  }
}

}  // namespace
}  // namespace neural_lsh::cpu
