// What training minimises, with PyTorch's definitions and reductions.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace neural_lsh::cpu {

enum class LossType {
  crossEntropy,        // nn.CrossEntropyLoss of the outputs
  binaryCrossEntropy,  // nn.BCEWithLogitsLoss: every bin with a share in the target is a 1
  meanSquaredError,    // nn.MSELoss of softmax(outputs) and the target's shares
  meanAbsoluteError    // nn.L1Loss of the same
};

struct Loss {
  LossType type = LossType::crossEntropy;
  double labelSmoothing = 0;         // of the cross-entropy, in [0, 1): Szegedy et al., CVPR 2016, sec. 7
  std::vector<double> classWeights;  // empty, or one a bin
};

/// A share of a row's target distribution; a row's shares sum to 1, and a bin may stand in several.
template <typename Real>
struct Target {
  std::size_t bin;
  Real share;
};

/// What the sum of rowLoss over a batch's rows is to be divided by: the rows for the cross-entropy, rows x
/// outputs for the others. Hard labels (targets of one entry) under a weighted cross-entropy count by their
/// weights, as in PyTorch; a row's part of it is returned here.
template <typename Real>
double rowNormalizer(const Loss& loss, std::size_t outputs, std::span<const Target<Real>> target);

/// Loss of one row before that division; the outputs are overwritten with the loss's gradient with respect to
/// them times `gradientScale`.
template <typename Real>
double rowLoss(const Loss& loss, std::span<Real> outputs, std::span<const Target<Real>> target,
               Real gradientScale);

/// Mean loss of guessing, all bins alike: what divergence is measured against. With class weights every row
/// is taken to lie in the heaviest bin, and this to weigh at least 1.
double guessingLoss(const Loss& loss, std::size_t outputs);

}  // namespace neural_lsh::cpu
