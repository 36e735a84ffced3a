// The classifier: a network whose softmax over the bins is the learned partition (Dong, Indyk, Razenshteyn &
// Wagner, "Learning Space Partitions for Nearest Neighbor Search", ICLR 2020, sec. 3). How it is trained
// stands in trainer.h.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "description.h"
#include "input-transform.h"
#include "network.h"

namespace neural_lsh::cpu {

/// Everything that turns a vector into bins' probabilities: softmax(network(input(x)) / temperature).
struct Classifier {
  NetworkDescription network;
  std::vector<float> parameters;
  std::vector<float> buffers;
  InputTransform input;
  double temperature = 1;
};

/// A classifier at work.
class Router {
 public:
  explicit Router(Classifier classifier);

  const Classifier& classifier() const { return classifier_; }
  /// Logits / temperature of `rows` input rows into out (rows x bins), on at most `threads` threads (0: all).
  /// Safe to call from several threads at once.
  void logits(const float* inputs, std::size_t rows, float* out, std::size_t threads) const;

 private:
  Classifier classifier_;
  Network<float> network_;
};

/// In place over each row: logits -> probabilities, numerically safe.
void softmaxRows(float* values, std::size_t rows, std::size_t columns);

}  // namespace neural_lsh::cpu
