// What every kind of layer can do. Written for float, which trains, and double, in which gradients are
// checked. No result depends on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "../sgemm.h"
#include "description.h"

namespace neural_lsh::cpu {

/// One forward and backward pass over a batch, or over a part of it: the `rows` rows from number `first` on.
struct Pass {
  std::size_t rows;
  std::size_t threads;
  std::uint64_t seed;  // of this layer in this step: what dropout draws from
  std::size_t first = 0;
  Precision precision = Precision::single;
};

/// Rows [begin, end) of a pass.
struct Piece {
  std::size_t begin, end;
  bool training;
  std::uint64_t seed;     // as in Pass
  std::size_t first = 0;  // likewise
};

enum class Phase { infer, forward, backward };

/// What a layer needs to see at once in a phase. What it does row by row is done piece by piece, for all the
/// neighboring layers that can while a piece lies in the cache: memory is what these steps wait for.
enum class Work { batch, batchThenRows, rows };

/// Moves `count` parameters, from number `first` on, by their gradient, which it may use up. Safe to call
/// from several threads at once.
template <typename Real>
using Update = std::function<void(std::size_t first, std::size_t count, Real* gradient)>;

template <typename Real>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual Work work(Phase) const { return Work::batch; }
  /// Whether `out` may be `in` in training (and the two gradients one).
  virtual bool inPlace() const { return false; }
  /// Whether backward reads `out`, which a following layer must therefore not overwrite.
  virtual bool needsOutput() const { return false; }

  /// In use, the part that needs the batch. Safe to call from several threads at once.
  virtual void infer(const Real* parameters, const Real* buffers, const Real* in, std::size_t rows, Real* out,
                     std::size_t threads) const = 0;

  /// The same in training; what backward will need besides `in` and `out` is kept in the layer. Updates
  /// `buffers`.
  virtual void forward(const Pass& pass, const Real* parameters, Real* buffers, const Real* in, Real* out) {
    infer(parameters, buffers, in, pass.rows, out, pass.threads);
  }

  /// The rest of both, for the rows of a piece; `in` and `out` are those of the whole batch. In use, dropout
  /// does nothing, batch norm applies its running statistics, and layers of Work::rows may always work in
  /// place.
  virtual void forwardRows(const Piece&, const Real* /* parameters */, const Real* /* buffers */,
                           const Real* /* in */, Real* /* out */) const {}

  /// Writes the gradient of the loss with respect to `in` (unless inGradient is nullptr) and to the layer's
  /// parameters (overwritten, but added to what the batch's first rows gave if pass.first > 0), given that
  /// with respect to `out`, which may be used up. `in` and `out` are those of the forward pass before; in
  /// place, `in` is what forward wrote there.
  virtual void backward(const Pass& pass, const Real* parameters, const Real* in, const Real* out,
                        Real* outGradient, Real* inGradient, Real* parameterGradient) = 0;

  /// The same for a layer that can hand on the gradient of its own parameters part by part, each while it
  /// lies in the cache, instead of writing it; false, and nothing done, where it cannot or need not.
  virtual bool backwardUpdating(const Pass&, const Real* /* parameters */, const Real* /* in */,
                                Real* /* outGradient */, Real* /* inGradient */, const Update<Real>&) {
    return false;
  }

  /// The rest of it, for the rows of a piece; not called unless somebody wants the gradient of `in`.
  virtual void backwardRows(const Piece&, const Real* /* in */, const Real* /* out */,
                            const Real* /* outGradient */, Real* /* inGradient */) const {}
};

/// A layer that treats each row by itself and has nothing to learn.
template <typename Real>
class RowLayer : public Layer<Real> {
 public:
  Work work(Phase) const final { return Work::rows; }
  void infer(const Real*, const Real*, const Real*, std::size_t, Real*, std::size_t) const final {}
  void backward(const Pass&, const Real*, const Real*, const Real*, Real*, Real*, Real*) final {}
};

/// layers.cpp: linear, batchNorm, dropout, flatten. activations.cpp: activation. convolution.cpp: conv2d and
/// the pools. partition-rules.cpp: treeLeaves, signCodes, crossPolytope.
template <typename Real>
std::unique_ptr<Layer<Real>> makeLayer(const LayerDescription& description);
template <typename Real>
std::unique_ptr<Layer<Real>> makeActivation(const LayerDescription& description);
template <typename Real>
std::unique_ptr<Layer<Real>> makeConvolution(const LayerDescription& description);
template <typename Real>
std::unique_ptr<Layer<Real>> makePool(const LayerDescription& description);
template <typename Real>
std::unique_ptr<Layer<Real>> makePartitionRule(const LayerDescription& description);

}  // namespace neural_lsh::cpu
