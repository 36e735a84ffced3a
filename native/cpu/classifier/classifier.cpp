#include "classifier.h"

#include "../kernels/kernels.h"
#include "element-wise.h"

namespace neural_lsh::cpu {

Classifier Classifier::child(std::size_t group) const {
  const auto part = [group](const std::vector<float>& all, std::size_t size) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(group * size);
    return std::vector<float>(first, first + static_cast<std::ptrdiff_t>(size));
  };
  const NetworkDescription& description = children->network;
  return {description,
          part(children->parameters, description.parameters()),
          part(children->buffers, description.buffers()),
          input,
          1,
          {}};
}

void softmaxRows(float* values, std::size_t rows, std::size_t columns) {
  for (float* row = values; row != values + rows * columns; row += columns) {
    const float sum = kernels().exponentials(row, columns, largestOf(row, columns));
    for (std::size_t i = 0; i < columns; ++i) row[i] /= sum;
  }
}

}  // namespace neural_lsh::cpu
