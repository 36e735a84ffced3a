#include "matrix-products.h"

#include <cstdint>
#include <string>

namespace neural_lsh::cuda {
namespace {

struct Types {
  cublasComputeType_t compute;
  cudaDataType_t scale, operand, out;
};

Types typesOf(Operand operand) {
  switch (operand) {
    case Operand::int8:
      return {CUBLAS_COMPUTE_32I, CUDA_R_32I, CUDA_R_8I, CUDA_R_32I};
    case Operand::bfloat16:
      return {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F};
    case Operand::float16:
      return {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F};
    case Operand::tensorFloat32:
      return {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F};
    default:
      return {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F};
  }
}

cublasLtEpilogue_t epilogueOf(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::biasAndRelu:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
    default:
      return CUBLASLT_EPILOGUE_DEFAULT;
  }
}

bool hasBias(Epilogue epilogue) {
  return epilogue != Epilogue::none;
}

class Layout {
 public:
  Layout(cudaDataType_t type, std::size_t rows, std::size_t columns, std::size_t stride) {
    NLSH_CHECK(cublasLtMatrixLayoutCreate(&layout_, type, rows, columns, static_cast<std::int64_t>(stride)));
  }
  ~Layout() { static_cast<void>(cublasLtMatrixLayoutDestroy(layout_)); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  operator cublasLtMatrixLayout_t() const { return layout_; }

 private:
  cublasLtMatrixLayout_t layout_ = nullptr;
};

class Description {
 public:
  explicit Description(const Types& types) {
    NLSH_CHECK(cublasLtMatmulDescCreate(&description_, types.compute, types.scale));
  }
  ~Description() { static_cast<void>(cublasLtMatmulDescDestroy(description_)); }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;
  operator cublasLtMatmulDesc_t() const { return description_; }

  template <typename T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    NLSH_CHECK(cublasLtMatmulDescSetAttribute(description_, attribute, &value, sizeof(value)));
  }

 private:
  cublasLtMatmulDesc_t description_ = nullptr;
};

class Preference {
 public:
  explicit Preference(std::size_t workspace) {
    NLSH_CHECK(cublasLtMatmulPreferenceCreate(&preference_));
    NLSH_CHECK(cublasLtMatmulPreferenceSetAttribute(preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                    &workspace, sizeof(workspace)));
  }
  ~Preference() { static_cast<void>(cublasLtMatmulPreferenceDestroy(preference_)); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
  operator cublasLtMatmulPreference_t() const { return preference_; }

 private:
  cublasLtMatmulPreference_t preference_ = nullptr;
};

}  // namespace

/// cuBLAS counts by columns: to it, a row-major matrix is its transpose, and the product is columns^T rows.
class MatrixProducts::Plan {
 public:
  Plan(cublasLtHandle_t handle, std::size_t workspace, const ProductShape& shape, const float* bias)
      : isInteger_(shape.operand == Operand::int8),
        hasBias_(hasBias(shape.epilogue)),
        description_(typesOf(shape.operand)),
        columns_(typesOf(shape.operand).operand, shape.depth, shape.columnCount, shape.stride),
        rows_(typesOf(shape.operand).operand, shape.depth, shape.rowCount, shape.stride),
        out_(typesOf(shape.operand).out, shape.columnCount, shape.rowCount, shape.outStride) {
    description_.set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    description_.set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
    description_.set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogueOf(shape.epilogue));
    if (hasBias_) description_.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    // Its default for what all pointers are multiples of, 256 bytes, is true of ours.
    const Preference preference(workspace);
    int found = 0;
    NLSH_CHECK(cublasLtMatmulAlgoGetHeuristic(handle, description_, columns_, rows_, out_, out_, preference,
                                              1, &choice_, &found));
    if (found == 0)
      throw Failure(NLSH_FAILED, "cublasLtMatmulAlgoGetHeuristic: no way to multiply " +
                                     std::to_string(shape.rowCount) + " x " +
                                     std::to_string(shape.columnCount) + " x " + std::to_string(shape.depth));
  }

  void run(cublasLtHandle_t handle, const DeviceArray<std::byte>& workspace, const void* rows,
           const void* columns, void* out, const float* bias, const Stream& stream) {
    if (hasBias_) description_.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    constexpr std::int32_t integers[] = {1, 0};
    constexpr float floats[] = {1, 0};
    const void* const one = isInteger_ ? static_cast<const void*>(integers) : floats;
    const void* const zero = isInteger_ ? static_cast<const void*>(integers + 1) : floats + 1;
    NLSH_CHECK(cublasLtMatmul(handle, description_, one, columns, columns_, rows, rows_, zero, out, out_, out,
                              out_, &choice_.algo, workspace.data(), workspace.bytes(), stream));
  }

 private:
  bool isInteger_, hasBias_;
  Description description_;
  Layout columns_, rows_, out_;
  cublasLtMatmulHeuristicResult_t choice_{};
};

/// As much as cuBLAS asks for by itself: more from Hopper on.
std::size_t workspaceBytes(int device) {
  int major = 0;
  NLSH_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  return std::size_t{major >= 9 ? 32U : 4U} << 20;
}

MatrixProducts::MatrixProducts(int device) : workspace_(workspaceBytes(device)) {
  NLSH_CHECK(cublasLtCreate(&handle_));
}

MatrixProducts::~MatrixProducts() {
  plans_.clear();
  static_cast<void>(cublasLtDestroy(handle_));
}

MatrixProducts::Plan& MatrixProducts::plan(const ProductShape& shape, const float* bias) {
  std::unique_ptr<Plan>& plan = plans_[shape];
  if (!plan) plan = std::make_unique<Plan>(handle_, workspace_.bytes(), shape, bias);
  return *plan;
}

void MatrixProducts::multiply(const ProductShape& shape, const void* rows, const void* columns, void* out,
                              const float* bias, const Stream& stream) {
  plan(shape, bias).run(handle_, workspace_, rows, columns, out, bias, stream);
}

}  // namespace neural_lsh::cuda
