// The network's two passes: forward and, for training, backward (Rumelhart, Hinton & Williams 1986).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "description.h"
#include "layer.h"

namespace neural_lsh::cpu {

/// Everything between a batch and its gradient, allocated once. Results do not depend on the number of
/// threads.
template <typename Real>
class Network {
 public:
  /// For training with up to maxRows rows, of which large products are of this precision; with maxRows = 0 it
  /// can only infer.
  Network(const NetworkDescription& description, std::size_t maxRows,
          Precision precision = Precision::single);

  const NetworkDescription& description() const { return description_; }

  /// rows x inputs, to be filled before forward.
  Real* inputs() { return values_.front(); }
  /// rows x outputs: after forward what left the last layer, to be replaced by the loss's gradient before
  /// backward.
  Real* outputs() { return values_.back(); }

  /// In training: dropout drops (layer l's mask is drawn from the l-th output of Random(seed), l from 0),
  /// batch norm normalises with the batch's statistics and updates `buffers`. The rows are the batch's from
  /// number `firstRow` on.
  void forward(const Real* parameters, Real* buffers, std::size_t rows, std::uint64_t seed,
               std::size_t threads, std::size_t firstRow = 0);
  /// The loss's gradient with respect to the flat parameters, overwritten or, if firstRow > 0, added to that
  /// of the rows before, and, unless inputGradient is nullptr, to the inputs. Uses up what forward left.
  void backward(const Real* parameters, std::size_t rows, Real* gradient, Real* inputGradient,
                std::size_t threads, std::size_t firstRow = 0);
  /// The same of a whole batch, where `update` may change the parameters: it is told each one's gradient
  /// once, as soon as nobody else needs the parameter. `gradient` is room for it.
  void backward(const Real* parameters, std::size_t rows, Real* gradient, std::size_t threads,
                const Update<Real>& update);

  /// In use, `rows` rows from `in` to `out`; safe from several threads at once. Few rows and many take
  /// different ways, whose sums differ in rounding.
  void infer(const Real* parameters, const Real* buffers, const Real* in, std::size_t rows, Real* out,
             std::size_t threads) const;

 private:
  Pass passOf(std::size_t layer, std::size_t rows, std::size_t threads) const {
    return {rows, threads, seeds_[layer], firstRow_, precision_};
  }
  Piece pieceOf(std::size_t layer, std::size_t begin, std::size_t end) const {
    return {begin, end, true, seeds_[layer], firstRow_};
  }
  /// With layer(l, the gradient of what entered it or nullptr) for the layers that need to see the batch.
  template <typename Batch>
  void runBackward(std::size_t rows, bool inputWanted, std::size_t threads, const Batch& layer);
  void backwardRows(std::size_t first, std::size_t last, std::size_t rows, std::size_t threads);

  NetworkDescription description_;
  Precision precision_;
  std::vector<std::unique_ptr<Layer<Real>>> layers_;
  std::vector<AlignedBuffer<Real>> memory_;
  // What enters each layer, what leaves the last and, where backward needs that, a copy to be overwritten.
  std::vector<Real*> values_;
  // The gradients with respect to what enters each layer and what leaves the last.
  std::vector<Real*> gradients_;
  std::vector<std::uint64_t> seeds_;
  std::size_t firstRow_ = 0;  // of the rows at work in their batch
};

}  // namespace neural_lsh::cpu
