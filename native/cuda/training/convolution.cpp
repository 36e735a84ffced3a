#include <cudnn.h>

#include <algorithm>
#include <array>
#include <string>

#include "layers.h"

namespace neural_lsh::cuda {

/// For NLSH_CHECK.
static void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  check(cudaGetLastError(), call);  // where the device is the cause
  const std::string name(call, std::find(call, call + std::char_traits<char>::length(call), '('));
  throw Failure(NLSH_FAILED, name + ": " + cudnnGetErrorString(status));
}

class Dnn {
 public:
  explicit Dnn(const Stream& stream) {
    NLSH_CHECK(cudnnCreate(&handle_));
    const cudnnStatus_t status = cudnnSetStream(handle_, stream);
    if (status != CUDNN_STATUS_SUCCESS) static_cast<void>(cudnnDestroy(handle_));
    NLSH_CHECK(status);
  }
  ~Dnn() { static_cast<void>(cudnnDestroy(handle_)); }
  Dnn(const Dnn&) = delete;
  Dnn& operator=(const Dnn&) = delete;

  cudnnHandle_t handle() const { return handle_; }

 private:
  cudnnHandle_t handle_ = nullptr;
};

std::shared_ptr<const Dnn> makeDnn(const Stream& stream) {
  return std::make_shared<const Dnn>(stream);
}

namespace {

/// A descriptor of cuDNN's, made by `create` and given back to `destroy`.
template <typename Handle, cudnnStatus_t (*create)(Handle*), cudnnStatus_t (*destroy)(Handle)>
class Descriptor {
 public:
  Descriptor() { NLSH_CHECK(create(&handle_)); }
  ~Descriptor() { static_cast<void>(destroy(handle_)); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using Tensor = Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using Filter = Descriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using Description = Descriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                               cudnnDestroyConvolutionDescriptor>;

void describe(const Tensor& tensor, std::size_t rows, const NlshShape& shape) {
  NLSH_CHECK(cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, static_cast<int>(rows),
                                        static_cast<int>(shape.channels), static_cast<int>(shape.height),
                                        static_cast<int>(shape.width)));
}

cudnnMathType_t mathTypeOf(NlshPrecision precision) {
  switch (precision) {
    case NLSH_TF32:
      return CUDNN_DEFAULT_MATH;
    case NLSH_BF16:
      return CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;
    default:
      return CUDNN_FMA_MATH;
  }
}

constexpr float one = 1, zero = 0;

class Convolution final : public Layer {
 public:
  Convolution(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : context_(context), layer_(layer), place_(place) {
    const auto side = static_cast<int>(layer.kernel), stride = static_cast<int>(layer.stride),
               padding = static_cast<int>(layer.padding);
    NLSH_CHECK(cudnnSetConvolution2dDescriptor(description_, padding, padding, stride, stride, 1, 1,
                                               CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    NLSH_CHECK(cudnnSetConvolutionMathType(description_, mathTypeOf(context.precision)));
    NLSH_CHECK(cudnnSetFilter4dDescriptor(filter_, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW,
                                          static_cast<int>(layer.out.channels),
                                          static_cast<int>(layer.in.channels), side, side));
    describe(bias_, 1, {layer.out.channels, 1, 1});
  }

  void forward(std::size_t rows, bool) override {
    const Plan& plan = planFor(rows);
    NLSH_CHECK(cudnnConvolutionForward(handle(), &one, plan.in, place_.in, filter_, place_.weight,
                                       description_, plan.forward, plan.workspace.data(),
                                       plan.workspace.bytes(), &zero, plan.out, place_.out));
    if (place_.bias)
      NLSH_CHECK(cudnnAddTensor(handle(), &one, bias_, place_.bias, &one, plan.out, place_.out));
  }

  void backward(std::size_t rows) override {
    const Plan& plan = planFor(rows);
    NLSH_CHECK(cudnnConvolutionBackwardFilter(
        handle(), &one, plan.in, place_.in, plan.out, place_.outGradient, description_, plan.weightGradient,
        plan.workspace.data(), plan.workspace.bytes(), &zero, filter_, place_.weightGradient));
    if (place_.bias)
      NLSH_CHECK(cudnnConvolutionBackwardBias(handle(), &one, plan.out, place_.outGradient, &zero, bias_,
                                              place_.biasGradient));
    if (!place_.inGradient) return;
    NLSH_CHECK(cudnnConvolutionBackwardData(
        handle(), &one, filter_, place_.weight, plan.out, place_.outGradient, description_, plan.inGradient,
        plan.workspace.data(), plan.workspace.bytes(), &zero, plan.in, place_.inGradient));
  }

 private:
  /// How a number of rows is gone about. Its workspace is its own: a recorded step goes on using it.
  struct Plan {
    Tensor in, out;
    cudnnConvolutionFwdAlgo_t forward{};
    cudnnConvolutionBwdFilterAlgo_t weightGradient{};
    cudnnConvolutionBwdDataAlgo_t inGradient{};
    DeviceArray<std::byte> workspace;
  };

  cudnnHandle_t handle() const { return context_.dnn->handle(); }

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
    describe(plan.in, rows, layer_.in);
    describe(plan.out, rows, layer_.out);
    int count = 0;
    std::array<cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_COUNT> forwards;
    NLSH_CHECK(cudnnGetConvolutionForwardAlgorithm_v7(handle(), plan.in, filter_, description_, plan.out,
                                                      static_cast<int>(forwards.size()), &count,
                                                      forwards.data()));
    const auto forward = choose(forwards.data(), count);
    std::array<cudnnConvolutionBwdFilterAlgoPerf_t, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> weights;
    NLSH_CHECK(cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle(), plan.in, plan.out, description_,
                                                             filter_, static_cast<int>(weights.size()),
                                                             &count, weights.data()));
    const auto weight = choose(weights.data(), count);
    std::array<cudnnConvolutionBwdDataAlgoPerf_t, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> inputs;
    NLSH_CHECK(cudnnGetConvolutionBackwardDataAlgorithm_v7(handle(), filter_, plan.out, description_, plan.in,
                                                           static_cast<int>(inputs.size()), &count,
                                                           inputs.data()));
    const auto input = choose(inputs.data(), count);
    plan.forward = forward.algo;
    plan.weightGradient = weight.algo;
    plan.inGradient = input.algo;
    plan.workspace.require(std::max({forward.memory, weight.memory, input.memory}));
    return plan;
  }

  LayerContext context_;
  NlshLayer layer_;
  Place place_;
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
