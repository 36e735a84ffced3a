// What a vector goes through before the network, in training and in every query.
#pragma once

#include <span>
#include <vector>

#include "../../core/job.h"
#include "../../core/types.h"

namespace neural_lsh::cpu {

enum class InputType {
  none,         // as it is
  center,       // minus the mean of each feature, over one deviation for all
  standardize,  // minus the mean of each feature, over its own deviation
  normalize     // to unit length (0 stays 0), then centered
};

/// x' = (x - mean) * scale, both one number a feature, after x was brought to unit length if `unitLength`.
struct InputTransform {
  bool unitLength = false;
  std::vector<float> mean;   // inputs
  std::vector<float> scale;  // inputs

  /// Of one row.
  void apply(const float* row, float* out) const;
};

/// Learned from the given rows of `vectors`. A feature (or a set) that does not vary keeps scale 1. Results
/// do not depend on the number of threads.
InputTransform fitInputTransform(InputType type, const Matrix& vectors, std::span<const Id> rows,
                                 const Job& job);

}  // namespace neural_lsh::cpu
