// Distances of all pairs of two point sets, tile by tile through the cache: the n x n matrix never exists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"
#include "kernels/float-products.h"

namespace neural_lsh::cpu {

/// A point set as the tiles need it: for each row a term t, so that
/// distance(a, b) = t_a + t_b + scale * <a - shift, b - shift>
/// (squared Euclidean: t = |a - shift|^2, scale -2; cosine of unit rows: t = 1/2, scale -1; inner product: t
/// = 0, scale -1).
struct TilePoints {
  Matrix points;
  std::vector<float> terms;
  std::vector<double> norms;  // |a - shift|, for error bounds
};

/// What is subtracted from both sets before the products: the mean for Euclidean distances, which keeps the
/// products small where the data lie far from the origin; nothing otherwise.
std::vector<float> tileShift(const Matrix& points, Metric metric);
float tileScale(Metric metric);
TilePoints tilePoints(const Matrix& points, const std::vector<float>& shift, Metric metric);

/// How far a tile's distance can be from the true one, for a row of this norm and term against any point
/// whose norm and term are at most those given, where products are off by `rounding` (Higham, "Accuracy and
/// Stability of Numerical Algorithms", sec. 3.1).
double tileError(const ProductError& rounding, std::size_t columns, Metric metric, double norm, double term,
                 double maxNorm, double maxTerm);

/// The vectors as bytes, row by row, if every value is an integer in [0, 255].
std::optional<std::vector<std::uint8_t>> asBytes(const Matrix& points, const Job& job);

struct Range {
  std::size_t begin, end;
  std::size_t size() const { return end - begin; }
};

/// Products <a - shift, b - shift> of rows x columns of the two sets.
struct ProductTile {
  Range rows, columns;
  const float* products;
  std::size_t stride;
};

/// Rows of a block such that two packed ones stay in the outer caches.
std::size_t tileBlockRows(std::size_t columns);

/// Visits every tile of rows x columns; with upperOnly, tiles wholly below the diagonal are left out.
void forEachTile(const Matrix& a, Range rows, const Matrix& b, Range columns, const std::vector<float>& shift,
                 bool upperOnly, const std::function<void(const ProductTile&)>& visit);

}  // namespace neural_lsh::cpu
