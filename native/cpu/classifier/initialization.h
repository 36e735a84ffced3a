// The weights before training. With fan-in and fan-out the inputs and outputs of a unit (for conv2d times
// kernel^2): uniform +-1/sqrt(fan-in), as PyTorch starts its layers; Xavier, Glorot & Bengio, AISTATS 2010,
// eq. 16: variance 2 / (fan-in + fan-out); He et al., ICCV 2015, eq. 10: variance 2 / fan-in; LeCun 1998,
// Klambauer et al., NeurIPS 2017, for SELU: variance 1 / fan-in.
#pragma once

#include <cstdint>
#include <span>

#include "description.h"

namespace neural_lsh::cpu {

enum class InitializationType {
  uniform,
  xavierUniform,
  xavierNormal,
  heUniform,
  heNormal,
  lecunNormal,
  constant
};

struct Initialization {
  InitializationType type = InitializationType::uniform;
  double value = 0;  // of constant
};

/// Weights of linear and conv2d, layer by layer, from one Random(seed): uniform draws (2 u - 1) * bound,
/// normal ones by pairs (Box & Muller 1958): deviation * sqrt(-2 log(1 - u1)) * cos(2 pi u2), then sin
/// (left out where a layer's number of weights is odd). Biases are 0, batch norm's weights 1. `parameters`
/// has description.parameters() entries.
void initializeParameters(const NetworkDescription& description, const Initialization& initialization,
                          std::uint64_t seed, std::span<float> parameters);
/// Batch norm's running means 0 and variances 1.
void initializeBuffers(const NetworkDescription& description, std::span<float> buffers);

}  // namespace neural_lsh::cpu
