// The activations, with PyTorch's definitions. Except for GELU their slopes follow from what left them, so
// that they can work in place.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "../../core/error.h"
#include "element-wise.h"
#include "layer.h"

namespace neural_lsh::cpu {
namespace {

// Each with value(x) and gradient(y, g), g being the gradient with respect to y = value(x); gelu's is
// gradient(x, g). Comparisons are so written that NaN stays NaN.

struct Identity {
  template <typename Real>
  Real value(Real x) const {
    return x;
  }
  template <typename Real>
  Real gradient(Real, Real g) const {
    return g;
  }
};

struct Step {
  template <typename Real>
  Real value(Real x) const {
    return x > 0 ? 1 : x <= 0 ? 0 : x;
  }
  template <typename Real>
  Real gradient(Real, Real) const {
    throw argumentError("layers", "step has no gradient to train by; use sigmoid or relu");
  }
};

struct Sigmoid {
  template <typename Real>
  Real value(Real x) const {
    return 1 / (1 + std::exp(-x));
  }
  template <typename Real>
  Real gradient(Real y, Real g) const {
    return g * (y * (1 - y));
  }
};

struct Tanh {
  template <typename Real>
  Real value(Real x) const {
    return std::tanh(x);
  }
  template <typename Real>
  Real gradient(Real y, Real g) const {
    return g * (1 - y * y);
  }
};

struct Relu {
  template <typename Real>
  Real value(Real x) const {
    return x < 0 ? 0 : x;
  }
  template <typename Real>
  Real gradient(Real y, Real g) const {
    return y <= 0 ? 0 : g;
  }
};

struct Relu6 {
  template <typename Real>
  Real value(Real x) const {
    const Real positive = x < 0 ? 0 : x;
    return positive > 6 ? 6 : positive;
  }
  template <typename Real>
  Real gradient(Real y, Real g) const {
    const Real below = y >= 6 ? 0 : g;
    return y <= 0 ? 0 : below;
  }
};

template <typename Real>
struct LeakyRelu {
  Real slope;

  Real value(Real x) const { return x > 0 ? x : slope * x; }
  Real gradient(Real y, Real g) const { return y > 0 ? g : slope * g; }
};

/// scale * (x above 0, alpha (exp(x) - 1) below). ELU: Clevert, Unterthiner & Hochreiter, ICLR 2016; SELU:
/// Klambauer et al., NeurIPS 2017.
template <typename Real>
struct Elu {
  Real alpha, scale;

  Real value(Real x) const { return scale * (x > 0 ? x : alpha * std::expm1(x)); }
  Real gradient(Real y, Real g) const { return g * (y > 0 ? scale : y + scale * alpha); }
};

struct Softplus {
  // Beyond 20 it is x, as in PyTorch: exp would overflow, and the difference is below 3e-9.
  template <typename Real>
  Real value(Real x) const {
    return x > 20 ? x : std::log1p(std::exp(x));
  }
  template <typename Real>
  Real gradient(Real y, Real g) const {
    return y > 20 ? g : -g * std::expm1(-y);
  }
};

/// Hendrycks & Gimpel 2016: x times the normal distribution's Phi(x).
struct Gelu {
  template <typename Real>
  static Real phi(Real x) {
    return std::erfc(-x / std::numbers::sqrt2_v<Real>) / 2;
  }
  template <typename Real>
  Real value(Real x) const {
    return x * phi(x);
  }
  template <typename Real>
  Real gradient(Real x, Real g) const {
    const Real density =
        std::exp(-x * x / 2) * std::numbers::inv_sqrtpi_v<Real> / std::numbers::sqrt2_v<Real>;
    return g * (phi(x) + x * density);
  }
};

template <typename Real, typename Function>
class ElementWise final : public RowLayer<Real> {
 public:
  ElementWise(const LayerDescription& layer, const Function& function)
      : columns_(layer.in.size()), function_(function) {}

