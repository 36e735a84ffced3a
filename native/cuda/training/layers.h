// The layers of a network on the device. Where each reads and writes stays the same from step to step, so
// that a step can be recorded and repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "../device.h"
#include "../interface.h"
#include "dnn.h"
#include "kernels.h"
#include "numbers.h"
#include "products.h"

namespace neural_lsh::cuda {

/// What all layers use.
struct LayerContext {
  const Stream& stream;
  const Multiplier& multiplier;
  const Dnn& dnn;
  const Batch* batch;   // of the device
  NumberType operands;  // what products and convolutions read
  bool deterministic;
  std::uint64_t seed;  // of what is drawn where that is false
};

/// A layer's arrays on the device. Products and convolutions find `operands` in `in` and outGradient, all
/// others floats; each writes `out` and inGradient in the type that those have. in and out of a layer that
/// has no weights are equally wide and have the same stride, as have their gradients.
struct Place {
  std::size_t maxRows;
  Numbers in, out;
  Numbers outGradient, inGradient;       // inGradient without memory where nobody asks for it
  float *weight, *bias;                  // bias: null where there is none
  Bf16 *shortWeight, *shortBias;         // the same as bf16; null where no product reads that
  float *weightGradient, *biasGradient;  // the second as far behind the first as the bias is
  std::size_t extent;                    // of weight and bias together, with what is between them
  float *runningMean, *runningVariance;  // of batch norm
};

class Layer {
 public:
  virtual ~Layer() = default;

  /// From `in` to `out`.
  virtual void forward(std::size_t rows, bool training) = 0;
  /// From outGradient, which may be used up, to inGradient and the parameters' gradients; of the rows that
  /// went forward last, in training.
  virtual void backward(std::size_t rows) = 0;
};

/// A linear layer, and the ReLU behind it if there is one. Where cuBLASLt can, bias and ReLU are done along
/// with the product, and the way back through a ReLU along with that of the linear layer behind it.
class Linear final : public Layer {
 public:
  /// before: the linear layer with a ReLU whose output enters here, or null.
  Linear(const LayerContext& context, const NlshLayer& layer, const Place& place, bool relu, Linear* before);

  void forward(std::size_t rows, bool training) override;
  void backward(std::size_t rows) override;

 private:
  /// How a number of rows is gone about.
  struct Plan {
    std::unique_ptr<FusedProduct> forward, weightGradient, inGradient;
    bool hasMask = false;       // of the ReLU, since it went forward
    bool reluIsUndone = false;  // on the way back, by the layer behind
  };

  Plan& planFor(std::size_t rows);
  std::unique_ptr<FusedProduct> forwardProduct(std::size_t rows) const;
  std::unique_ptr<FusedProduct> weightProduct(std::size_t rows) const;
  std::unique_ptr<FusedProduct> inputProduct(std::size_t rows, bool appliesMask) const;
  Operand weight() const;

  LayerContext context_;
  Place place_;
  std::size_t inputs_, outputs_;
  bool relu_;
  Linear* before_;
  DeviceArray<std::uint8_t> mask_;
  DeviceArray<float> columnParts_;
  std::map<std::size_t, Plan> plans_;
};

/// All others; `number`: of the layer in its network.
std::unique_ptr<Layer> makeLayer(const LayerContext& context, const NlshLayer& layer, std::size_t number,
                                 const Place& place);
std::unique_ptr<Layer> makeConvolution(const LayerContext& context, const NlshLayer& layer,
                                       const Place& place);
std::unique_ptr<Layer> makePool(const LayerContext& context, const NlshLayer& layer, const Place& place);
std::unique_ptr<Layer> makeBatchNorm(const LayerContext& context, const NlshLayer& layer, const Place& place);
std::unique_ptr<Layer> makeDropout(const LayerContext& context, const NlshLayer& layer, std::size_t number,
                                   const Place& place);

}  // namespace neural_lsh::cuda
