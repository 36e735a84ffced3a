// Products of matrices by cuBLASLt.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <type_traits>

#include "alignment.h"
#include "device.h"

namespace neural_lsh::cuda {

/// What is multiplied; sums are float, of bytes (signed) 32-bit integers.
enum class Operand { float32, tensorFloat32, bfloat16, float16, int8 };

constexpr std::size_t operandBytes(Operand operand) {
  return operand == Operand::int8 ? 1 : operand == Operand::bfloat16 || operand == Operand::float16 ? 2 : 4;
}

/// What is added to each row of the product, and done to the sum.
enum class Epilogue { none, bias, biasAndRelu };

/// Sizes as alignment.h says.
/// out[r][c] = <rows[r], columns[c]>, all row-major: rows is rowCount x depth, columns is columnCount x
/// depth, both with the stride `stride`; out is rowCount x columnCount with the stride outStride.
struct ProductShape {
  Operand operand;
  std::size_t rowCount, columnCount, depth, stride, outStride;
  Epilogue epilogue = Epilogue::none;
  friend auto operator<=>(const ProductShape&, const ProductShape&) = default;
};

/// Of the device, that products are worked out in.
std::size_t workspaceBytes(int device);

/// For one thread and one stream at a time; keeps how each shape is multiplied best.
class MatrixProducts {
 public:
  explicit MatrixProducts(int device);
  ~MatrixProducts();
  MatrixProducts(const MatrixProducts&) = delete;
  MatrixProducts& operator=(const MatrixProducts&) = delete;

  /// bias: columnCount numbers, where the epilogue adds them.
  void multiply(const ProductShape& shape, const void* rows, const void* columns, void* out,
                const float* bias, const Stream& stream);

 private:
  class Plan;
  Plan& plan(const ProductShape& shape, const float* bias);

  DeviceArray<std::byte> workspace_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<ProductShape, std::unique_ptr<Plan>> plans_;
};

}  // namespace neural_lsh::cuda
