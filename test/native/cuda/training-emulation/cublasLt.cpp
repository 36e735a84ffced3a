#include "cublasLt.h"

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <vector>

#include "../../../../native/cuda/rounding.h"
#include "../../../../native/cuda/training/numbers.h"

namespace {

using neural_lsh::cuda::Numbers;
using neural_lsh::cuda::NumberType;

bool canDoAlong(const char* way) {
  const char* const products = std::getenv("EMULATED_PRODUCTS");
  return products != nullptr && std::strcmp(products, way) == 0;
}

/// A matrix, column after column.
struct Matrix {
  Numbers numbers;
  cublasLtMatrixLayoutOpaque_t layout;

  Matrix(const void* data, const cublasLtMatrixLayoutOpaque_t& layout)
      : numbers{const_cast<void*>(data),
                layout.type == CUDA_R_32F ? NumberType::float32 : NumberType::bfloat16, layout.stride},
        layout(layout) {}
  float at(std::size_t row, std::size_t column) const { return numbers.at(column * numbers.stride + row); }
  void put(std::size_t row, std::size_t column, double value) const {
    numbers.put(column * numbers.stride + row, static_cast<float>(value));
  }
  bool isAligned() const { return layout.stride * neural_lsh::cuda::bytesOf(numbers.type) % 16 == 0; }
};

struct Multiplication {
  cublasLtMatmulDescOpaque_t how;
  Matrix a, b, d;

  bool adds() const {
    return how.epilogue == CUBLASLT_EPILOGUE_BIAS || how.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS ||
           how.epilogue == CUBLASLT_EPILOGUE_RELU_AUX_BIAS;
  }
  bool masks() const {
    return how.epilogue == CUBLASLT_EPILOGUE_RELU_AUX || how.epilogue == CUBLASLT_EPILOGUE_RELU_AUX_BIAS;
  }
  bool rectifies() const {
    return masks() || how.epilogue == CUBLASLT_EPILOGUE_RELU || how.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  }
  bool sums() const { return how.epilogue == CUBLASLT_EPILOGUE_BGRADB; }
  bool unmasks() const { return how.epilogue == CUBLASLT_EPILOGUE_DRELU; }

  std::size_t depth() const { return how.operationA == CUBLAS_OP_N ? a.layout.columns : a.layout.rows; }
  double factor(float value) const {
    return how.compute == CUBLAS_COMPUTE_32F ? value : neural_lsh::cuda::toTensorFloat32(value);
  }
  double left(std::size_t row, std::size_t k) const {
    return factor(how.operationA == CUBLAS_OP_N ? a.at(row, k) : a.at(k, row));
  }
  double right(std::size_t k, std::size_t column) const {
    return factor(how.operationB == CUBLAS_OP_N ? b.at(k, column) : b.at(column, k));
  }

  bool isValid() const {
    const auto fits = [](const Matrix& matrix) { return matrix.layout.stride >= matrix.layout.rows; };
    const bool needsBias = adds() || sums(), needsMask = masks() || unmasks();
    const std::size_t rowsB = how.operationB == CUBLAS_OP_N ? b.layout.rows : b.layout.columns;
    return fits(a) && fits(b) && fits(d) && a.layout.type == b.layout.type && rowsB == depth() &&
           (how.compute == CUBLAS_COMPUTE_32F || a.layout.type == CUDA_R_32F) &&
           needsBias == (how.bias != nullptr) && needsMask == (how.mask != nullptr) &&
           (!needsMask ||
            (how.maskStride % 128 == 0 && how.maskStride >= static_cast<std::int64_t>(d.layout.rows)));
  }

  void run() const {
    const std::size_t rows = d.layout.rows, columns = d.layout.columns, depth = this->depth();
    std::vector<double> lefts(rows * depth), rights(columns * depth);
    for (std::size_t i = 0; i < lefts.size(); ++i) lefts[i] = left(i / depth, i % depth);
    for (std::size_t i = 0; i < rights.size(); ++i) rights[i] = right(i % depth, i / depth);
    const Numbers bias{how.bias, d.numbers.type, 0};
    for (std::size_t column = 0; column < columns; ++column) {
      const double* const factors = rights.data() + column * depth;
      for (std::size_t row = 0; row < rows; ++row) {
        double sum = adds() ? bias.at(row) : 0;
        for (std::size_t k = 0; k < depth; ++k) sum += lefts[row * depth + k] * factors[k];
        if (masks()) mark(row, column, sum > 0);
        if ((rectifies() && sum < 0) || (unmasks() && !isMarked(row, column))) sum = 0;
        d.put(row, column, sum);
      }
      if (sums()) bias.put(column, static_cast<float>(std::accumulate(factors, factors + depth, 0.0)));
    }
  }

  std::size_t bit(std::size_t row, std::size_t column) const {
    return column * static_cast<std::size_t>(how.maskStride) + row;
  }
  bool isMarked(std::size_t row, std::size_t column) const {
    return (how.mask[bit(row, column) / 8] >> bit(row, column) % 8 & 1) != 0;
  }
  void mark(std::size_t row, std::size_t column, bool yes) const {
    std::uint8_t& byte = how.mask[bit(row, column) / 8];
    const auto one = static_cast<std::uint8_t>(1 << bit(row, column) % 8);
    byte = static_cast<std::uint8_t>(yes ? byte | one : byte & ~one);
  }
};

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                          std::uint64_t rows, std::uint64_t columns, std::int64_t stride) {
  *layout = new cublasLtMatrixLayoutOpaque_t{type, rows, columns, static_cast<std::size_t>(stride)};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t compute,
                                        cudaDataType_t) {
  *description = new cublasLtMatmulDescOpaque_t{};
  (*description)->compute = compute;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete description;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  const auto set = [&](auto& field) {
    if (bytes != sizeof(field)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&field, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return set(description->operationA);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return set(description->operationB);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return set(description->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return set(description->bias);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return set(description->mask);
    default:
      return set(description->maskStride);
  }
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t, const void*,
                                                    std::size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t* results, int* found) {
  const Multiplication multiplication{*description, {nullptr, *a}, {nullptr, *b}, {nullptr, *d}};
  if (!multiplication.isValid()) return CUBLAS_STATUS_INVALID_VALUE;
  const bool isAligned =
      multiplication.a.isAligned() && multiplication.b.isAligned() && multiplication.d.isAligned();
  const bool canDo = !canDoAlong("plain") && (isAligned || !canDoAlong("aligned"));
  *found = description->epilogue == CUBLASLT_EPILOGUE_DEFAULT || canDo ? 1 : 0;
  results->state = CUBLAS_STATUS_SUCCESS;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void*, const void* a,
                              cublasLtMatrixLayout_t layoutA, const void* b, cublasLtMatrixLayout_t layoutB,
                              const void*, const void*, cublasLtMatrixLayout_t, void* d,
                              cublasLtMatrixLayout_t layoutD, const cublasLtMatmulAlgo_t*, void*, std::size_t,
                              cudaStream_t stream) {
  const Multiplication multiplication{*description, {a, *layoutA}, {b, *layoutB}, {d, *layoutD}};
  if (!multiplication.isValid()) return CUBLAS_STATUS_INVALID_VALUE;
  if (description->epilogue != CUBLASLT_EPILOGUE_DEFAULT && canDoAlong("refused"))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  stream->ask([multiplication] { multiplication.run(); });
  return CUBLAS_STATUS_SUCCESS;
}
