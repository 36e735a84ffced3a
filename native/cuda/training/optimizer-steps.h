// The optimizers of cpu/classifier/optimizer.cpp, parameter by parameter.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../interface.h"
#include "../qualifiers.h"

namespace neural_lsh::cuda {

/// What stays the same from step to step.
struct OptimizerRule {
  std::int32_t type;
  bool hasVelocity, nesterov;
  float momentum;
  float decay, decayShare;  // of the running squares, and 1 - decay
  float epsilon;
  float firstRate, secondDecay, secondRate;  // 1 - beta1, beta2, 1 - beta2
  float l1, l2;
};

/// What a step's number and rate come to; which of them mean something depends on the type.
struct OptimizerFactors {
  float rate;
  float stepSize, rootCorrection;  // of the Adam family
  float gradientRate, momentRate;  // of nadam
  float kept;                      // of adamw's parameters
};

inline OptimizerRule optimizerRuleOf(const NlshOptimizer& options) {
  return {options.type,
          options.momentum != 0,
          options.nesterov != 0,
          static_cast<float>(options.momentum),
          static_cast<float>(options.decay),
          static_cast<float>(1 - options.decay),
          static_cast<float>(options.epsilon),
          static_cast<float>(1 - options.beta1),
          static_cast<float>(options.beta2),
          static_cast<float>(1 - options.beta2),
          static_cast<float>(options.l1),
          static_cast<float>(options.l2)};
}

/// Running values of a parameter.
inline std::size_t slotsOf(const NlshOptimizer& options) {
  const std::size_t velocity = options.momentum == 0 ? 0 : 1;
  switch (options.type) {
    case NLSH_SGD:
      return velocity;
    case NLSH_ADAGRAD:
      return 1;
    case NLSH_RMSPROP:
      return 1 + velocity;
    default:
      return 2;
  }
}

/// Of nadam, in a step from 1: rises from about beta1 / 2 to beta1.
inline double nadamMomentum(const NlshOptimizer& options, std::uint64_t step) {
  return options.beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) * options.momentum_decay));
}

/// number: of the step, from 1. momentumProduct: of nadam's momenta up to this step's.
inline OptimizerFactors optimizerFactorsOf(const NlshOptimizer& options, double learningRate,
                                           std::uint64_t number, double momentumProduct) {
  const auto steps = static_cast<double>(number);
  const double first = 1 - std::pow(options.beta1, steps), second = 1 - std::pow(options.beta2, steps);
  const double momentum = nadamMomentum(options, number), next = nadamMomentum(options, number + 1);
  return {static_cast<float>(learningRate),
          static_cast<float>(learningRate / first),
          static_cast<float>(1 / std::sqrt(second)),
          static_cast<float>(learningRate * (1 - momentum) / (1 - momentumProduct)),
          static_cast<float>(learningRate * next / (1 - momentumProduct * next)),
          static_cast<float>(1 - learningRate * options.weight_decay)};
}

/// A parameter and what belongs to it; slots that the optimizer has none of are left alone.
struct Parameter {
  float value, firstSlot, secondSlot;
};

/// gradient: clipped, and with the penalties.
NLSH_BOTH inline void takeStep(const OptimizerRule& rule, const OptimizerFactors& factors, float gradient,
                               Parameter& parameter) {
  float& value = parameter.value;
  float& first = parameter.firstSlot;
  float& second = parameter.secondSlot;
  switch (rule.type) {
    case NLSH_SGD:
      if (!rule.hasVelocity) {
        value -= factors.rate * gradient;
        return;
      }
      first = rule.momentum * first + gradient;
      value -= factors.rate * (rule.nesterov ? gradient + rule.momentum * first : first);
      return;
    case NLSH_ADAGRAD:
      first += gradient * gradient;
      value -= factors.rate * gradient / (std::sqrt(first) + rule.epsilon);
      return;
    case NLSH_RMSPROP: {
      first = rule.decay * first + rule.decayShare * (gradient * gradient);
      const float scaled = gradient / (std::sqrt(first) + rule.epsilon);
      second = rule.hasVelocity ? rule.momentum * second + scaled : scaled;
      value -= factors.rate * second;
      return;
    }
    case NLSH_ADADELTA: {
      first = rule.decay * first + rule.decayShare * (gradient * gradient);
      const float change = std::sqrt(second + rule.epsilon) / std::sqrt(first + rule.epsilon) * gradient;
      second = rule.decay * second + rule.decayShare * (change * change);
      value -= factors.rate * change;
      return;
    }
    case NLSH_ADAMAX: {
      first += rule.firstRate * (gradient - first);
      const float decayed = rule.secondDecay * second, size = std::abs(gradient) + rule.epsilon;
      second = decayed < size ? size : decayed;
      value -= factors.stepSize * first / second;
      return;
    }
    default: {
      if (rule.type == NLSH_ADAMW) value *= factors.kept;
      first += rule.firstRate * (gradient - first);
      second = rule.secondDecay * second + rule.secondRate * (gradient * gradient);
      const float root = std::sqrt(second) * factors.rootCorrection + rule.epsilon;
      const bool isNadam = rule.type == NLSH_NADAM;
      value -= (isNadam ? factors.gradientRate * gradient + factors.momentRate * first
                        : factors.stepSize * first) /
               root;
    }
  }
}

/// clip: what the gradient is multiplied with before the penalties are added.
NLSH_BOTH inline void updateParameter(const OptimizerRule& rule, const OptimizerFactors& factors, float clip,
                                      float gradient, Parameter& parameter) {
  const auto sign = static_cast<float>((parameter.value > 0) - (parameter.value < 0));
  takeStep(rule, factors, clip * gradient + rule.l2 * parameter.value + rule.l1 * sign, parameter);
}

/// As torch.nn.utils.clip_grad_norm_ has it.
NLSH_BOTH inline float clipFactorOf(double clipNorm, double squaredNorm) {
  if (clipNorm == 0) return 1;
  const double factor = clipNorm / (std::sqrt(squaredNorm) + 1e-6);
  return factor < 1 ? static_cast<float>(factor) : 1;
}

}  // namespace neural_lsh::cuda
