// The second of two levels at work: what the network of a group says of the bins in it.
#pragma once

#include <cstddef>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "classifier.h"
#include "network.h"
#include "quantized-network.h"

namespace neural_lsh::cpu {

class ChildRouters {
 public:
  /// `bytes`: in 8-bit integers, where the network has only layers that can be (quantized-network.h).
  ChildRouters(const Classifier& classifier, bool bytes);

  std::size_t groups() const { return groups_; }
  /// Of each group.
  std::size_t bins() const { return network_.description().outputs(); }
  /// The same, filled up to a multiple of 16.
  std::size_t paddedBins() const;
  bool inBytes() const { return !layers_.empty(); }

  /// What a thread needs, kept from call to call.
  struct Scratch {
    AlignedBuffer<float> in, out;
    ByteRows bytes;
  };

  /// Row number `row` of transformed inputs -> log softmax over the bins of the group, then -FLT_MAX.
  void logProbabilities(const ByteRows& inputs, std::size_t row, std::size_t group, Scratch& scratch,
                        float* out) const;
  /// The same in float32 for `rows` rows, rows x bins. `children`: the numbers that this was made of.
  void logProbabilities(const ChildNetworks& children, const float* inputs, std::size_t rows,
                        std::size_t group, float* out, std::size_t threads) const;

 private:
  std::size_t groups_;
  Network<float> network_;
  std::vector<std::vector<QuantizedLayer>> layers_;  // of each group; none: the networks run in float32
};

/// In place over each row: logits -> logarithms of their softmax.
void logSoftmaxRows(float* values, std::size_t rows, std::size_t columns);

}  // namespace neural_lsh::cpu
