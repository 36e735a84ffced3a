// Products of float matrices by cuBLASLt, with what training wants done along with them: bias, ReLU and its
// mask, and the sums that are a bias's gradient.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "../device.h"

namespace neural_lsh::cuda {

/// A row-major matrix of floats whose rows lie close together.
struct FloatMatrix {
  float* data;
  std::size_t rows, columns;
};

/// What is done along with a product; `vector` has a number for each column of the result, but for sumRows
/// one for each row.
enum class Along {
  nothing,
  addVector,
  relu,
  addVectorAndRelu,
  reluAndMask,  // the mask says where the result is above 0
  addVectorReluAndMask,
  applyMask,  // the result is 0 where the mask says so
  sumRows     // of the left matrix of transposedLeft: the vector becomes the sums of its columns
};

/// What is multiplied, and where to: the same in every call.
struct ProductPlan {
  FloatMatrix left, right, out;
  bool transposeLeft = false, transposeRight = false;
  Along along = Along::nothing;
  float* vector = nullptr;
  std::uint8_t* mask = nullptr;
};

/// Bytes of a mask for a result of that size.
std::size_t maskBytes(std::size_t rows, std::size_t columns);

/// cuBLASLt, for one stream at a time.
class Multiplier {
 public:
  explicit Multiplier(NlshPrecision precision);

  cublasLtHandle_t handle() const { return handle_.get(); }
  cublasComputeType_t computeType() const { return computeType_; }
  const DeviceArray<std::byte>& workspace() const { return workspace_; }

 private:
  struct Destroy {
    void operator()(cublasLtHandle_t handle) const { static_cast<void>(cublasLtDestroy(handle)); }
  };
  std::unique_ptr<cublasLtContext, Destroy> handle_;
  cublasComputeType_t computeType_;
  DeviceArray<std::byte> workspace_;
};

class Product {
 public:
  virtual ~Product() = default;
  virtual void run(const Stream& stream) const = 0;
};

/// Null where cuBLASLt has no way to do that, as may be with odd sizes; a plain product it always has.
std::unique_ptr<Product> findProduct(const Multiplier& multiplier, const ProductPlan& plan);

}  // namespace neural_lsh::cuda
