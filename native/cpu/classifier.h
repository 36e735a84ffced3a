// The classifier: an MLP Linear-ReLU-...-Linear whose softmax over the bins is the learned partition
// (Dong, Indyk, Razenshteyn & Wagner, "Learning Space Partitions for Nearest Neighbor Search", ICLR 2020,
// sec. 3). How it is trained stands in trainer.h.
#pragma once

#include <cstddef>
#include <vector>

namespace neural_lsh::cpu {

/// widths = {inputs, hidden..., outputs}; a ReLU stands between every two linear layers. The parameters are
/// flat: for each layer its weight [out, in], row-major, and then its bias [out].
struct ClassifierShape {
  std::vector<std::size_t> widths;

  std::size_t inputs() const { return widths.front(); }
  std::size_t outputs() const { return widths.back(); }
  std::size_t layers() const { return widths.size() - 1; }
  std::size_t widest() const;
  /// Where layer l's weight starts in the flat parameters; weightOffset(layers()) is their number.
  std::size_t weightOffset(std::size_t layer) const;
  std::size_t biasOffset(std::size_t layer) const;
  /// Length of the flat parameters.
  std::size_t parameters() const { return weightOffset(layers()); }
  /// Multiply-adds of one row's forward pass.
  std::size_t multiplyAdds() const;
};

/// x' = (x - mean) * scale, one mean a feature, one scale for all: what the network is fed with.
struct InputTransform {
  std::vector<float> mean;  // inputs
  float scale = 1;

  /// Of one row.
  void apply(const float* row, float* out) const;
};

struct Classifier {
  ClassifierShape shape;
  InputTransform input;
  std::vector<float> parameters;
};

/// Logits of `rows` input rows into out (rows x outputs), input transform applied, on at most `threads`
/// threads (0: all). Few rows and many take different ways, whose sums differ in rounding.
void classifierLogits(const Classifier& classifier, const float* inputs, std::size_t rows, float* out,
                      std::size_t threads);

/// In place over each row: logits -> probabilities, numerically safe.
void softmaxRows(float* values, std::size_t rows, std::size_t columns);

}  // namespace neural_lsh::cpu
