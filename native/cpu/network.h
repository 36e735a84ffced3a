// The classifier's two passes: forward and, for training, backward (Rumelhart, Hinton & Williams 1986).
// Written once for float, which trains, and double, in which the gradients are checked.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "../core/aligned-buffer.h"
#include "classifier.h"

namespace neural_lsh::cpu {

/// Layer `layer` for `rows` rows: out (rows x its outputs) = in weight^T + bias, and ReLU unless it is the
/// last.
template <typename Real>
void layerForward(const ClassifierShape& shape, std::size_t layer, const Real* parameters, const Real* in,
                  std::size_t rows, Real* out, std::size_t threads);

/// A share of a row's target distribution; a row's shares sum to 1, and a bin may stand in several.
template <typename Real>
struct Target {
  std::size_t bin;
  Real share;
};

/// Cross-entropy of one row's softmax(logits) against its target; the logits are overwritten with the loss's
/// gradient with respect to them times `gradientScale`.
template <typename Real>
double crossEntropy(std::span<Real> logits, std::span<const Target<Real>> target, Real gradientScale);

/// Everything between a batch and its gradient, allocated once. Results do not depend on the number of
/// threads.
template <typename Real>
class Network {
 public:
  Network(const ClassifierShape& shape, std::size_t maxRows);

  /// rows x inputs, to be filled before forward.
  Real* inputs() { return values_.front().data(); }
  /// rows x outputs: logits after forward; to be replaced by the loss's gradient before backward.
  Real* outputs() { return values_.back().data(); }
  void forward(const Real* parameters, std::size_t rows, std::size_t threads);
  /// The loss's gradient with respect to the flat parameters, overwritten. Uses up what forward left.
  void backward(const Real* parameters, std::size_t rows, Real* gradient, std::size_t threads);

 private:
  ClassifierShape shape_;
  std::vector<AlignedBuffer<Real>> values_;  // what enters each layer, and what leaves the last
  AlignedBuffer<Real> scratch_;
};

/// Mean cross-entropy of softmax(f(x)) against `targets` (rows x outputs, each row summing to 1), and its
/// gradient with respect to the flat parameters (same length, overwritten). No input transform.
template <typename Real>
Real lossAndGradient(const ClassifierShape& shape, std::span<const Real> parameters, const Real* inputs,
                     const Real* targets, std::size_t rows, std::span<Real> gradient);

}  // namespace neural_lsh::cpu
