// A library as the engine 'cuda' opens it that trains on the host: the code of native/cuda/training over an
// emulated CUDA. In place of cuBLASLt and cuDNN there are plain loops. What a product can do along with it is
// told by the environment variable EMULATED_PRODUCTS: 'all', or 'plain' (nothing).
#include <cstdlib>
#include <cstring>
#include <string>

#include "../../../../native/cuda/training/entries.h"
#include "../../../../native/cuda/training/kernels.cu"
#include "../../../../native/cuda/training/layers.h"

namespace neural_lsh::cuda {

void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw Failure(NLSH_FAILED, call);
}
void check(cublasStatus_t, const char*) {}
void checkNotLost() {}
void checkDevice(int) {}
/// EMULATED_BYTES: of the device's memory that are free.
DeviceLimits deviceLimits(int) {
  const char* const bytes = std::getenv("EMULATED_BYTES");
  return {1, 0, 0, bytes ? std::strtoull(bytes, nullptr, 10) : std::size_t{1} << 40};
}

std::size_t maskBytes(std::size_t rows, std::size_t columns) {
  return rows * columns;
}

Multiplier::Multiplier(NlshPrecision) : computeType_(CUBLAS_COMPUTE_32F) {}

namespace {

bool addsVector(Along along) {
  return along == Along::addVector || along == Along::addVectorAndRelu ||
         along == Along::addVectorReluAndMask;
}
bool doesRelu(Along along) {
  return along == Along::relu || along == Along::reluAndMask || along == Along::addVectorAndRelu ||
         along == Along::addVectorReluAndMask;
}
bool makesMask(Along along) {
  return along == Along::reluAndMask || along == Along::addVectorReluAndMask;
}

class LoopProduct final : public Product {
 public:
  explicit LoopProduct(const ProductPlan& plan) : plan_(plan) {}

  void run(const Stream& stream) const override {
    static_cast<cudaStream_t>(stream)->ask([plan = plan_] { multiply(plan); });
  }

 private:
  static void multiply(const ProductPlan& plan) {
    const std::size_t depth = plan.transposeLeft ? plan.left.rows : plan.left.columns;
    const auto left = [&](std::size_t row, std::size_t k) {
      return plan.left.data[plan.transposeLeft ? k * plan.left.columns + row : row * plan.left.columns + k];
    };
    const auto right = [&](std::size_t k, std::size_t column) {
      return plan.right
          .data[plan.transposeRight ? column * plan.right.columns + k : k * plan.right.columns + column];
    };
    for (std::size_t row = 0; row < plan.out.rows; ++row) {
      for (std::size_t column = 0; column < plan.out.columns; ++column) {
        double sum = addsVector(plan.along) ? plan.vector[column] : 0;
        for (std::size_t k = 0; k < depth; ++k) sum += static_cast<double>(left(row, k)) * right(k, column);
        const std::size_t at = row * plan.out.columns + column;
        if (makesMask(plan.along)) plan.mask[at] = sum > 0;
        if ((doesRelu(plan.along) && sum < 0) || (plan.along == Along::applyMask && !plan.mask[at])) sum = 0;
        plan.out.data[at] = static_cast<float>(sum);
      }
      if (plan.along != Along::sumRows) continue;
      double sum = 0;
      for (std::size_t k = 0; k < depth; ++k) sum += left(row, k);
      plan.vector[row] = static_cast<float>(sum);
    }
  }

  ProductPlan plan_;
};

/// By definition, each number of the filters with each that it meets.
class LoopConvolution final : public Layer {
 public:
  LoopConvolution(const LayerContext& context, const NlshLayer& layer, const Place& place)
      : stream_(context.stream), layer_(layer), place_(place) {}

  void forward(std::size_t rows, bool) override {
    stream_->ask([this, rows] {
      const std::size_t pixels = layer_.out.height * layer_.out.width;
      for (std::size_t i = 0; i < rows * layer_.out.channels * pixels; ++i)
        place_.out[i] = place_.bias ? place_.bias[i / pixels % layer_.out.channels] : 0;
      meet(rows, [&](std::size_t in, std::size_t weight, std::size_t out) {
        place_.out[out] += place_.in[in] * place_.weight[weight];
      });
    });
  }

