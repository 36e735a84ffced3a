#include "layers.h"

namespace neural_lsh::cuda {
namespace {

using Windows =
    Descriptor<cudnnPoolingDescriptor_t, cudnnCreatePoolingDescriptor, cudnnDestroyPoolingDescriptor>;

/// Padding never wins a maximum, and counts as zeros in an average. NaN is larger than any number. Of equal
/// largest numbers cuDNN does not say which gets the gradient: the same each time.
cudnnPoolingMode_t modeOf(const NlshLayer& layer) {
  return layer.type == NLSH_MAX_POOL2D ? CUDNN_POOLING_MAX_DETERMINISTIC
                                       : CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING;
}

class Pool final : public Layer {
 public:
  Pool(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context),
        layer_(layer),
        place_(place),
        out_(place.out, NumberType::float32, place.maxRows),
        inGradient_(place.inGradient, NumberType::float32, place.inGradient.data ? place.maxRows : 0) {
    const auto side = static_cast<int>(layer.kernel), stride = static_cast<int>(layer.stride),
               padding = static_cast<int>(layer.padding);
    NLSH_CHECK(cudnnSetPooling2dDescriptor(windows_, modeOf(layer), CUDNN_PROPAGATE_NAN, side, side, padding,
                                           padding, stride, stride));
  }

  void forward(std::size_t rows, bool) override {
    describe(inTensor_, rows, layer_.in, place_.in);
    describe(outTensor_, rows, layer_.out, out_.numbers());
    NLSH_CHECK(cudnnPoolingForward(context_.dnn, windows_, &one, inTensor_, place_.in.data, &zero, outTensor_,
                                   out_.numbers().data));
    out_.finish(rows, context_.stream);
  }

  void backward(std::size_t rows) override {
    if (!place_.inGradient.data) return;
    NLSH_CHECK(cudnnPoolingBackward(context_.dnn, windows_, &one, outTensor_, out_.numbers().data, outTensor_,
                                    place_.outGradient.data, inTensor_, place_.in.data, &zero, inTensor_,
                                    inGradient_.numbers().data));
    inGradient_.finish(rows, context_.stream);
  }

 private:
  LayerContext context_;
  NlshLayer layer_;
  Place place_;
  Detour out_, inGradient_;
  Windows windows_;
  Tensor inTensor_, outTensor_;
};

}  // namespace

std::unique_ptr<Layer> makePool(const LayerContext& context, const NlshLayer& layer, const Place& place) {
  return std::make_unique<Pool>(context, layer, place);
}

}  // namespace neural_lsh::cuda
