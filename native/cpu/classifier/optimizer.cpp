#include "optimizer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <type_traits>

#include "../../core/error.h"
#include "../chunks.h"
#include "../kernels/kernels.h"

namespace neural_lsh::cpu {
namespace {

/// What a step is told besides the arrays.
struct Step {
  const OptimizerOptions& options;
  double learningRate;
  std::size_t number;      // from 1
  double momentumProduct;  // of nadam, with this step's momentum
};

/// A chunk of the parameters, and what belongs to it.
template <typename Real>
struct Piece {
  std::size_t begin, count;
  Real* parameters;
  Real* gradient;
  Real* slots;
  std::size_t slotSize;

  Real* slot(std::size_t which) const { return slots + which * slotSize + begin; }
};

std::size_t slotsOf(const OptimizerOptions& options) {
  const std::size_t velocity = options.momentum == 0 ? 0 : 1;
  switch (options.type) {
    case OptimizerType::sgd:
      return velocity;
    case OptimizerType::adagrad:
      return 1;
    case OptimizerType::rmsprop:
      return 1 + velocity;
    default:
      return 2;
  }
}

template <typename Real>
void sgd(const Step& step, const Piece<Real>& piece) {
  const auto rate = static_cast<Real>(step.learningRate);
  if (step.options.momentum == 0) {
    for (std::size_t i = 0; i < piece.count; ++i) piece.parameters[i] -= rate * piece.gradient[i];
    return;
  }
  const auto momentum = static_cast<Real>(step.options.momentum);
  const Real gradientShare = step.options.nesterov ? 1 : 0,
             velocityShare = step.options.nesterov ? momentum : 1;
  Real* const velocity = piece.slot(0);
  for (std::size_t i = 0; i < piece.count; ++i) {
    const Real gradient = piece.gradient[i];
    velocity[i] = momentum * velocity[i] + gradient;
    piece.parameters[i] -= rate * (gradientShare * gradient + velocityShare * velocity[i]);
  }
}

template <typename Real>
void adagrad(const Step& step, const Piece<Real>& piece) {
  const auto rate = static_cast<Real>(step.learningRate), epsilon = static_cast<Real>(step.options.epsilon);
  Real* const squares = piece.slot(0);
  for (std::size_t i = 0; i < piece.count; ++i) {
    const Real gradient = piece.gradient[i];
    squares[i] += gradient * gradient;
    piece.parameters[i] -= rate * gradient / (std::sqrt(squares[i]) + epsilon);
  }
}

template <typename Real>
void rmsprop(const Step& step, const Piece<Real>& piece) {
  const auto rate = static_cast<Real>(step.learningRate), decay = static_cast<Real>(step.options.decay),
             share = static_cast<Real>(1 - step.options.decay),
             epsilon = static_cast<Real>(step.options.epsilon);
  Real* const squares = piece.slot(0);
  const auto scaledGradient = [&](std::size_t i) {
    const Real gradient = piece.gradient[i];
    squares[i] = decay * squares[i] + share * (gradient * gradient);
    return gradient / (std::sqrt(squares[i]) + epsilon);
  };
  if (step.options.momentum == 0) {
    for (std::size_t i = 0; i < piece.count; ++i) piece.parameters[i] -= rate * scaledGradient(i);
    return;
  }
  const auto momentum = static_cast<Real>(step.options.momentum);
  Real* const velocity = piece.slot(1);
  for (std::size_t i = 0; i < piece.count; ++i) {
    velocity[i] = momentum * velocity[i] + scaledGradient(i);
    piece.parameters[i] -= rate * velocity[i];
  }
}

template <typename Real>
void adadelta(const Step& step, const Piece<Real>& piece) {
  const auto rate = static_cast<Real>(step.learningRate), decay = static_cast<Real>(step.options.decay),
             share = static_cast<Real>(1 - step.options.decay),
             epsilon = static_cast<Real>(step.options.epsilon);
  Real* const squares = piece.slot(0);
  Real* const squaredChanges = piece.slot(1);
  for (std::size_t i = 0; i < piece.count; ++i) {
    const Real gradient = piece.gradient[i];
    squares[i] = decay * squares[i] + share * (gradient * gradient);
    const Real change = std::sqrt(squaredChanges[i] + epsilon) / std::sqrt(squares[i] + epsilon) * gradient;
    squaredChanges[i] = decay * squaredChanges[i] + share * (change * change);
    piece.parameters[i] -= rate * change;
  }
}

/// Also AdamW, whose decay comes before.
template <typename Real>
void adam(const Step& step, const Piece<Real>& piece) {
  const auto number = static_cast<double>(step.number);
  const auto firstRate = static_cast<Real>(1 - step.options.beta1),
             secondDecay = static_cast<Real>(step.options.beta2),
             secondRate = static_cast<Real>(1 - step.options.beta2),
             stepSize = static_cast<Real>(step.learningRate / (1 - std::pow(step.options.beta1, number))),
             rootCorrection = static_cast<Real>(1 / std::sqrt(1 - std::pow(step.options.beta2, number))),
             epsilon = static_cast<Real>(step.options.epsilon);
  Real* const first = piece.slot(0);
  Real* const second = piece.slot(1);
  if constexpr (std::is_same_v<Real, float>) {
    kernels().adam({firstRate, secondDecay, secondRate, stepSize, rootCorrection, epsilon}, piece.count,
                   piece.gradient, piece.parameters, first, second);
  } else {
    for (std::size_t i = 0; i < piece.count; ++i) {
      const Real gradient = piece.gradient[i];
      first[i] += firstRate * (gradient - first[i]);
      second[i] = secondDecay * second[i] + secondRate * (gradient * gradient);
      piece.parameters[i] -= stepSize * first[i] / (std::sqrt(second[i]) * rootCorrection + epsilon);
    }
  }
}

template <typename Real>
void adamax(const Step& step, const Piece<Real>& piece) {
  const double correction = 1 - std::pow(step.options.beta1, static_cast<double>(step.number));
  const auto firstRate = static_cast<Real>(1 - step.options.beta1),
             decay = static_cast<Real>(step.options.beta2),
             stepSize = static_cast<Real>(step.learningRate / correction),
             epsilon = static_cast<Real>(step.options.epsilon);
  Real* const first = piece.slot(0);
  Real* const largest = piece.slot(1);
  for (std::size_t i = 0; i < piece.count; ++i) {
    const Real gradient = piece.gradient[i];
    first[i] += firstRate * (gradient - first[i]);
    largest[i] = std::max(decay * largest[i], std::abs(gradient) + epsilon);
    piece.parameters[i] -= stepSize * first[i] / largest[i];
  }
}

/// The momentum of a step, from 1: rises from about beta1 / 2 to beta1.
double nadamMomentum(const OptimizerOptions& options, std::size_t step) {
  return options.beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) * options.momentumDecay));
}