  void backward(std::size_t rows) override {
    stream_->ask([this, rows] {
      const NlshShape &in = layer_.in, &out = layer_.out;
      const std::size_t pixels = out.height * out.width;
      std::fill_n(place_.weightGradient, out.channels * in.channels * layer_.kernel * layer_.kernel, 0.0F);
      if (place_.bias) std::fill_n(place_.biasGradient, out.channels, 0.0F);
      for (std::size_t i = 0; place_.bias && i < rows * out.channels * pixels; ++i)
        place_.biasGradient[i / pixels % out.channels] += place_.outGradient[i];
      if (place_.inGradient) std::fill_n(place_.inGradient, rows * in.channels * in.height * in.width, 0.0F);
      meet(rows, [&](std::size_t at, std::size_t weight, std::size_t gradient) {
        place_.weightGradient[weight] += place_.in[at] * place_.outGradient[gradient];
        if (place_.inGradient) place_.inGradient[at] += place_.weight[weight] * place_.outGradient[gradient];
      });
    });
  }

 private:
  template <typename Body>
  void meet(std::size_t rows, const Body& body) const {
    const NlshShape &in = layer_.in, &out = layer_.out;
    const std::size_t kernel = layer_.kernel;
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t o = 0; o < out.channels; ++o)
        for (std::size_t y = 0; y < out.height; ++y)
          for (std::size_t x = 0; x < out.width; ++x)
            for (std::size_t i = 0; i < in.channels; ++i)
              for (std::size_t ky = 0; ky < kernel; ++ky)
                for (std::size_t kx = 0; kx < kernel; ++kx) {
                  const std::size_t line = y * layer_.stride + ky, column = x * layer_.stride + kx;
                  if (line < layer_.padding || line - layer_.padding >= in.height) continue;
                  if (column < layer_.padding || column - layer_.padding >= in.width) continue;
                  body(((row * in.channels + i) * in.height + line - layer_.padding) * in.width + column -
                           layer_.padding,
                       ((o * in.channels + i) * kernel + ky) * kernel + kx,
                       ((row * out.channels + o) * out.height + y) * out.width + x);
                }
  }

  cudaStream_t stream_;
  NlshLayer layer_;
  Place place_;
};

}  // namespace

std::unique_ptr<Product> findProduct(const Multiplier&, const ProductPlan& plan) {
  const char* const products = std::getenv("EMULATED_PRODUCTS");
  if (plan.along != Along::nothing && products && std::strcmp(products, "plain") == 0) return nullptr;
  return std::make_unique<LoopProduct>(plan);
}

class Dnn {};
std::shared_ptr<const Dnn> makeDnn(const Stream&) {
  return std::make_shared<const Dnn>();
}
std::unique_ptr<Layer> makeConvolution(const LayerContext& context, const NlshLayer& layer,
                                       const Place& place) {
  return std::make_unique<LoopConvolution>(context, layer, place);
}

namespace {

constexpr NlshCudaTable table{.version = NLSH_CUDA_VERSION,
                              .versions =
                                  [](NlshVersions* versions, NlshFailure*) {
                                    *versions = {13000, 13000, 130002, 91300};
                                    return std::int32_t{NLSH_OK};
                                  },
                              .count_devices =
                                  [](std::int32_t* count, NlshFailure*) {
                                    *count = 1;
                                    return std::int32_t{NLSH_OK};
                                  },
                              .describe_device =
                                  [](std::int32_t, NlshDevice* device, NlshFailure*) {
                                    *device = {"Emulated GPU", 9, 0, 1, 1, 1};
                                    return std::int32_t{NLSH_OK};
                                  },
                              .find_neighbors = nullptr,
                              .open_index = nullptr,
                              .search = nullptr,
                              .index_bytes = nullptr,
                              .close_index = nullptr,
                              .open_training = openTraining,
                              .optimizer_slots = optimizerSlots,
                              .train_batches = trainBatches,
                              .score_rows = scoreRows,
                              .logits_of = logitsOf,
                              .get_training_state = getTrainingState,
                              .set_training_state = setTrainingState,
                              .close_training = closeTraining};

}  // namespace
}  // namespace neural_lsh::cuda

extern "C" __attribute__((visibility("default"))) const NlshCudaTable* neural_lsh_cuda(
    std::uint32_t version) {
  return version == NLSH_CUDA_VERSION ? &neural_lsh::cuda::table : nullptr;
}
