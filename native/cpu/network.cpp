#include "network.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "chunks.h"
#include "kernels/kernels.h"
#include "sgemm.h"

namespace neural_lsh::cpu {
namespace {

// Up to this many rows the weights are read once, as they lie, rather than packed for a matrix product.
constexpr std::size_t fewRows = 4;

void multiply(std::size_t rows, std::size_t outputs, std::size_t inputs, const float* in, const float* weight,
              float* out, std::size_t threads) {
  if (rows > fewRows) {
    gemm(rows, outputs, inputs, {in, inputs}, {weight, inputs, Transpose::yes}, out, outputs, false, threads);
    return;
  }
  forChunks(outputs, chunkRows(inputs), threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = 0; row < rows; ++row) {
      kernels().dotProducts(in + row * inputs, weight + begin * inputs, end - begin, inputs,
                            out + row * outputs + begin);
    }
  });
}

void multiply(std::size_t rows, std::size_t outputs, std::size_t inputs, const double* in,
              const double* weight, double* out, std::size_t threads) {
  gemm(rows, outputs, inputs, {in, inputs}, {weight, inputs, Transpose::yes}, out, outputs, false, threads);
}

template <typename Real>
void addBias(Real* values, const Real* bias, std::size_t rows, std::size_t columns, bool relu,
             std::size_t threads) {
  const Real floor = relu ? Real{0} : -std::numeric_limits<Real>::infinity();
  forChunks(rows, chunkRows(columns), threads, [&](std::size_t begin, std::size_t end) {
    for (Real* row = values + begin * columns; row != values + end * columns; row += columns) {
      for (std::size_t c = 0; c < columns; ++c) {
        const Real value = row[c] + bias[c];
        row[c] = value < floor ? floor : value;  // so written, NaN stays NaN
      }
    }
  });
}

/// values: what a ReLU let through; becomes the gradient before it, given the gradient behind it.
template <typename Real>
void reluBackward(Real* values, const Real* gradient, std::size_t count, std::size_t threads) {
  forChunks(count, chunkNumbers, threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const Real behind = gradient[i];  // read in any case: no branch, so the loop is vectorized
      values[i] = values[i] > 0 ? behind : 0;
    }
  });
}

/// By strips of columns, so that each sum is one thread's.
template <typename Real>
void columnSums(const Real* values, std::size_t rows, std::size_t columns, Real* sums, std::size_t threads) {
  constexpr std::size_t cacheLine = 64 / sizeof(Real);
  const std::size_t strip = (chunkRows(rows) + cacheLine - 1) / cacheLine * cacheLine;
  forChunks(columns, strip, threads, [&](std::size_t begin, std::size_t end) {
    std::fill(sums + begin, sums + end, Real{0});
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t c = begin; c < end; ++c) sums[c] += values[row * columns + c];
    }
  });
}

}  // namespace

template <typename Real>
void layerForward(const ClassifierShape& shape, std::size_t layer, const Real* parameters, const Real* in,
                  std::size_t rows, Real* out, std::size_t threads) {
  const std::size_t inputs = shape.widths[layer], outputs = shape.widths[layer + 1];
  multiply(rows, outputs, inputs, in, parameters + shape.weightOffset(layer), out, threads);
  addBias(out, parameters + shape.biasOffset(layer), rows, outputs, layer + 1 < shape.layers(), threads);
}

template <typename Real>
double crossEntropy(std::span<Real> logits, std::span<const Target<Real>> target, Real gradientScale) {
  double expected = 0;  // the logit's mean over the target
  for (const auto& [bin, share] : target) expected += static_cast<double>(share) * logits[bin];
  const Real largest = *std::max_element(logits.begin(), logits.end());
  Real sum = 0;
  for (Real& value : logits) sum += value = std::exp(value - largest);
  const Real scale = gradientScale / sum;
  for (Real& value : logits) value *= scale;
  for (const auto& [bin, share] : target) logits[bin] -= share * gradientScale;
  return std::log(static_cast<double>(sum)) + largest - expected;
}

template <typename Real>
Network<Real>::Network(const ClassifierShape& shape, std::size_t maxRows)
    : shape_(shape), scratch_(maxRows * shape.widest()) {
  for (const std::size_t width : shape.widths) values_.emplace_back(maxRows * width);
}

template <typename Real>
void Network<Real>::forward(const Real* parameters, std::size_t rows, std::size_t threads) {
  for (std::size_t layer = 0; layer < shape_.layers(); ++layer) {
    layerForward(shape_, layer, parameters, values_[layer].data(), rows, values_[layer + 1].data(), threads);
  }
}

template <typename Real>
void Network<Real>::backward(const Real* parameters, std::size_t rows, Real* gradient, std::size_t threads) {
  for (std::size_t layer = shape_.layers(); layer-- > 0;) {
    const std::size_t inputs = shape_.widths[layer], outputs = shape_.widths[layer + 1];
    Real* const in = values_[layer].data();
    const Real* const delta =
        values_[layer + 1].data();  // the gradient with respect to what left the product
    columnSums(delta, rows, outputs, gradient + shape_.biasOffset(layer), threads);
    gemm(outputs, inputs, rows, Operand<Real>{delta, outputs, Transpose::yes}, Operand<Real>{in, inputs},
         gradient + shape_.weightOffset(layer), inputs, false, threads);
    if (layer == 0) break;
    gemm(rows, inputs, outputs, Operand<Real>{delta, outputs},
         Operand<Real>{parameters + shape_.weightOffset(layer), inputs}, scratch_.data(), inputs, false,
         threads);
    reluBackward(in, scratch_.data(), rows * inputs, threads);
  }
}

template <typename Real>
Real lossAndGradient(const ClassifierShape& shape, std::span<const Real> parameters, const Real* inputs,
                     const Real* targets, std::size_t rows, std::span<Real> gradient) {
  const std::size_t outputs = shape.outputs();
  Network<Real> network(shape, rows);
  std::copy_n(inputs, rows * shape.inputs(), network.inputs());
  network.forward(parameters.data(), rows, 1);
  std::vector<Target<Real>> target(outputs);
  double loss = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t bin = 0; bin < outputs; ++bin) target[bin] = {bin, targets[row * outputs + bin]};
    loss += crossEntropy<Real>({network.outputs() + row * outputs, outputs}, target,
                               Real{1} / static_cast<Real>(rows));
  }
  network.backward(parameters.data(), rows, gradient.data(), 1);
  return static_cast<Real>(loss / static_cast<double>(rows));
}

template void layerForward(const ClassifierShape&, std::size_t, const float*, const float*, std::size_t,
                           float*, std::size_t);
template double crossEntropy(std::span<float>, std::span<const Target<float>>, float);
template class Network<float>;
template class Network<double>;
template float lossAndGradient(const ClassifierShape&, std::span<const float>, const float*, const float*,
                               std::size_t, std::span<float>);
template double lossAndGradient(const ClassifierShape&, std::span<const double>, const double*, const double*,
                                std::size_t, std::span<double>);

}  // namespace neural_lsh::cpu
