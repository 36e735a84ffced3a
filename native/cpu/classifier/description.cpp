#include "description.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>

#include "../../core/error.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t largest = (std::size_t{1} << 31) - 1;  // of every size here

/// One layer's errors.
class Check {
 public:
  explicit Check(std::string argument) : argument_(std::move(argument)) {}

  void require(bool condition, const std::string& message) const {
    if (!condition) throw argumentError(argument_, message);
  }

  /// factor * factor ..., which must stay a size.
  std::size_t product(std::initializer_list<std::size_t> factors, const char* what) const {
    std::size_t result = 1;
    for (const std::size_t factor : factors) {
      requireSize(factor <= largest && (factor == 0 || result <= largest / factor), what);
      result *= factor;
    }
    return result;
  }

  std::size_t sum(std::size_t a, std::size_t b, const char* what) const {
    requireSize(a <= largest && b <= largest - a, what);
    return a + b;
  }

 private:
  void requireSize(bool fits, const char* what) const {
    require(fits, std::string("has too many ") + what + "; at most 2^31 - 1 are possible");
  }

  std::string argument_;
};

std::string sides(std::size_t height, std::size_t width) {
  return std::to_string(height) + " x " + std::to_string(width);
}

void checkFlat(const LayerDescription& layer, const char* name, const Check& check) {
  check.require(layer.in.pixels() == 1, std::string(name) + " works on plain vectors, but an image of " +
                                            sides(layer.in.height, layer.in.width) +
                                            " pixels enters it; put flatten before it");
}

void describeLinear(LayerDescription& layer, const Check& check) {
  check.require(layer.outputs > 0, "linear must have at least 1 output");
  checkFlat(layer, "linear", check);
  layer.out = {layer.outputs, 1, 1};
  layer.parameters = check.sum(check.product({layer.outputs, layer.in.size()}, "weights"),
                               layer.bias ? layer.outputs : 0, "parameters");
}

/// The size of the image that a square window leaves.
void describeWindow(LayerDescription& layer, const Check& check) {
  const std::size_t kernel = layer.kernel, stride = layer.stride, padding = layer.padding;
  check.require(kernel > 0 && stride > 0, "its kernel and stride must be at least 1");
  check.require(std::max({kernel, stride, padding}) <= largest,
                "its kernel, stride and padding can be at most 2^31 - 1");
  const std::size_t height = layer.in.height + 2 * padding, width = layer.in.width + 2 * padding;
  check.require(kernel <= std::min(height, width),
                "its kernel of " + std::to_string(kernel) + " must not exceed the padded image of " +
                    sides(height, width) + " pixels; use a smaller kernel or more padding");
  layer.out = {layer.in.channels, (height - kernel) / stride + 1, (width - kernel) / stride + 1};
}

void describeConvolution(LayerDescription& layer, const Check& check) {
  check.require(layer.outputs > 0, "conv2d must have at least 1 channel");
  describeWindow(layer, check);
  layer.out.channels = layer.outputs;
  const std::size_t weights =
      check.product({layer.outputs, layer.in.channels, layer.kernel, layer.kernel}, "weights");
  layer.parameters = check.sum(weights, layer.bias ? layer.outputs : 0, "parameters");
}

void describePool(LayerDescription& layer, const Check& check) {
  check.require(layer.padding <= layer.kernel / 2,
                "its padding of " + std::to_string(layer.padding) + " must be at most half the kernel, " +
                    std::to_string(layer.kernel / 2) + ", so that no window lies outside the image");
  describeWindow(layer, check);
}

void describeBatchNorm(LayerDescription& layer, const Check& check) {
  check.require(layer.momentum >= 0 && layer.momentum <= 1, "its momentum must be from 0 to 1");
  check.require(std::isfinite(layer.epsilon) && layer.epsilon > 0, "its epsilon must be above 0");
  layer.parameters = layer.buffers = check.product({layer.in.channels, 2}, "parameters");
}

void describeActivation(const LayerDescription& layer, const Check& check) {
  if (layer.activation == Activation::softmax) checkFlat(layer, "softmax", check);
  // Below 0 a negative factor would hide the sign of what came in, which the backward pass reads off.
  check.require(std::isfinite(layer.slope) && layer.slope >= 0, "its slope must be at least 0");
  check.require(std::isfinite(layer.alpha) && layer.alpha >= 0, "its alpha must be at least 0");
}

void checkEntering(const LayerDescription& layer, std::size_t count, const Check& check) {
  checkFlat(layer, "the rule of a partition", check);
  check.require(layer.in.size() == count, "takes " + std::to_string(count) + " numbers, but " +
                                              std::to_string(layer.in.size()) + " enter it");
}

