#include "layers.h"

namespace neural_lsh::cuda {
namespace {

/// The random numbers are the CPU's: the same training takes the same course there and here. The mask is
/// drawn again on the way back.
class RepeatableDropout final : public Layer {
 public:
  RepeatableDropout(const LayerContext& context, const NlshLayer& layer, std::size_t number,
                    const Place& place)
      : context_(context),
        place_(place),
        number_(number),
        dropping_(droppingOf(layer.rate)),
        columns_(layer.in.channels * layer.in.height * layer.in.width) {}

  void forward(std::size_t rows, bool training) override {
    apply(training ? dropping_ : droppingOf(0), rows, place_.in, place_.out);
  }
  void backward(std::size_t rows) override {
    if (place_.inGradient.data) apply(dropping_, rows, place_.outGradient, place_.inGradient);
  }

 private:
  void apply(const Dropping& dropping, std::size_t rows, const Numbers& from, const Numbers& to) const {
    drop(dropping, context_.batch, number_, from, rows, columns_, to, context_.stream);
  }

  LayerContext context_;
  Place place_;
  std::size_t number_;
  Dropping dropping_;
  std::size_t columns_;
};

using Dropper =
    Descriptor<cudnnDropoutDescriptor_t, cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor>;

/// The random numbers are cuDNN's, whose states lie in the device's memory: a recorded step draws new ones
/// each time.
class FreeDropout final : public Layer {
 public:
  FreeDropout(const LayerContext& context, const NlshLayer& layer, std::size_t number, const Place& place)
      : context_(context),
        layer_(layer),
        place_(place),
        out_(place.out, NumberType::float32, place.maxRows),
        inGradient_(place.inGradient, NumberType::float32, place.inGradient.data ? place.maxRows : 0) {
    std::size_t bytes = 0;
    NLSH_CHECK(cudnnDropoutGetStatesSize(context.dnn, &bytes));
    states_.require(bytes);
    NLSH_CHECK(cudnnSetDropoutDescriptor(dropper_, context.dnn, static_cast<float>(layer.rate),
                                         states_.data(), bytes, outputOf(context.seed, number)));
    describe(tensor_, place.maxRows, layer.in, floatsAt(nullptr, place.in.stride));
    NLSH_CHECK(cudnnDropoutGetReserveSpaceSize(tensor_, &bytes));
    mask_.require(bytes);
  }

  void forward(std::size_t rows, bool training) override {
    if (!training) {
      convert(place_.in, rows * place_.in.stride, place_.out, context_.stream);
      return;
    }
    describe(tensor_, rows, layer_.in, floatsAt(nullptr, place_.in.stride));
    NLSH_CHECK(cudnnDropoutForward(context_.dnn, dropper_, tensor_, place_.in.data, tensor_,
                                   out_.numbers().data, mask_.data(), mask_.bytes()));
    out_.finish(rows, context_.stream);
  }

  void backward(std::size_t rows) override {
    if (!place_.inGradient.data) return;
    NLSH_CHECK(cudnnDropoutBackward(context_.dnn, dropper_, tensor_, place_.outGradient.data, tensor_,
                                    inGradient_.numbers().data, mask_.data(), mask_.bytes()));
    inGradient_.finish(rows, context_.stream);
  }

 private:
  LayerContext context_;
  NlshLayer layer_;
  Place place_;
  Detour out_, inGradient_;
  DeviceArray<std::byte> states_, mask_;
  Dropper dropper_;
  Tensor tensor_;
};

}  // namespace

std::unique_ptr<Layer> makeDropout(const LayerContext& context, const NlshLayer& layer, std::size_t number,
                                   const Place& place) {
  if (context.deterministic) return std::make_unique<RepeatableDropout>(context, layer, number, place);
  return std::make_unique<FreeDropout>(context, layer, number, place);
}

}  // namespace neural_lsh::cuda
