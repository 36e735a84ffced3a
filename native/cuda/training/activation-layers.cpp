#include "layers.h"
#include "softmax.h"

namespace neural_lsh::cuda {
namespace {

class Activation final : public Layer {
 public:
  Activation(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context), place_(place), rule_(activationRuleOf(layer)) {}

  void forward(std::size_t rows, bool) override {
    activateAll(rule_, place_.in, rows * place_.in.stride, place_.out, context_.stream);
  }
  void backward(std::size_t rows) override {
    if (!place_.inGradient.data) return;
    const Numbers& kept = slopeNeedsInput(rule_.type) ? place_.in : place_.out;
    activationGradients(rule_, kept, place_.outGradient, rows * place_.in.stride, place_.inGradient,
                        context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  ActivationRule rule_;
};

class SoftmaxLayer final : public Layer {
 public:
  SoftmaxLayer(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context),
        place_(place),
        out_(place.out, NumberType::float32, place.maxRows),
        inGradient_(place.inGradient, NumberType::float32, place.inGradient.data ? place.maxRows : 0),
        softmax_(context.dnn, CUDNN_SOFTMAX_ACCURATE, layer.in, place.in.stride) {}

  void forward(std::size_t rows, bool) override {
    softmax_.forward(rows, place_.in.floats(), out_.numbers().floats());
    out_.finish(rows, context_.stream);
  }
  void backward(std::size_t rows) override {
    if (!place_.inGradient.data) return;
    softmax_.backward(out_.numbers().floats(), place_.outGradient.floats(), inGradient_.numbers().floats());
    inGradient_.finish(rows, context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  Detour out_, inGradient_;
  Softmax softmax_;
};

}  // namespace

std::unique_ptr<Layer> makeLayer(const LayerContext& context, const NlshLayer& layer, std::size_t number,
                                 const Place& place) {
  switch (layer.type) {
    case NLSH_CONV2D:
      return makeConvolution(context, layer, place);
    case NLSH_MAX_POOL2D:
    case NLSH_AVERAGE_POOL2D:
      return makePool(context, layer, place);
    case NLSH_BATCH_NORM:
      return makeBatchNorm(context, layer, place);
    case NLSH_DROPOUT:
      return makeDropout(context, layer, number, place);
    default:
      if (layer.activation == NLSH_SOFTMAX) return std::make_unique<SoftmaxLayer>(context, layer, place);
      return std::make_unique<Activation>(context, layer, place);
  }
}

}  // namespace neural_lsh::cuda
