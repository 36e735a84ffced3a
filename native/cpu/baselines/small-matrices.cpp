#include "small-matrices.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace neural_lsh::cpu {
namespace {

double dotProduct(const double* a, const double* b, std::size_t count) {
  return std::inner_product(a, a + count, b, 0.0);
}

void removeComponents(DoubleMatrix& matrix, std::size_t row) {
  double* const x = matrix.row(row);
  for (int round = 0; round < 2; ++round) {
    for (std::size_t other = 0; other < row; ++other) {
      const double* const unit = matrix.row(other);
      const double component = dotProduct(x, unit, matrix.columns);
      for (std::size_t i = 0; i < matrix.columns; ++i) x[i] -= component * unit[i];
    }
  }
}

void fillWithNormals(double* numbers, std::size_t count, Random& random) {
  for (std::size_t i = 0; i < count; i += 2) {
    const auto [first, second] = random.normals();
    numbers[i] = first;
    if (i + 1 < count) numbers[i + 1] = second;
  }
}

/// (a, b) becomes (cosine a - sine b, sine a + cosine b).
struct Rotation {
  double cosine, sine;

  void apply(double* a, double* b, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
      const double x = a[i], y = b[i];
      a[i] = cosine * x - sine * y;
      b[i] = sine * x + cosine * y;
    }
  }
};

/// What makes two vectors with these squared lengths and this product orthogonal.
Rotation orthogonalizing(double squaredA, double squaredB, double dot) {
  const double cotangent = (squaredB - squaredA) / (2 * dot);
  const double tangent = std::copysign(1 / (std::abs(cotangent) + std::hypot(1, cotangent)), cotangent);
  const double cosine = 1 / std::hypot(1, tangent);
  return {cosine, cosine * tangent};
}

/// Returns whether any two rows had to be rotated.
bool sweep(DoubleMatrix& matrix, DoubleMatrix& rotations) {
  constexpr double negligible = 1e-14;
  const std::size_t n = matrix.columns;
  bool rotated = false;
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    for (std::size_t j = i + 1; j < matrix.rows; ++j) {
      double *const a = matrix.row(i), *const b = matrix.row(j);
      const double squaredA = dotProduct(a, a, n), squaredB = dotProduct(b, b, n), dot = dotProduct(a, b, n);
      if (!(std::abs(dot) > negligible * std::sqrt(squaredA) * std::sqrt(squaredB))) continue;
      const Rotation rotation = orthogonalizing(squaredA, squaredB, dot);
      rotation.apply(a, b, n);
      rotation.apply(rotations.row(i), rotations.row(j), n);
      rotated = true;
    }
  }
  return rotated;
}

DoubleMatrix inOrder(const DoubleMatrix& matrix, const std::vector<std::size_t>& order) {
  DoubleMatrix result(matrix.rows, matrix.columns);
  for (std::size_t i = 0; i < matrix.rows; ++i)
    std::copy_n(matrix.row(order[i]), matrix.columns, result.row(i));
  return result;
}

}  // namespace

double norm(const double* numbers, std::size_t count) {
  return std::sqrt(dotProduct(numbers, numbers, count));
}

DoubleMatrix product(const DoubleMatrix& a, const DoubleMatrix& b) {
  DoubleMatrix result(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t k = 0; k < a.columns; ++k) {
      const double factor = a.row(i)[k];
      for (std::size_t j = 0; j < b.columns; ++j) result.row(i)[j] += factor * b.row(k)[j];
    }
  }
  return result;
}

DoubleMatrix productWithTransposed(const DoubleMatrix& a, const DoubleMatrix& b) {
  DoubleMatrix result(a.rows, b.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < b.rows; ++j) result.row(i)[j] = dotProduct(a.row(i), b.row(j), a.columns);
  }
  return result;
}

DoubleMatrix randomNormals(std::size_t rows, std::size_t columns, Random& random) {
  DoubleMatrix result(rows, columns);
  fillWithNormals(result.numbers.data(), result.numbers.size(), random);
  return result;
}

void orthonormalize(DoubleMatrix& matrix, Random& random) {
  constexpr double dependent = 1e-10;  // what is left of a row that depends on others is rounding
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    double* const row = matrix.row(i);
    double before = norm(row, matrix.columns);
    removeComponents(matrix, i);
    while (!(norm(row, matrix.columns) > dependent * before)) {
      fillWithNormals(row, matrix.columns, random);
      before = norm(row, matrix.columns);
      removeComponents(matrix, i);
    }
    const double length = norm(row, matrix.columns);
    for (std::size_t c = 0; c < matrix.columns; ++c) row[c] /= length;
  }
}

DoubleMatrix orthogonalizeByRotations(DoubleMatrix& matrix) {
  constexpr int mostSweeps = 60;  // ten are usual: convergence is quadratic
  const std::size_t n = matrix.rows;
  DoubleMatrix rotations(n, n);
  for (std::size_t i = 0; i < n; ++i) rotations.row(i)[i] = 1;
  for (int i = 0; i < mostSweeps && sweep(matrix, rotations); ++i) continue;
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return norm(matrix.row(a), n) > norm(matrix.row(b), n);
  });
  matrix = inOrder(matrix, order);
  return inOrder(rotations, order);
}

}  // namespace neural_lsh::cpu
