// Softmax of rows of floats, by cuDNN.
#pragma once

#include <cstddef>

#include "dnn.h"

namespace neural_lsh::cuda {

class Softmax {
 public:
  /// Of rows of that shape, `stride` floats apart; CUDNN_SOFTMAX_LOG gives the logarithms.
  Softmax(const Dnn& dnn, cudnnSoftmaxAlgorithm_t algorithm, const NlshShape& shape, std::size_t stride)
      : dnn_(dnn), algorithm_(algorithm), shape_(shape), stride_(stride) {}

  void forward(std::size_t rows, const float* in, float* out) {
    describe(tensor_, rows, shape_, floatsAt(nullptr, stride_));
    NLSH_CHECK(cudnnSoftmaxForward(dnn_, algorithm_, CUDNN_SOFTMAX_MODE_INSTANCE, &one, tensor_, in, &zero,
                                   tensor_, out));
  }
  /// Of the rows that went forward last.
  void backward(const float* out, const float* outGradient, float* inGradient) {
    NLSH_CHECK(cudnnSoftmaxBackward(dnn_, algorithm_, CUDNN_SOFTMAX_MODE_INSTANCE, &one, tensor_, out,
                                    tensor_, outGradient, &zero, tensor_, inGradient));
  }

 private:
  const Dnn& dnn_;
  cudnnSoftmaxAlgorithm_t algorithm_;
  NlshShape shape_;
  std::size_t stride_;
  Tensor tensor_;
};

}  // namespace neural_lsh::cuda
