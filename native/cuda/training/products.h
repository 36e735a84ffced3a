// Products of matrices by cuBLASLt, with what training wants done along with them: bias, ReLU and its mask,
// and the sums that are a bias's gradient. Factors are floats or bf16, sums always floats.
//
// cuBLASLt does that along only where it has a kernel for the sizes, and the fast ones want every row to
// begin at a multiple of 16 bytes. So it is here, whatever the widths of the layers, but for images: up to
// the last convolution or pool of a network rows are as long as what they hold, and so is what the linear
// layer behind reads. What cuBLASLt cannot do there kernels of ours do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../device.h"
#include "numbers.h"

namespace neural_lsh::cuda {

/// A row-major matrix.
struct Operand {
  Numbers numbers;
  std::size_t rows, columns;
};

/// What is done along with a product; `vector`, of the result's type, has a number for each column of the
/// result, but for sumRows one for each row.
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
  Operand left, right, out;
  bool transposeLeft = false, transposeRight = false;
  Along along = Along::nothing;
  void* vector = nullptr;
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
  /// False where cuBLASLt turns out not to do what is asked for along; a plain product it always does.
  virtual bool run(const Stream& stream) const = 0;
};

/// Null where cuBLASLt has no way to do that; for a plain product it always has one.
std::unique_ptr<Product> findProduct(const Multiplier& multiplier, const ProductPlan& plan);

/// A product along with which as much is done as cuBLASLt does: it is asked once.
class FusedProduct {
 public:
  /// Of `ways` the first asks for most, the last for nothing along.
  FusedProduct(const Multiplier& multiplier, std::vector<ProductPlan> ways);

  /// What was done along.
  Along run(const Stream& stream);

 private:
  const Multiplier& multiplier_;
  std::vector<ProductPlan> ways_;
  std::size_t way_ = 0;
  std::unique_ptr<Product> product_;  // of this way, once it is found
};

}  // namespace neural_lsh::cuda
