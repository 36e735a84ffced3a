#include "adam.h"

#include <cmath>

#include "chunks.h"
#include "kernels/kernels.h"

namespace neural_lsh::cpu {

void Adam::step(double learningRate, float* parameters, const float* gradient, std::size_t threads) {
  const auto steps = static_cast<double>(++steps_);
  const double correction1 = 1 - std::pow(options_.beta1, steps),
               correction2 = 1 - std::pow(options_.beta2, steps);
  const AdamStep step{
      static_cast<float>(1 - options_.beta1),         static_cast<float>(options_.beta2),
      static_cast<float>(1 - options_.beta2),         static_cast<float>(learningRate / correction1),
      static_cast<float>(1 / std::sqrt(correction2)), static_cast<float>(options_.epsilon)};
  forChunks(firstMoments_.size(), chunkNumbers, threads, [&](std::size_t begin, std::size_t end) {
    kernels().adam(step, end - begin, gradient + begin, parameters + begin, firstMoments_.data() + begin,
                   secondMoments_.data() + begin);
  });
}

}  // namespace neural_lsh::cpu
