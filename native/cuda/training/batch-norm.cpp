#include "layers.h"

namespace neural_lsh::cuda {
namespace {

/// cuDNN's running variance divides by the numbers less one: of a single one it would be no number, where
/// that of the CPU is 0; and its grids end at so many rows. Such batches are for kernels of ours.
bool isForCudnn(std::size_t rows, std::size_t pixels) {
  constexpr std::size_t mostRows = 65535;
  return rows * pixels > 1 && rows <= mostRows;
}

class BatchNorm final : public Layer {
 public:
  BatchNorm(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context),
        layer_(layer),
        place_(place),
        channels_(layer.in.channels),
        pixels_(layer.in.height * layer.in.width),
        mode_(pixels_ == 1 ? CUDNN_BATCHNORM_PER_ACTIVATION : CUDNN_BATCHNORM_SPATIAL),
        out_(place.out, NumberType::float32, place.maxRows),
        inGradient_(place.inGradient, NumberType::float32, place.maxRows),
        factors_(channels_),
        means_(channels_),
        inverseDeviations_(channels_) {
    describe(channel_, 1, {channels_, 1, 1}, floatsAt(nullptr, channels_));
  }

  void forward(std::size_t rows, bool training) override {
    if (!isForCudnn(rows, pixels_)) {
      normalizeBatch({layer_.momentum, layer_.epsilon}, shapeOf(rows), training, parameters(),
                     place_.in.floats(), factors_.data(), place_.out, context_.stream);
      return;
    }
    describe(tensor_, rows, layer_.in, floatsAt(nullptr, place_.in.stride));
    void* const out = out_.numbers().data;
    if (training)
      NLSH_CHECK(cudnnBatchNormalizationForwardTraining(
          context_.dnn, mode_, &one, &zero, tensor_, place_.in.data, tensor_, out, channel_, place_.weight,
          place_.bias, layer_.momentum, place_.runningMean, place_.runningVariance, layer_.epsilon,
          means_.data(), inverseDeviations_.data()));
    else
      NLSH_CHECK(cudnnBatchNormalizationForwardInference(
          context_.dnn, mode_, &one, &zero, tensor_, place_.in.data, tensor_, out, channel_, place_.weight,
          place_.bias, place_.runningMean, place_.runningVariance, layer_.epsilon));
    out_.finish(rows, context_.stream);
  }

  void backward(std::size_t rows) override {
    if (!isForCudnn(rows, pixels_)) {
      normalizationGradients(shapeOf(rows), parameters(), place_.in.floats(), place_.outGradient.floats(),
                             factors_.data(), place_.weightGradient, place_.biasGradient, place_.inGradient,
                             context_.stream);
      return;
    }
    NLSH_CHECK(cudnnBatchNormalizationBackward(context_.dnn, mode_, &one, &zero, &one, &zero, tensor_,
                                               place_.in.data, tensor_, place_.outGradient.data, tensor_,
                                               inGradient_.numbers().data, channel_, place_.weight,
                                               place_.weightGradient, place_.biasGradient, layer_.epsilon,
                                               means_.data(), inverseDeviations_.data()));
    inGradient_.finish(rows, context_.stream);
  }

 private:
  Channels shapeOf(std::size_t rows) const { return {rows, channels_, pixels_, place_.in.stride}; }
  ChannelParameters parameters() const {
    return {place_.weight, place_.bias, place_.runningMean, place_.runningVariance};
  }

  LayerContext context_;
  NlshLayer layer_;
  Place place_;
  std::size_t channels_, pixels_;
  cudnnBatchNormMode_t mode_;
  Detour out_, inGradient_;
  DeviceArray<ChannelFactors> factors_;           // of a batch of ours
  DeviceArray<float> means_, inverseDeviations_;  // of one of cuDNN's
  Tensor tensor_, channel_;
};

}  // namespace

std::unique_ptr<Layer> makeBatchNorm(const LayerContext& context, const NlshLayer& layer,
                                     const Place& place) {
  return std::make_unique<BatchNorm>(context, layer, place);
}

}  // namespace neural_lsh::cuda
