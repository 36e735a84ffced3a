#include "router.h"

#include <algorithm>

namespace neural_lsh::cuda {
namespace {

void upload(DeviceArray<float>& to, const float* from, std::size_t count, Staging& staging) {
  staging.copyRows(to.require(count), count * sizeof(float), from, count * sizeof(float), 1);
}

}  // namespace

Router::Router(const NlshRouter& router, Staging& staging)
    : widths_(router.widths, router.widths + router.layers + 1),
      widest_(roundUpToOperands(*std::max_element(widths_.begin(), widths_.end()))),
      isUnitLength_(router.unit_length != 0),
      inverseTemperature_(static_cast<float>(1 / static_cast<double>(router.temperature))),
      layers_(router.layers) {
  upload(mean_, router.mean, inputs(), staging);
  upload(scale_, router.scale, inputs(), staging);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::size_t in = widths_[i], out = widths_[i + 1];
    const std::size_t stride = roundUpToOperands(in), padded = roundUpToOperands(out);
    fillZeros(layers_[i].weights.require(padded * stride), padded * stride, staging.stream());
    staging.copyRows(layers_[i].weights.data(), stride * sizeof(float), router.weights[i], in * sizeof(float),
                     out);
    fillZeros(layers_[i].biases.require(padded), padded, staging.stream());
    if (router.biases[i] == nullptr) continue;
    staging.copyRows(layers_[i].biases.data(), out * sizeof(float), router.biases[i], out * sizeof(float), 1);
  }
}

std::size_t Router::bytes() const {
  std::size_t bytes = mean_.bytes() + scale_.bytes();
  for (const Layer& layer : layers_) bytes += layer.weights.bytes() + layer.biases.bytes();
  return bytes;
}

const float* Router::run(const float* queries, std::size_t count, float* a, float* b,
                         MatrixProducts& products, const Stream& stream) const {
  const std::size_t paddedCount = roundUpToOperands(count);
  transformQueries({mean_.data(), scale_.data(), isUnitLength_}, queries, count, inputs(), a, paddedCount,
                   roundUpToOperands(inputs()), stream);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::size_t in = roundUpToOperands(widths_[i]), out = roundUpToOperands(widths_[i + 1]);
    const bool isLast = i + 1 == layers_.size();
    products.multiply({Operand::tensorFloat32, paddedCount, out, in, in, out,
                       isLast ? Epilogue::bias : Epilogue::biasAndRelu},
                      a, layers_[i].weights.data(), b, layers_[i].biases.data(), stream);
    std::swap(a, b);
  }
  return a;
}

}  // namespace neural_lsh::cuda
