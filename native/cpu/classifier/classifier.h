// The classifier: a network whose softmax over the bins is the learned partition (Dong, Indyk, Razenshteyn &
// Wagner, "Learning Space Partitions for Nearest Neighbor Search", ICLR 2020, sec. 3). How it is trained
// stands in trainer.h, how it answers queries in router.h.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "description.h"
#include "input-transform.h"

namespace neural_lsh::cpu {

/// The second of two levels: a network for each output of the first one, all of the same layers.
struct ChildNetworks {
  NetworkDescription network;
  std::vector<float> parameters;  // child after child
  std::vector<float> buffers;     // likewise
};

/// Everything that turns a vector into bins' probabilities: softmax(logits(input(x)) / temperature). The
/// logits are what leaves the network. With children the network's outputs are groups of bins, child g ranks
/// the bins of group g, which lie side by side, and a bin's logit is log softmax(network)[group] + log
/// softmax(child)[bin in the group] (Dong et al., sec. 3.2).
struct Classifier {
  NetworkDescription network;
  std::vector<float> parameters;
  std::vector<float> buffers;
  InputTransform input;
  double temperature = 1;
  std::optional<ChildNetworks> children;

  std::size_t bins() const {
    return network.outputs() * (children ? children->network.outputs() : std::size_t{1});
  }
  /// Child g by itself, at temperature 1.
  Classifier child(std::size_t group) const;
};

/// In place over each row: logits -> probabilities, numerically safe.
void softmaxRows(float* values, std::size_t rows, std::size_t columns);

}  // namespace neural_lsh::cpu