template <typename Real>
void nadam(const Step& step, const Piece<Real>& piece) {
  const double momentum = nadamMomentum(step.options, step.number),
               next = nadamMomentum(step.options, step.number + 1), product = step.momentumProduct,
               correction = 1 - std::pow(step.options.beta2, static_cast<double>(step.number));
  const auto gradientRate = static_cast<Real>(step.learningRate * (1 - momentum) / (1 - product)),
             momentRate = static_cast<Real>(step.learningRate * next / (1 - product * next)),
             firstRate = static_cast<Real>(1 - step.options.beta1),
             secondDecay = static_cast<Real>(step.options.beta2),
             secondRate = static_cast<Real>(1 - step.options.beta2),
             rootCorrection = static_cast<Real>(1 / std::sqrt(correction)),
             epsilon = static_cast<Real>(step.options.epsilon);
  Real* const first = piece.slot(0);
  Real* const second = piece.slot(1);
  for (std::size_t i = 0; i < piece.count; ++i) {
    const Real gradient = piece.gradient[i];
    first[i] += firstRate * (gradient - first[i]);
    second[i] = secondDecay * second[i] + secondRate * (gradient * gradient);
    piece.parameters[i] -=
        (gradientRate * gradient + momentRate * first[i]) / (std::sqrt(second[i]) * rootCorrection + epsilon);
  }
}

template <typename Real>
void move(const Step& step, const Piece<Real>& piece) {
  switch (step.options.type) {
    case OptimizerType::sgd:
      return sgd(step, piece);
    case OptimizerType::adagrad:
      return adagrad(step, piece);
    case OptimizerType::rmsprop:
      return rmsprop(step, piece);
    case OptimizerType::adadelta:
      return adadelta(step, piece);
    case OptimizerType::adam:
    case OptimizerType::adamw:
      return adam(step, piece);
    case OptimizerType::adamax:
      return adamax(step, piece);
    case OptimizerType::nadam:
      return nadam(step, piece);
  }
}