  bool inPlace() const override { return !readsInput; }
  bool needsOutput() const override { return !readsInput && !std::is_same_v<Function, Identity>; }

  void forwardRows(const Piece& piece, const Real*, const Real*, const Real* in, Real* out) const override {
    const std::size_t begin = piece.begin * columns_, count = piece.end * columns_ - begin;
    mapNumbers(in + begin, count, out + begin, [&](Real x, std::size_t) { return function_.value(x); });
  }

  void backwardRows(const Piece& piece, const Real* in, const Real* out, const Real* outGradient,
                    Real* inGradient) const override {
    const std::size_t begin = piece.begin * columns_, count = piece.end * columns_ - begin;
    const Real* const values = (readsInput ? in : out) + begin;
    mapNumbers(outGradient + begin, count, inGradient + begin,
               [&](Real g, std::size_t i) { return function_.gradient(values[i], g); });
  }

 private:
  static constexpr bool readsInput = std::is_same_v<Function, Gelu>;

  std::size_t columns_;
  Function function_;
};

/// Over the numbers of a row.
template <typename Real>
class Softmax final : public RowLayer<Real> {
 public:
  explicit Softmax(const LayerDescription& layer) : columns_(layer.in.size()) {}

  bool inPlace() const override { return true; }
  bool needsOutput() const override { return true; }

  void forwardRows(const Piece& piece, const Real*, const Real*, const Real* in, Real* out) const override {
    for (std::size_t i = piece.begin * columns_; i < piece.end * columns_; i += columns_) {
      const Real largest = *std::max_element(in + i, in + i + columns_);
      Real sum = 0;
      for (std::size_t c = i; c < i + columns_; ++c) sum += out[c] = std::exp(in[c] - largest);
      for (std::size_t c = i; c < i + columns_; ++c) out[c] /= sum;
    }
  }

  void backwardRows(const Piece& piece, const Real*, const Real* out, const Real* outGradient,
                    Real* inGradient) const override {
    for (std::size_t i = piece.begin * columns_; i < piece.end * columns_; i += columns_) {
      Real mean = 0;
      for (std::size_t c = i; c < i + columns_; ++c) mean += out[c] * outGradient[c];
      for (std::size_t c = i; c < i + columns_; ++c) inGradient[c] = out[c] * (outGradient[c] - mean);
    }
  }

 private:
  std::size_t columns_;
};

}  // namespace

template <typename Real>
std::unique_ptr<Layer<Real>> makeActivation(const LayerDescription& layer) {
  const auto elementWise = [&](auto function) -> std::unique_ptr<Layer<Real>> {
    return std::make_unique<ElementWise<Real, decltype(function)>>(layer, function);
  };
  switch (layer.activation) {
    case Activation::identity:
      break;
    case Activation::step:
      return elementWise(Step{});
    case Activation::sigmoid:
      return elementWise(Sigmoid{});
    case Activation::tanh:
      return elementWise(Tanh{});
    case Activation::relu:
      return elementWise(Relu{});
    case Activation::relu6:
      return elementWise(Relu6{});
    case Activation::leakyRelu:
      return elementWise(LeakyRelu<Real>{static_cast<Real>(layer.slope)});
    case Activation::elu:
      return elementWise(Elu<Real>{static_cast<Real>(layer.alpha), 1});
    case Activation::selu:
      return elementWise(Elu<Real>{static_cast<Real>(1.6732632423543772848170429916717),
                                   static_cast<Real>(1.0507009873554804934193349852946)});
    case Activation::softplus:
      return elementWise(Softplus{});
    case Activation::gelu:
      return elementWise(Gelu{});
    case Activation::softmax:
      return std::make_unique<Softmax<Real>>(layer);
  }
  return elementWise(Identity{});
}

template std::unique_ptr<Layer<float>> makeActivation(const LayerDescription&);
template std::unique_ptr<Layer<double>> makeActivation(const LayerDescription&);

}  // namespace neural_lsh::cpu
