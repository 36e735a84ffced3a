// The words that every stage shares: ids, metrics and views over row-major matrices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace neural_lsh {

/// A row number of the stored vectors, or a bin's number. 32 bits: n <= 2^31 - 1 is checked at the door.
using Id = std::int32_t;

/// How near two vectors are; in all three a smaller distance is nearer.
/// euclidean: squared Euclidean distance |a - b|^2. cosine: 1 - <a, b> of unit vectors.
/// innerProduct: -<a, b>.
enum class Metric { euclidean, cosine, innerProduct };

/// A read-only row-major matrix that somebody else owns.
struct Matrix {
  const float* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;

  const float* row(std::size_t i) const { return data + i * columns; }
};

/// A graph in compressed sparse row form, as METIS and KaHIP read it: the neighbors of node i are
/// targets[offsets[i] .. offsets[i + 1]), every undirected edge stands in both directions.
struct Graph {
  std::span<const std::int32_t> offsets;  // xadj, n + 1
  std::span<const std::int32_t> targets;  // adjncy, 2 * edges
  std::span<const std::int32_t> weights;  // adjcwgt, 2 * edges

  std::size_t nodes() const { return offsets.empty() ? 0 : offsets.size() - 1; }
};

}  // namespace neural_lsh