template <typename Real>
double squaredNorm(const Real* values, std::size_t count) {
  constexpr std::size_t lanes = 8;  // sums that do not wait for each other
  double sums[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(values[i]) * values[i];
  return std::accumulate(sums, sums + lanes, 0.0);
}

/// What the gradient is to be multiplied with, as torch.nn.utils.clip_grad_norm_ has it.
template <typename Real>
double clipFactor(double clipNorm, const Real* gradient, std::size_t count, std::size_t threads) {
  if (clipNorm == 0) return 1;
  std::vector<double> squares((count + chunkNumbers - 1) / chunkNumbers);
  forChunks(count, chunkNumbers, threads, [&](std::size_t begin, std::size_t end) {
    squares[begin / chunkNumbers] = squaredNorm(gradient + begin, end - begin);
  });
  const double norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
  return std::min(1.0, clipNorm / (norm + 1e-6));
}

/// Clips the gradient and adds the penalties' gradients to it.
template <typename Real>
void regularize(const OptimizerOptions& options, double clip, const Piece<Real>& piece) {
  if (clip == 1 && options.l1 == 0 && options.l2 == 0) return;
  const auto scale = static_cast<Real>(clip), l1 = static_cast<Real>(options.l1),
             l2 = static_cast<Real>(options.l2);
  for (std::size_t i = 0; i < piece.count; ++i) {
    const Real parameter = piece.parameters[i];
    const auto sign = static_cast<Real>((parameter > 0) - (parameter < 0));
    piece.gradient[i] = scale * piece.gradient[i] + l2 * parameter + l1 * sign;
  }
}

/// AdamW's decoupled decay (Loshchilov & Hutter, algorithm 2, line 12), before its step as in torch.
template <typename Real>
void decay(const Step& step, const Piece<Real>& piece) {
  if (step.options.type != OptimizerType::adamw) return;
  const auto kept = static_cast<Real>(1 - step.learningRate * step.options.weightDecay);
  for (std::size_t i = 0; i < piece.count; ++i) piece.parameters[i] *= kept;
}

}  // namespace

void checkSlots(std::size_t given, std::size_t needed) {
  if (given == needed) return;
  throw argumentError("initial", "its state must have " + std::to_string(needed) +
                                     " running values for this network and optimizer, but has " +
                                     std::to_string(given));
}

template <typename Real>
Optimizer<Real>::Optimizer(const OptimizerOptions& options, std::size_t parameters)
    : options_(options), parameters_(parameters), slots_(slotsOf(options) * parameters) {}

template <typename Real>
void Optimizer<Real>::step(double learningRate, Real* parameters, Real* gradient, std::size_t threads) {
  begin(learningRate);
  const double clip = clipFactor(options_.clipNorm, gradient, parameters_, threads);
  forChunks(parameters_, chunkNumbers, threads, [&](std::size_t begin, std::size_t end) {
    update(begin, end - begin, parameters + begin, gradient + begin, clip);
  });
}

template <typename Real>
void Optimizer<Real>::begin(double learningRate) {
  learningRate_ = learningRate;
  momentumProduct_ *= nadamMomentum(options_, ++steps_);
}

template <typename Real>
void Optimizer<Real>::update(std::size_t first, std::size_t count, Real* parameters, Real* gradient) {
  update(first, count, parameters, gradient, 1);
}

template <typename Real>
void Optimizer<Real>::update(std::size_t first, std::size_t count, Real* parameters, Real* gradient,
                             double clip) {
  const Step step{options_, learningRate_, steps_, momentumProduct_};
  const Piece<Real> piece{first, count, parameters, gradient, slots_.data(), parameters_};
  regularize(options_, clip, piece);
  decay(step, piece);
  cpu::move(step, piece);
}

template <typename Real>
void Optimizer<Real>::restore(std::span<const Real> slots, std::size_t steps) {
  checkSlots(slots.size(), slots_.size());
  std::ranges::copy(slots, slots_.begin());
  steps_ = steps;
  momentumProduct_ = 1;
  for (std::size_t step = 1; step <= steps && momentumProduct_ > 0; ++step) {
    momentumProduct_ *= nadamMomentum(options_, step);
  }
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace neural_lsh::cpu
