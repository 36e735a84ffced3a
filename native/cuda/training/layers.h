// The layers of a network on the device. Where each reads and writes stays the same from step to step, so
// that a step can be recorded and repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "../device.h"
#include "../interface.h"
#include "kernels.h"
#include "products.h"

namespace neural_lsh::cuda {

/// cuDNN, for one stream.
class Dnn;
std::shared_ptr<const Dnn> makeDnn(const Stream& stream);

/// What all layers use.
struct LayerContext {
  const Stream& stream;
  const Multiplier& multiplier;
  const Batch* batch;  // of the device
  NlshPrecision precision;
  bool deterministic;
  std::shared_ptr<const Dnn> dnn;  // null where no layer asks for it
};

/// A layer's arrays on the device. inGradient: null where nobody asks for it; bias: null where there is none.
struct Place {
  std::size_t maxRows;
  float *in, *out;
  float *outGradient, *inGradient;
  float *weight, *bias, *weightGradient, *biasGradient, *buffers;
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
    std::unique_ptr<Product> forward, weightGradient, inGradient;
    Along alongForward = Along::nothing, alongWeights = Along::nothing;
    bool reluIsUndone = false;  // on the way back, by the layer behind
  };

  Plan& planFor(std::size_t rows);
  void planForward(Plan& plan, std::size_t rows);
  void planBackward(Plan& plan, std::size_t rows);

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
/// By cuDNN, which the context must have.
std::unique_ptr<Layer> makeConvolution(const LayerContext& context, const NlshLayer& layer,
                                       const Place& place);

}  // namespace neural_lsh::cuda
