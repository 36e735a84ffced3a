// The activations but for softmax, number by number, as cpu/classifier/activations.cpp defines them.
#pragma once

#include <cmath>
#include <cstdint>

#include "../interface.h"
#include "../qualifiers.h"

namespace neural_lsh::cuda {

struct ActivationRule {
  std::int32_t type;
  float slope = 0;  // of leaky ReLU below 0
  float alpha = 0;  // of ELU and SELU
  float scale = 1;  // of both
};

inline ActivationRule activationRuleOf(const NlshLayer& layer) {
  if (layer.activation == NLSH_SELU)
    return {NLSH_SELU, 0, 1.6732632423543772848170429916717F, 1.0507009873554804934193349852946F};
  return {layer.activation, static_cast<float>(layer.slope), static_cast<float>(layer.alpha), 1};
}

/// The normal distribution's Phi(x).
NLSH_BOTH inline float normalShare(float x) {
  return std::erfc(-x / 1.41421356237309504880F) / 2;
}

/// Comparisons are so written that NaN stays NaN.
NLSH_BOTH inline float activate(const ActivationRule& rule, float x) {
  switch (rule.type) {
    case NLSH_STEP:
      return x > 0 ? 1 : x <= 0 ? 0 : x;
    case NLSH_SIGMOID:
      return 1 / (1 + std::exp(-x));
    case NLSH_TANH:
      return std::tanh(x);
    case NLSH_RELU:
      return x < 0 ? 0 : x;
    case NLSH_RELU6: {
      const float positive = x < 0 ? 0 : x;
      return positive > 6 ? 6 : positive;
    }
    case NLSH_LEAKY_RELU:
      return x > 0 ? x : rule.slope * x;
    case NLSH_ELU:
    case NLSH_SELU:
      return rule.scale * (x > 0 ? x : rule.alpha * std::expm1(x));
    case NLSH_SOFTPLUS:
      return x > 20 ? x : std::log1p(std::exp(x));
    case NLSH_GELU:
      return x * normalShare(x);
    default:
      return x;
  }
}

/// Whether the slope follows from what entered, rather than from what left.
NLSH_BOTH inline bool slopeNeedsInput(std::int32_t type) {
  return type == NLSH_GELU;
}

/// The gradient with respect to what entered, given that with respect to what left; `kept` is one of the two.
NLSH_BOTH inline float activationGradient(const ActivationRule& rule, float kept, float gradient) {
  switch (rule.type) {
    case NLSH_SIGMOID:
      return gradient * (kept * (1 - kept));
    case NLSH_TANH:
      return gradient * (1 - kept * kept);
    case NLSH_RELU:
      return kept <= 0 ? 0 : gradient;
    case NLSH_RELU6:
      return kept <= 0 || kept >= 6 ? 0 : gradient;
    case NLSH_LEAKY_RELU:
      return kept > 0 ? gradient : rule.slope * gradient;
    case NLSH_ELU:
    case NLSH_SELU:
      return gradient * (kept > 0 ? rule.scale : kept + rule.scale * rule.alpha);
    case NLSH_SOFTPLUS:
      return kept > 20 ? gradient : -gradient * std::expm1(-kept);
    case NLSH_GELU: {
      constexpr float inverseRootOfTwoPi = 0.398942280401432677940F;
      const float density = std::exp(-kept * kept / 2) * inverseRootOfTwoPi;
      return gradient * (normalShare(kept) + kept * density);
    }
    default:
      return gradient;
  }
}

}  // namespace neural_lsh::cuda
