// The layers whose work kernels of ours do: what they give is to the last rounding what the CPU's give, NaN
// and equal numbers included, which cuDNN does not promise.
#include "layers.h"

namespace neural_lsh::cuda {
namespace {

std::size_t pixelsOf(const NlshShape& shape) {
  return shape.height * shape.width;
}

std::size_t sizeOf(const NlshShape& shape) {
  return shape.channels * pixelsOf(shape);
}

class Activation final : public Layer {
 public:
  Activation(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context), place_(place), rule_(activationRuleOf(layer)), columns_(sizeOf(layer.in)) {}

  void forward(std::size_t rows, bool) override {
    activateAll(rule_, place_.in, rows * columns_, place_.out, context_.stream);
  }
  void backward(std::size_t rows) override {
    if (!place_.inGradient) return;
    const float* const kept = slopeNeedsInput(rule_.type) ? place_.in : place_.out;
    activationGradients(rule_, kept, place_.outGradient, rows * columns_, place_.inGradient, context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  ActivationRule rule_;
  std::size_t columns_;
};

class Softmax final : public Layer {
 public:
  Softmax(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context), place_(place), columns_(sizeOf(layer.in)) {}

  void forward(std::size_t rows, bool) override {
    softmax(place_.in, rows, columns_, place_.out, context_.stream);
  }
  void backward(std::size_t rows) override {
    if (!place_.inGradient) return;
    softmaxGradients(place_.out, place_.outGradient, rows, columns_, place_.inGradient, context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  std::size_t columns_;
};

/// The mask is drawn again on the way back.
class Dropout final : public Layer {
 public:
  Dropout(const LayerContext& context, const NlshLayer& layer, std::size_t number, const Place& place)
      : context_(context),
        place_(place),
        number_(number),
        dropping_(droppingOf(layer.rate)),
        columns_(sizeOf(layer.in)) {}

  void forward(std::size_t rows, bool training) override {
    const Dropping dropping = training ? dropping_ : droppingOf(0);
    drop(dropping, context_.batch, number_, place_.in, rows * columns_, place_.out, context_.stream);
  }
  void backward(std::size_t rows) override {
    if (!place_.inGradient) return;
    drop(dropping_, context_.batch, number_, place_.outGradient, rows * columns_, place_.inGradient,
         context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  std::size_t number_;
  Dropping dropping_;
  std::size_t columns_;
};

Windows windowsOf(const NlshLayer& layer) {
  const auto size = [](std::size_t value) { return static_cast<std::int32_t>(value); };
  return {size(layer.in.height), size(layer.in.width), size(layer.out.height), size(layer.out.width),
          size(layer.kernel),    size(layer.stride),   size(layer.padding)};
}

class MaxPool final : public Layer {
 public:
  MaxPool(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context),
        place_(place),
        windows_(windowsOf(layer)),
        channels_(layer.in.channels),
        winners_(place.maxRows * sizeOf(layer.out)) {}

  void forward(std::size_t rows, bool) override {
    maxPool(windows_, place_.in, rows * channels_, place_.out, winners_.data(), context_.stream);
  }
  void backward(std::size_t rows) override {
    if (!place_.inGradient) return;
    maxPoolGradients(windows_, winners_.data(), place_.outGradient, rows * channels_, place_.inGradient,
                     context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  Windows windows_;
  std::size_t channels_;
  DeviceArray<std::int32_t> winners_;
};

class AveragePool final : public Layer {
 public:
  AveragePool(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context), place_(place), windows_(windowsOf(layer)), channels_(layer.in.channels) {}

  void forward(std::size_t rows, bool) override {
    averagePool(windows_, place_.in, rows * channels_, place_.out, context_.stream);
  }
  void backward(std::size_t rows) override {
    if (!place_.inGradient) return;
    averagePoolGradients(windows_, place_.outGradient, rows * channels_, place_.inGradient, context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  Windows windows_;
  std::size_t channels_;
};

class BatchNorm final : public Layer {
 public:
  BatchNorm(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context),
        place_(place),
        rule_{layer.momentum, layer.epsilon},
        channels_(layer.in.channels),
        pixels_(pixelsOf(layer.in)),
        factors_(channels_) {}

  void forward(std::size_t rows, bool training) override {
    normalizeBatch(rule_, {rows, channels_, pixels_}, training, place_.weight, place_.buffers, place_.in,
                   factors_.data(), place_.out, context_.stream);
  }
  void backward(std::size_t rows) override {
    normalizationGradients({rows, channels_, pixels_}, place_.weight, place_.in, place_.outGradient,
                           factors_.data(), place_.weightGradient, place_.inGradient, context_.stream);
  }

 private:
  LayerContext context_;
  Place place_;
  BatchNormRule rule_;
  std::size_t channels_, pixels_;
  DeviceArray<ChannelFactors> factors_;
};

}  // namespace

std::unique_ptr<Layer> makeLayer(const LayerContext& context, const NlshLayer& layer, std::size_t number,
                                 const Place& place) {
  switch (layer.type) {
    case NLSH_CONV2D:
      return makeConvolution(context, layer, place);
    case NLSH_MAX_POOL2D:
      return std::make_unique<MaxPool>(context, layer, place);
    case NLSH_AVERAGE_POOL2D:
      return std::make_unique<AveragePool>(context, layer, place);
    case NLSH_BATCH_NORM:
      return std::make_unique<BatchNorm>(context, layer, place);
    case NLSH_DROPOUT:
      return std::make_unique<Dropout>(context, layer, number, place);
    default:
      if (layer.activation == NLSH_SOFTMAX) return std::make_unique<Softmax>(context, layer, place);
      return std::make_unique<Activation>(context, layer, place);
  }
}

}  // namespace neural_lsh::cuda
