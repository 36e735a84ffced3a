#include "classifier.h"

#include "../kernels/kernels.h"
#include "element-wise.h"

namespace neural_lsh::cpu {

void softmaxRows(float* values, std::size_t rows, std::size_t columns) {
  for (float* row = values; row != values + rows * columns; row += columns) {
    const float sum = kernels().exponentials(row, columns, largestOf(row, columns));
    for (std::size_t i = 0; i < columns; ++i) row[i] /= sum;
  }
}

}  // namespace neural_lsh::cpu