void describeTreeLeaves(LayerDescription& layer, const Check& check) {
  check.require(layer.outputs >= 2, "must have at least 2 leaves");
  checkEntering(layer, layer.outputs - 1, check);
  layer.out = {layer.outputs, 1, 1};
}

void describeSignCodes(LayerDescription& layer, const Check& check) {
  check.require(layer.bits >= 1 && layer.bits <= 24, "must have 1 to 24 bits");
  checkEntering(layer, layer.bits, check);
  layer.out = {std::size_t{1} << layer.bits, 1, 1};
}

void describeCrossPolytope(LayerDescription& layer, const Check& check) {
  check.require(!layer.polytopes.empty(), "must have at least one polytope");
  std::size_t entering = 0;
  layer.out = {1, 1, 1};
  for (const std::size_t dimensions : layer.polytopes) {
    check.require(dimensions >= 1, "its polytopes must have at least one dimension");
    entering = check.sum(entering, dimensions, "dimensions");
    layer.out.channels = check.product({layer.out.channels, 2, dimensions}, "vertices");
  }
  checkEntering(layer, entering, check);
}

/// Fills in `out` and how many parameters and buffers there are; until then `out` is `in`.
void describeLayer(LayerDescription& layer, const Check& check) {
  switch (layer.type) {
    case LayerType::linear:
      return describeLinear(layer, check);
    case LayerType::conv2d:
      return describeConvolution(layer, check);
    case LayerType::maxPool2d:
    case LayerType::averagePool2d:
      return describePool(layer, check);
    case LayerType::batchNorm:
      return describeBatchNorm(layer, check);
    case LayerType::dropout:
      return check.require(layer.rate >= 0 && layer.rate < 1, "its rate must be from 0 to below 1");
    case LayerType::flatten:
      layer.out = {layer.in.size(), 1, 1};
      return;
    case LayerType::activation:
      return describeActivation(layer, check);
    case LayerType::treeLeaves:
      return describeTreeLeaves(layer, check);
    case LayerType::signCodes:
      return describeSignCodes(layer, check);
    case LayerType::crossPolytope:
      return describeCrossPolytope(layer, check);
  }
}

/// Inputs that each output of the layer sums up.
std::size_t fanIn(const LayerDescription& layer) {
  if (layer.type == LayerType::linear) return layer.in.size();
  return layer.type == LayerType::conv2d ? layer.in.channels * layer.kernel * layer.kernel : 0;
}

}  // namespace

std::size_t NetworkDescription::parameters() const {
  return layers.empty() ? 0 : layers.back().parameterOffset + layers.back().parameters;
}

std::size_t NetworkDescription::buffers() const {
  return layers.empty() ? 0 : layers.back().bufferOffset + layers.back().buffers;
}

std::size_t NetworkDescription::widest() const {
  std::size_t widest = inputs();
  for (const LayerDescription& layer : layers) widest = std::max(widest, layer.out.size());
  return widest;
}

std::size_t NetworkDescription::multiplyAdds() const {
  std::size_t sum = 0;
  for (const LayerDescription& layer : layers) sum += layer.out.size() * fanIn(layer);
  return sum;
}

bool isPartitionRule(const LayerDescription& layer) {
  return layer.type == LayerType::treeLeaves || layer.type == LayerType::signCodes ||
         layer.type == LayerType::crossPolytope;
}

NetworkDescription describeNetwork(ImageShape input, std::vector<LayerDescription> layers) {
  const Check checkInput("inputShape");
  const auto& [channels, height, width] = input;
  checkInput.require(std::min({channels, height, width}) > 0,
                     "its channels, height and width must be at least 1");
  checkInput.product({channels, height, width}, "numbers");
  Check("layers").require(!layers.empty(), "must have at least one layer");
  NetworkDescription network{input, std::move(layers)};
  ImageShape in = input;
  std::size_t parameters = 0, buffers = 0;
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    LayerDescription& layer = network.layers[i];
    const Check check("layers[" + std::to_string(i) + "]");
    layer.in = layer.out = in;
    layer.parameters = layer.buffers = 0;
    layer.parameterOffset = parameters;
    layer.bufferOffset = buffers;
    describeLayer(layer, check);
    check.product({layer.out.channels, layer.out.height, layer.out.width}, "outputs");
    parameters = check.sum(parameters, layer.parameters, "parameters together with the layers before it");
    buffers = check.sum(buffers, layer.buffers, "buffers together with the layers before it");
    in = layer.out;
  }
  return network;
}

}  // namespace neural_lsh::cpu
