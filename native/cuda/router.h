// The network that scores the bins, on the device.
#pragma once

#include <cstddef>
#include <vector>

#include "matrix-products.h"
#include "search-kernels.h"
#include "staging.h"

namespace neural_lsh::cuda {

/// Layers with all sizes filled up with zeros to multiples of operandAlignment: what is added stays 0 through
/// them all. Tensor cores multiply them where there are any: of each factor they read ten bits behind the
/// point, and sums are floats. The CPU routes by integers of eight bits, and finds as many neighbors; 16-bit
/// floats would have to be made of every layer's results, for products that are a small part of a search.
class Router {
 public:
  Router(const NlshRouter& router, Staging& staging);

  std::size_t inputs() const { return widths_.front(); }
  std::size_t bins() const { return widths_.back(); }
  /// Numbers a query of what run() works in.
  std::size_t widest() const { return widest_; }
  std::size_t scoreStride() const { return roundUpToOperands(bins()); }
  float inverseTemperature() const { return inverseTemperature_; }
  std::size_t bytes() const;

  /// The scores of `count` queries, row after row at scoreStride(). a and b: paddedCount x widest() each; the
  /// scores are in the one that is returned.
  const float* run(const float* queries, std::size_t count, float* a, float* b, MatrixProducts& products,
                   const Stream& stream) const;

 private:
  struct Layer {
    DeviceArray<float> weights, biases;
  };
  std::vector<std::size_t> widths_;
  std::size_t widest_;
  bool isUnitLength_;
  float inverseTemperature_;
  DeviceArray<float> mean_, scale_;
  std::vector<Layer> layers_;
};

}  // namespace neural_lsh::cuda
