#include "initialization.h"

#include <algorithm>
#include <cmath>

#include "../../core/random.h"

namespace neural_lsh::cpu {
namespace {

void fillUniform(Random& random, double bound, std::span<float> weights) {
  for (float& weight : weights) weight = static_cast<float>((2 * random.uniform() - 1) * bound);
}

void fillNormal(Random& random, double deviation, std::span<float> weights) {
  for (std::size_t i = 0; i < weights.size(); i += 2) {
    const auto [first, second] = random.normals();
    weights[i] = static_cast<float>(deviation * first);
    if (i + 1 < weights.size()) weights[i + 1] = static_cast<float>(deviation * second);
  }
}

/// Uniform numbers of variance v lie within +-sqrt(3 v).
void fillWeights(const Initialization& initialization, double fanIn, double fanOut, Random& random,
                 std::span<float> weights) {
  switch (initialization.type) {
    case InitializationType::uniform:
      return fillUniform(random, 1 / std::sqrt(fanIn), weights);
    case InitializationType::xavierUniform:
      return fillUniform(random, std::sqrt(6 / (fanIn + fanOut)), weights);
    case InitializationType::xavierNormal:
      return fillNormal(random, std::sqrt(2 / (fanIn + fanOut)), weights);
    case InitializationType::heUniform:
      return fillUniform(random, std::sqrt(6 / fanIn), weights);
    case InitializationType::heNormal:
      return fillNormal(random, std::sqrt(2 / fanIn), weights);
    case InitializationType::lecunNormal:
      return fillNormal(random, std::sqrt(1 / fanIn), weights);
    case InitializationType::constant:
      std::ranges::fill(weights, static_cast<float>(initialization.value));
  }
}

/// Of linear and conv2d: the weights of a unit are its fan-in.
void fillLayer(const LayerDescription& layer, const Initialization& initialization, Random& random,
               std::span<float> parameters) {
  const std::size_t weights = parameters.size() - (layer.bias ? layer.outputs : 0);
  const std::size_t window = layer.type == LayerType::conv2d ? layer.kernel * layer.kernel : 1;
  fillWeights(initialization, static_cast<double>(weights / layer.outputs),
              static_cast<double>(layer.outputs * window), random, parameters.first(weights));
  std::ranges::fill(parameters.subspan(weights), 0.0F);
}

/// One value in the first half, another in the second.
void fillHalves(std::span<float> values, float first, float second) {
  const std::size_t half = values.size() / 2;
  std::ranges::fill(values.first(half), first);
  std::ranges::fill(values.subspan(half), second);
}

}  // namespace

void initializeParameters(const NetworkDescription& description, const Initialization& initialization,
                          std::uint64_t seed, std::span<float> parameters) {
  Random random(seed);
  for (const LayerDescription& layer : description.layers) {
    const auto own = parameters.subspan(layer.parameterOffset, layer.parameters);
    if (layer.type == LayerType::linear || layer.type == LayerType::conv2d) {
      fillLayer(layer, initialization, random, own);
    } else {
      fillHalves(own, 1, 0);
    }
  }
}

void initializeBuffers(const NetworkDescription& description, std::span<float> buffers) {
  for (const LayerDescription& layer : description.layers) {
    fillHalves(buffers.subspan(layer.bufferOffset, layer.buffers), 0, 1);
  }
}

}  // namespace neural_lsh::cpu
