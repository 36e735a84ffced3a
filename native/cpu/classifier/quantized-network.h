// The network in 8-bit integers: what a query is routed by. Each output's weights are signed bytes with a
// scale of their own, each row that enters a layer becomes unsigned bytes between its least and its largest
// number; sums of products are exact, so a row's result depends on neither the other rows nor the CPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "../kernels/router-kernels.h"
#include "classifier.h"

namespace neural_lsh::cpu {

/// out = weights (outputs x inputs) in + biases, then ReLU.
struct DenseLayer {
  std::size_t inputs, outputs;
  std::vector<float> weights;
  std::vector<float> biases;
  bool relu;

  std::span<const float> row(std::size_t output) const { return {weights.data() + output * inputs, inputs}; }
};

/// The classifier behind its input transform as such layers: batch norm becomes part of a linear layer beside
/// it, and the temperature of the last. The last layer's outputs are logits up to a number that all bins
/// share; or, where the rule of a partition comes last, which is left out, what enters that. Nothing if there
/// are other layers.
std::optional<std::vector<DenseLayer>> denseLayers(const Classifier& classifier);

/// Rows of bytes, as they enter a layer.
class ByteRows {
 public:
  /// `count` rows of `columns` numbers, `stride` numbers apart.
  void quantize(const float* rows, std::size_t stride, std::size_t count, std::size_t columns);

  std::size_t rows() const { return ranges_.size(); }
  std::size_t stride() const { return stride_; }
  const std::uint8_t* row(std::size_t i) const { return bytes_.data() + i * stride_; }
  const ByteRange* range(std::size_t i) const { return &ranges_[i]; }

 private:
  std::size_t stride_ = 0;
  AlignedBuffer<std::uint8_t> bytes_;
  std::vector<ByteRange> ranges_;
};

class QuantizedLayer {
 public:
  QuantizedLayer() = default;
  /// Output i is the layer's output order[i], or, where that is negative, always -FLT_MAX.
  QuantizedLayer(const DenseLayer& layer, std::span<const Id> order);
  explicit QuantizedLayer(const DenseLayer& layer);

  std::size_t inputs() const { return inputs_; }
  /// A multiple of 16.
  std::size_t outputs() const { return outputs_; }
  std::size_t blocks() const { return outputs_ / ByteWeights::blockOutputs; }
  std::size_t bytes() const { return weights_.size() + numbers_.size() * sizeof(float); }

  /// Outputs [16 begin, 16 end) of rows [first, first + count), `stride` numbers apart.
  void apply(const ByteRows& rows, std::size_t first, std::size_t count, std::size_t begin, std::size_t end,
             float* out, std::size_t stride) const;

 private:
  std::size_t inputs_ = 0, outputs_ = 0;
  bool relu_ = false;
  AlignedBuffer<std::int8_t> weights_;
  AlignedBuffer<float> numbers_;  // scales, sums of weights, biases
};

}  // namespace neural_lsh::cpu
