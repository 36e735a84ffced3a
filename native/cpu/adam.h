// The Adam optimizer (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1).
#pragma once

#include <cstddef>
#include <vector>

namespace neural_lsh::cpu {

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;  // added to the root of the bias-corrected second moment
};

class Adam {
 public:
  Adam(const AdamOptions& options, std::size_t parameters)
      : options_(options), firstMoments_(parameters), secondMoments_(parameters) {}

  void step(double learningRate, float* parameters, const float* gradient, std::size_t threads);

 private:
  AdamOptions options_;
  std::vector<float> firstMoments_;
  std::vector<float> secondMoments_;
  std::size_t steps_ = 0;
};

}  // namespace neural_lsh::cpu
