// Linear algebra of matrices that are small in one direction, in double precision.
#pragma once

#include <cstddef>
#include <vector>

#include "../../core/random.h"

namespace neural_lsh::cpu {

/// Row-major.
struct DoubleMatrix {
  DoubleMatrix(std::size_t rowCount, std::size_t columnCount)
      : rows(rowCount), columns(columnCount), numbers(rowCount * columnCount) {}

  double* row(std::size_t i) { return numbers.data() + i * columns; }
  const double* row(std::size_t i) const { return numbers.data() + i * columns; }

  std::size_t rows, columns;
  std::vector<double> numbers;
};

/// A B and A B^T.
DoubleMatrix product(const DoubleMatrix& a, const DoubleMatrix& b);
DoubleMatrix productWithTransposed(const DoubleMatrix& a, const DoubleMatrix& b);

/// Standard normal numbers.
DoubleMatrix randomNormals(std::size_t rows, std::size_t columns, Random& random);

/// Makes the rows, at most as many as there are columns, orthogonal and of unit length (Gram & Schmidt, twice
/// for its rounding). A row that depends on those before it is replaced by a random one.
void orthonormalize(DoubleMatrix& matrix, Random& random);

/// Makes the rows of a square matrix orthogonal by rotations, the longest first (one-sided Jacobi: Hestenes
/// 1958). Returns the product of the rotations: the new matrix is that times the old one. What was symmetric
/// and positive semidefinite has the rows that are returned as eigenvectors.
DoubleMatrix orthogonalizeByRotations(DoubleMatrix& matrix);

double norm(const double* numbers, std::size_t count);

}  // namespace neural_lsh::cpu
