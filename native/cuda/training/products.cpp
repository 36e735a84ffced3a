#include "products.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

namespace neural_lsh::cuda {
namespace {

constexpr std::size_t maskAlignment = 128;  // in bits: cuBLASLt's demand

std::size_t maskStride(std::size_t columns) {
  return (columns + maskAlignment - 1) / maskAlignment * maskAlignment;
}

cublasLtEpilogue_t epilogueOf(Along along) {
  switch (along) {
    case Along::nothing:
      return CUBLASLT_EPILOGUE_DEFAULT;
    case Along::addVector:
      return CUBLASLT_EPILOGUE_BIAS;
    case Along::relu:
      return CUBLASLT_EPILOGUE_RELU;
    case Along::addVectorAndRelu:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
    case Along::reluAndMask:
      return CUBLASLT_EPILOGUE_RELU_AUX;
    case Along::addVectorReluAndMask:
      return CUBLASLT_EPILOGUE_RELU_AUX_BIAS;
    case Along::applyMask:
      return CUBLASLT_EPILOGUE_DRELU;
    case Along::sumRows:
      return CUBLASLT_EPILOGUE_BGRADB;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

cublasComputeType_t computeTypeOf(NlshPrecision precision) {
  switch (precision) {
    case NLSH_FP32:
    case NLSH_BF16:  // the factors' type says it
      return CUBLAS_COMPUTE_32F;
    case NLSH_TF32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    default:
      throw badArgument("precision", "training has fp32, tf32 and bf16");
  }
}

/// What cuBLAS itself asks for: 32 MiB from Hopper on.
constexpr std::size_t workspaceBytes = std::size_t{32} << 20;

/// The largest that a pointer is a multiple of, up to what cuBLASLt makes use of.
std::uint32_t alignmentOf(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return std::uint32_t{1} << std::min(std::countr_zero(address), 8);
}

struct DestroyLayout {
  void operator()(cublasLtMatrixLayout_t layout) const {
    static_cast<void>(cublasLtMatrixLayoutDestroy(layout));
  }
};
struct DestroyDescription {
  void operator()(cublasLtMatmulDesc_t description) const {
    static_cast<void>(cublasLtMatmulDescDestroy(description));
  }
};
struct DestroyPreference {
  void operator()(cublasLtMatmulPreference_t preference) const {
    static_cast<void>(cublasLtMatmulPreferenceDestroy(preference));
  }
};
using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, DestroyLayout>;
using Description = std::unique_ptr<cublasLtMatmulDescOpaque_t, DestroyDescription>;
using Preference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, DestroyPreference>;

/// cuBLASLt counts by columns: to it, a row-major matrix is its transpose.
Layout layoutOf(const Operand& matrix) {
  cublasLtMatrixLayout_t layout = nullptr;
  const cudaDataType_t type = matrix.numbers.type == NumberType::float32 ? CUDA_R_32F : CUDA_R_16BF;
  NLSH_CHECK(cublasLtMatrixLayoutCreate(&layout, type, matrix.columns, matrix.rows,
                                        static_cast<std::int64_t>(matrix.numbers.stride)));
  return Layout(layout);
}

template <typename T>
void set(const Description& description, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  NLSH_CHECK(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof(value)));
}

template <typename T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  NLSH_CHECK(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof(value)));
}

Description descriptionOf(const Multiplier& multiplier, const ProductPlan& plan) {
  cublasLtMatmulDesc_t made = nullptr;
  NLSH_CHECK(cublasLtMatmulDescCreate(&made, multiplier.computeType(), CUDA_R_32F));
  Description description(made);
  const auto operation = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
  // The transpose of the product is that of the transposes, the other way round.
  set(description, CUBLASLT_MATMUL_DESC_TRANSA, operation(plan.transposeRight));
  set(description, CUBLASLT_MATMUL_DESC_TRANSB, operation(plan.transposeLeft));
  set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogueOf(plan.along));
  if (plan.vector) set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, plan.vector);  // of the result's type
  if (plan.mask) {
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, plan.mask);
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD,
        static_cast<std::int64_t>(maskStride(plan.out.columns)));
  }
  return description;
}

Preference preferenceFor(const Multiplier& multiplier, const ProductPlan& plan) {
  cublasLtMatmulPreference_t made = nullptr;
  NLSH_CHECK(cublasLtMatmulPreferenceCreate(&made));
  Preference preference(made);
  const std::size_t workspace = multiplier.workspace().bytes();
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignmentOf(plan.right.numbers.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignmentOf(plan.left.numbers.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignmentOf(plan.out.numbers.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignmentOf(plan.out.numbers.data));
  return preference;
}

class LtProduct final : public Product {
 public:
  LtProduct(const Multiplier& multiplier, const ProductPlan& plan)
      : multiplier_(multiplier),
        plan_(plan),
        description_(descriptionOf(multiplier, plan)),
        left_(layoutOf(plan.left)),
        right_(layoutOf(plan.right)),
        out_(layoutOf(plan.out)) {}

  /// Whether there is a way.
  bool choose() {
    const Preference preference = preferenceFor(multiplier_, plan_);
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(multiplier_.handle(), description_.get(), right_.get(), left_.get(),
                                       out_.get(), out_.get(), preference.get(), 1, &choice_, &found);
    return status == CUBLAS_STATUS_SUCCESS && found > 0 && choice_.state == CUBLAS_STATUS_SUCCESS;
  }

  bool run(const Stream& stream) const override {
    constexpr float one = 1, zero = 0;
    const DeviceArray<std::byte>& workspace = multiplier_.workspace();
    void* const out = plan_.out.numbers.data;
    const cublasStatus_t status =
        cublasLtMatmul(multiplier_.handle(), description_.get(), &one, plan_.right.numbers.data, right_.get(),
                       plan_.left.numbers.data, left_.get(), &zero, out, out_.get(), out, out_.get(),
                       &choice_.algo, workspace.data(), workspace.bytes(), stream);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED && plan_.along != Along::nothing) return false;
    check(status, "cublasLtMatmul");
    return true;
  }

 private:
  const Multiplier& multiplier_;
  ProductPlan plan_;
  Description description_;
  Layout left_, right_, out_;
  cublasLtMatmulHeuristicResult_t choice_{};
};

}  // namespace

std::size_t maskBytes(std::size_t rows, std::size_t columns) {
  return rows * maskStride(columns) / 8;
}

Multiplier::Multiplier(NlshPrecision precision)
    : computeType_(computeTypeOf(precision)), workspace_(workspaceBytes) {
  cublasLtHandle_t handle = nullptr;
  NLSH_CHECK(cublasLtCreate(&handle));
  handle_.reset(handle);
}

std::unique_ptr<Product> findProduct(const Multiplier& multiplier, const ProductPlan& plan) {
  auto product = std::make_unique<LtProduct>(multiplier, plan);
  if (product->choose()) return product;
  if (plan.along != Along::nothing) return nullptr;
  throw Failure(NLSH_FAILED, "cublasLtMatmulAlgoGetHeuristic: no way to multiply for " +
                                 std::to_string(plan.out.rows) + " x " + std::to_string(plan.out.columns));
}

FusedProduct::FusedProduct(const Multiplier& multiplier, std::vector<ProductPlan> ways)
    : multiplier_(multiplier), ways_(std::move(ways)) {}

Along FusedProduct::run(const Stream& stream) {
  for (;; ++way_, product_.reset()) {
    if (!product_) product_ = findProduct(multiplier_, ways_[way_]);
    if (product_ && product_->run(stream)) return ways_[way_].along;
  }
}

}  // namespace neural_lsh::cuda
