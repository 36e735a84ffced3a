// The classifier: a network whose softmax over the bins is the learned partition (Dong, Indyk, Razenshteyn &
// Wagner, "Learning Space Partitions for Nearest Neighbor Search", ICLR 2020, sec. 3). How it is trained
// stands in trainer.h, how it answers queries in router.h.
#pragma once

#include <cstddef>
#include <vector>

#include "description.h"
#include "input-transform.h"

namespace neural_lsh::cpu {

/// Everything that turns a vector into bins' probabilities: softmax(network(input(x)) / temperature).
struct Classifier {
  NetworkDescription network;
  std::vector<float> parameters;
  std::vector<float> buffers;
  InputTransform input;
  double temperature = 1;
};

/// In place over each row: logits -> probabilities, numerically safe.
void softmaxRows(float* values, std::size_t rows, std::size_t columns);

}  // namespace neural_lsh::cpu
