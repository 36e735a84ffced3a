#include <algorithm>
#include <array>

#include "layers.h"

namespace neural_lsh::cuda {
namespace {

using Filter = Descriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using Description = Descriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                               cudnnDestroyConvolutionDescriptor>;

cudnnMathType_t mathTypeOf(const LayerContext& context) {
  if (context.operands == NumberType::bfloat16) return CUDNN_TENSOR_OP_MATH;
  return context.multiplier.computeType() == CUBLAS_COMPUTE_32F ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

/// All that cuDNN reads and writes here has one type. In mixed precision the gradient of the weights is
/// therefore rounded to bf16 once its sums, which are floats, are complete; from then on it is float.
class Convolution final : public Layer {
 public:
  Convolution(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context),
        layer_(layer),
        place_(place),
        out_(place.out, context.operands, place.maxRows),
        inGradient_(place.inGradient, context.operands, place.inGradient.data ? place.maxRows : 0),
        shortGradient_(place.shortWeight ? place.extent : 0) {
    const auto side = static_cast<int>(layer.kernel), stride = static_cast<int>(layer.stride),
               padding = static_cast<int>(layer.padding);
    NLSH_CHECK(cudnnSetConvolution2dDescriptor(description_, padding, padding, stride, stride, 1, 1,
                                               CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    NLSH_CHECK(cudnnSetFilter4dDescriptor(filter_, dataTypeOf(context.operands), CUDNN_TENSOR_NCHW,
                                          static_cast<int>(layer.out.channels),
                                          static_cast<int>(layer.in.channels), side, side));
    describe(bias_, 1, {layer.out.channels, 1, 1}, {nullptr, context.operands, layer.out.channels});
  }

  void forward(std::size_t rows, bool) override {
    const Plan& plan = planFor(rows);
    NLSH_CHECK(cudnnConvolutionForward(context_.dnn, &one, plan.in, place_.in.data, filter_, weight(),
                                       use(plan.forward), plan.forward.algorithm, plan.workspace.data(),
                                       plan.workspace.bytes(), &zero, plan.out, out_.numbers().data));
    if (place_.bias)
      NLSH_CHECK(cudnnAddTensor(context_.dnn, &one, bias_, bias(), &one, plan.out, out_.numbers().data));
    out_.finish(rows, context_.stream);
  }

  void backward(std::size_t rows) override {
    const Plan& plan = planFor(rows);
    const auto gradientOf = [&](float* parameters) -> void* {
      if (!place_.shortWeight) return parameters;
      return shortGradient_.data() + (parameters - place_.weightGradient);
    };
    NLSH_CHECK(cudnnConvolutionBackwardFilter(
        context_.dnn, &one, plan.in, place_.in.data, plan.out, place_.outGradient.data,
        use(plan.weightGradient), plan.weightGradient.algorithm, plan.workspace.data(),
        plan.workspace.bytes(), &zero, filter_, gradientOf(place_.weightGradient)));
    if (place_.bias)
      NLSH_CHECK(cudnnConvolutionBackwardBias(context_.dnn, &one, plan.out, place_.outGradient.data, &zero,
                                              bias_, gradientOf(place_.biasGradient)));
    if (place_.shortWeight) {
      widen(place_.weightGradient, layer_.parameters - (place_.bias ? layer_.out.channels : 0));
      if (place_.bias) widen(place_.biasGradient, layer_.out.channels);
    }
    if (!place_.inGradient.data) return;
    NLSH_CHECK(
        cudnnConvolutionBackwardData(context_.dnn, &one, filter_, weight(), plan.out, place_.outGradient.data,
                                     use(plan.inGradient), plan.inGradient.algorithm, plan.workspace.data(),
                                     plan.workspace.bytes(), &zero, plan.in, inGradient_.numbers().data));
    inGradient_.finish(rows, context_.stream);
  }

 private:
  template <typename Algorithm>
  struct Way {
    Algorithm algorithm;
    cudnnMathType_t math;
  };

  /// How a number of rows is gone about. Its workspace is its own: a recorded step goes on using it.
  struct Plan {
    Tensor in, out;
    Way<cudnnConvolutionFwdAlgo_t> forward;
    Way<cudnnConvolutionBwdFilterAlgo_t> weightGradient;
    Way<cudnnConvolutionBwdDataAlgo_t> inGradient;
    DeviceArray<std::byte> workspace;
  };

  /// The description of the convolution, for what it is about to be done by.
  template <typename Algorithm>
  cudnnConvolutionDescriptor_t use(const Way<Algorithm>& way) const {
    NLSH_CHECK(cudnnSetConvolutionMathType(description_, way.math));
    return description_;
  }

  const void* weight() const {
    return place_.shortWeight ? static_cast<void*>(place_.shortWeight) : place_.weight;
  }
  const void* bias() const { return place_.shortBias ? static_cast<void*>(place_.shortBias) : place_.bias; }

  void widen(float* gradient, std::size_t count) const {
    Bf16* const from = shortGradient_.data() + (gradient - place_.weightGradient);
    convert({from, NumberType::bfloat16, 0}, count, floatsAt(gradient, 0), context_.stream);
  }

  /// What an algorithm is to be run with that was offered with `offered`: where FP32 is asked for, cuDNN may
  /// offer its default, which would let TF32 in.
  cudnnMathType_t mathOf(cudnnMathType_t offered) const {
    const cudnnMathType_t asked = mathTypeOf(context_);
    return asked == CUDNN_FMA_MATH ? asked : offered;
  }

  /// The fastest of what cuDNN offers, which is sorted by that, within the bounds on memory and
  /// repeatability.
  template <typename Performance>
  Performance choose(const Performance* offers, int count) const {
    constexpr std::size_t mostBytes = std::size_t{1} << 28;
    const auto fits = [&](const Performance& offer) {
      return offer.status == CUDNN_STATUS_SUCCESS && offer.memory <= mostBytes &&
             (!context_.deterministic || offer.determinism == CUDNN_DETERMINISTIC);
    };
    const Performance* const found = std::find_if(offers, offers + count, fits);
    if (found == offers + count)
      throw Failure(NLSH_FAILED, "cuDNN has no algorithm for this convolution; engine 'native' trains it",
                    "layers");
    return *found;
  }

  Plan& planFor(std::size_t rows) {
    const auto [found, isNew] = plans_.try_emplace(rows);
    Plan& plan = found->second;
    if (!isNew) return plan;
    const cudnnHandle_t dnn = context_.dnn;
    NLSH_CHECK(cudnnSetConvolutionMathType(description_, mathTypeOf(context_)));
    describe(plan.in, rows, layer_.in, place_.in);
    describe(plan.out, rows, layer_.out, out_.numbers());
    int count = 0;
    std::array<cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_COUNT> forwards;
    NLSH_CHECK(cudnnGetConvolutionForwardAlgorithm_v7(dnn, plan.in, filter_, description_, plan.out,
                                                      static_cast<int>(forwards.size()), &count,
                                                      forwards.data()));
    const auto forward = choose(forwards.data(), count);
    std::array<cudnnConvolutionBwdFilterAlgoPerf_t, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> weights;
    NLSH_CHECK(cudnnGetConvolutionBackwardFilterAlgorithm_v7(dnn, plan.in, plan.out, description_, filter_,
                                                             static_cast<int>(weights.size()), &count,
                                                             weights.data()));
    const auto weight = choose(weights.data(), count);
    std::array<cudnnConvolutionBwdDataAlgoPerf_t, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> inputs;
    NLSH_CHECK(cudnnGetConvolutionBackwardDataAlgorithm_v7(dnn, filter_, plan.out, description_, plan.in,
                                                           static_cast<int>(inputs.size()), &count,
                                                           inputs.data()));
    const auto input = choose(inputs.data(), count);
    plan.forward = {forward.algo, mathOf(forward.mathType)};
    plan.weightGradient = {weight.algo, mathOf(weight.mathType)};
    plan.inGradient = {input.algo, mathOf(input.mathType)};
    plan.workspace.require(std::max({forward.memory, weight.memory, input.memory}));
    return plan;
  }

  LayerContext context_;
  NlshLayer layer_;
  Place place_;
  Detour out_, inGradient_;
  DeviceArray<Bf16> shortGradient_;
  Description description_;
  Filter filter_;
  Tensor bias_;
  std::map<std::size_t, Plan> plans_;
};

}  // namespace

std::unique_ptr<Layer> makeConvolution(const LayerContext& context, const NlshLayer& layer,
                                       const Place& place) {
  return std::make_unique<Convolution>(context, layer, place);
}

}  // namespace neural_lsh::cuda
