#include "cudnn.h"

#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "../../../../native/cuda/rounding.h"
#include "../../../../native/cuda/training/numbers.h"
#include "../../../../native/cuda/training/random.h"

struct cudnnDropoutState {
  std::uint64_t seed, next;
};

namespace {

using neural_lsh::cuda::Numbers;
using neural_lsh::cuda::NumberType;
using TensorShape = cudnnTensorStruct;

Numbers numbersAt(const void* data, cudnnDataType_t type, std::size_t stride) {
  return {const_cast<void*>(data), type == CUDNN_DATA_FLOAT ? NumberType::float32 : NumberType::bfloat16,
          stride};
}

/// A tensor and its numbers.
struct Images {
  TensorShape shape;
  Numbers numbers;

  Images(const TensorShape* tensor, const void* data)
      : shape(*tensor), numbers(numbersAt(data, tensor->type, tensor->stride)) {}

  std::size_t pixels() const { return shape.height * shape.width; }
  std::size_t size() const { return shape.channels * pixels(); }
  std::size_t index(std::size_t row, std::size_t channel, std::size_t pixel) const {
    return row * shape.stride + channel * pixels() + pixel;
  }
  double at(std::size_t row, std::size_t channel, std::size_t pixel) const {
    return numbers.at(index(row, channel, pixel));
  }
  void put(std::size_t row, std::size_t channel, std::size_t pixel, double value) const {
    numbers.put(index(row, channel, pixel), static_cast<float>(value));
  }
  /// body(row, channel, pixel)
  template <typename Body>
  void forAll(const Body& body) const {
    for (std::size_t row = 0; row < shape.rows; ++row)
      for (std::size_t channel = 0; channel < shape.channels; ++channel)
        for (std::size_t pixel = 0; pixel < pixels(); ++pixel) body(row, channel, pixel);
  }
  template <typename Body>
  void forChannel(const Body& body) const {
    for (std::size_t row = 0; row < shape.rows; ++row)
      for (std::size_t pixel = 0; pixel < pixels(); ++pixel) body(row, pixel);
  }
};

bool areFloats(std::initializer_list<const TensorShape*> tensors) {
  for (const TensorShape* tensor : tensors)
    if (tensor->type != CUDNN_DATA_FLOAT) return false;
  return true;
}

bool isPlain(const void* alpha, const void* beta) {
  return *static_cast<const float*>(alpha) == 1 && *static_cast<const float*>(beta) == 0;
}

template <typename Work>
cudnnStatus_t ask(cudnnHandle_t handle, bool isValid, const Work& work) {
  if (!isValid) return CUDNN_STATUS_BAD_PARAM;
  if (handle->stream->recording && std::getenv("EMULATED_RECORDING")) return CUDNN_STATUS_NOT_SUPPORTED;
  handle->stream->ask(work);
  return CUDNN_STATUS_SUCCESS;
}

// --------------------------------------------------------------------------------------------- convolutions

constexpr std::size_t workspaceBytes = 64;

template <typename Offer>
cudnnStatus_t offer(cudnnConvolutionDescriptor_t how, int asked, int* found, Offer* offers) {
  if (asked < 2) return CUDNN_STATUS_BAD_PARAM;
  using Algorithm = decltype(offers->algo);
  const cudnnMathType_t math = how->math == CUDNN_FMA_MATH ? CUDNN_DEFAULT_MATH : how->math;
  offers[0] = {Algorithm{0}, CUDNN_STATUS_SUCCESS, workspaceBytes, CUDNN_NON_DETERMINISTIC, math};
  offers[1] = {Algorithm{1}, CUDNN_STATUS_SUCCESS, workspaceBytes, CUDNN_DETERMINISTIC, math};
  *found = 2;
  return CUDNN_STATUS_SUCCESS;
}

struct Convolution {
  TensorShape in, out;
  cudnnFilterStruct filter;
  cudnnConvolutionStruct how;

  bool isValid(std::size_t bytes) const {
    const bool isShort = in.type == CUDNN_DATA_BFLOAT16;
    return in.type == out.type && in.type == filter.type && filter.in == in.channels &&
           filter.out == out.channels && bytes >= workspaceBytes &&
           (!isShort || how.math == CUDNN_TENSOR_OP_MATH);
  }
  double product(double one, double other) const {
    if (in.type != CUDNN_DATA_FLOAT || how.math == CUDNN_FMA_MATH) return one * other;
    const auto rounded = [](double value) {
      return neural_lsh::cuda::toTensorFloat32(static_cast<float>(value));
    };
    return static_cast<double>(rounded(one)) * rounded(other);
  }
  std::size_t weights() const { return filter.out * filter.in * filter.side * filter.side; }

  /// Of x, of w and of y what is multiplied and added: body(row, channelIn, pixelIn, weight, channelOut,
  /// pixelOut).
  template <typename Body>
  void meet(const Body& body) const {
    for (std::size_t row = 0; row < in.rows; ++row)
      for (std::size_t o = 0; o < out.channels; ++o)
        for (std::size_t y = 0; y < out.height; ++y)
          for (std::size_t x = 0; x < out.width; ++x)
            for (std::size_t i = 0; i < in.channels; ++i)
              for (std::size_t ky = 0; ky < filter.side; ++ky)
                for (std::size_t kx = 0; kx < filter.side; ++kx) {
                  const std::size_t line = y * how.stride + ky, column = x * how.stride + kx;
                  if (line < how.padding || line - how.padding >= in.height) continue;
                  if (column < how.padding || column - how.padding >= in.width) continue;
                  body(row, i, (line - how.padding) * in.width + column - how.padding,
                       ((o * in.channels + i) * filter.side + ky) * filter.side + kx, o, y * out.width + x);
                }
  }
};

/// The size of a double for each number of an image, to be summed up in.
std::vector<double> sumsFor(const Images& images) {
  return std::vector<double>(images.shape.rows * images.shape.stride);
}

/// What an algorithm that does not repeat itself comes to.
double disturbed(double value, int algorithm) {
  static std::random_device device;
  return algorithm == 0 ? value * (1 + 1e-6 * (device() % 1000) / 1000) : value;
}

// -------------------------------------------------------------------------------------------------- pooling

/// body(pixelIn, pixelOut) for each pixel of each window of a plane.
template <typename Body>
void forWindows(const cudnnPoolingStruct& how, const TensorShape& in, const TensorShape& out,
                const Body& body) {
  for (std::size_t y = 0; y < out.height; ++y)
    for (std::size_t x = 0; x < out.width; ++x)
      for (std::size_t ky = 0; ky < how.side; ++ky)
        for (std::size_t kx = 0; kx < how.side; ++kx) {
          const std::size_t line = y * how.stride + ky, column = x * how.stride + kx;
          if (line < how.padding || line - how.padding >= in.height) continue;
          if (column < how.padding || column - how.padding >= in.width) continue;
          body((line - how.padding) * in.width + column - how.padding, y * out.width + x);
        }
}

bool fits(const cudnnPoolingStruct& how, const TensorShape& in, const TensorShape& out) {
  const auto windows = [&](std::size_t side) { return (side + 2 * how.padding - how.side) / how.stride + 1; };
  return areFloats({&in, &out}) && out.height == windows(in.height) && out.width == windows(in.width) &&
         in.rows == out.rows && in.channels == out.channels;
}

/// Of each window of a plane, the pixel with the largest number.
std::vector<std::size_t> winnersOf(const cudnnPoolingStruct& how, const Images& in, const TensorShape& out,
                                   std::size_t row, std::size_t channel) {
  constexpr auto nobody = ~std::size_t{0};
  std::vector<std::size_t> winners(out.height * out.width, nobody);
  forWindows(how, in.shape, out, [&](std::size_t pixel, std::size_t window) {
    std::size_t& winner = winners[window];
    const double value = in.at(row, channel, pixel);
    if (winner == nobody || value > in.at(row, channel, winner) || value != value) winner = pixel;
  });
  return winners;
}

/// Of a dropout of so many numbers, a byte each.
std::size_t numbersOf(const TensorShape& tensor) {
  return tensor.rows * tensor.channels * tensor.height * tensor.width;
}

}  // namespace

const char* cudnnGetErrorString(cudnnStatus_t) {
  return "what was asked for makes no sense";
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return emulatedCreate(handle);
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  return emulatedDestroy(handle);
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t tensor, cudnnDataType_t type, int rows,
                                           int channels, int height, int width, int rowStride,
                                           int channelStride, int lineStride, int pixelStride) {
  if (pixelStride != 1 || lineStride != width || channelStride != height * width ||
      rowStride < channels * channelStride)
    return CUDNN_STATUS_NOT_SUPPORTED;
  const auto size = [](int value) { return static_cast<std::size_t>(value); };
  *tensor = {type, size(rows), size(channels), size(height), size(width), size(rowStride)};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type,
                                         cudnnTensorFormat_t, int out, int in, int height, int width) {
  if (height != width) return CUDNN_STATUS_NOT_SUPPORTED;
  *filter = {type, static_cast<std::size_t>(out), static_cast<std::size_t>(in),
             static_cast<std::size_t>(height)};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convolution, int padY, int padX,
                                              int strideY, int strideX, int, int, cudnnConvolutionMode_t,
                                              cudnnDataType_t compute) {
  if (padY != padX || strideY != strideX || compute != CUDNN_DATA_FLOAT) return CUDNN_STATUS_NOT_SUPPORTED;
  convolution->padding = static_cast<std::size_t>(padY);
  convolution->stride = static_cast<std::size_t>(strideY);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convolution, cudnnMathType_t math) {
  convolution->math = math;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t pooling, cudnnPoolingMode_t mode,
                                          cudnnNanPropagation_t, int height, int width, int padY, int padX,
                                          int strideY, int strideX) {
  if (height != width || padY != padX || strideY != strideX) return CUDNN_STATUS_NOT_SUPPORTED;
  *pooling = {mode, static_cast<std::size_t>(height), static_cast<std::size_t>(padY),
              static_cast<std::size_t>(strideY)};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t,
                                                     cudnnFilterDescriptor_t,
                                                     cudnnConvolutionDescriptor_t how,
                                                     cudnnTensorDescriptor_t, int asked, int* found,
                                                     cudnnConvolutionFwdAlgoPerf_t* offers) {
  return offer(how, asked, found, offers);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t,
                                                            cudnnTensorDescriptor_t,
                                                            cudnnConvolutionDescriptor_t how,
                                                            cudnnFilterDescriptor_t, int asked, int* found,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t* offers) {
  return offer(how, asked, found, offers);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, cudnnFilterDescriptor_t,
                                                          cudnnTensorDescriptor_t,
                                                          cudnnConvolutionDescriptor_t how,
                                                          cudnnTensorDescriptor_t, int asked, int* found,
                                                          cudnnConvolutionBwdDataAlgoPerf_t* offers) {
  return offer(how, asked, found, offers);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      cudnnTensorDescriptor_t xTensor, const void* x,
                                      cudnnFilterDescriptor_t filter, const void* w,
                                      cudnnConvolutionDescriptor_t how, cudnnConvolutionFwdAlgo_t algorithm,
                                      void*, std::size_t bytes, const void* beta,
                                      cudnnTensorDescriptor_t yTensor, void* y) {
  const Convolution convolution{*xTensor, *yTensor, *filter, *how};
  const Images in(xTensor, x), out(yTensor, y);
  const Numbers weights = numbersAt(w, filter->type, 0);
  return ask(handle, convolution.isValid(bytes) && isPlain(alpha, beta), [=] {
    std::vector<double> sums = sumsFor(out);
    convolution.meet([&](auto row, auto i, auto from, auto weight, auto o, auto to) {
      sums[out.index(row, o, to)] += convolution.product(in.at(row, i, from), weights.at(weight));
    });
    out.forAll([&](auto row, auto channel, auto pixel) {
      out.put(row, channel, pixel, disturbed(sums[out.index(row, channel, pixel)], algorithm));
    });
  });
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha,
                                             cudnnTensorDescriptor_t xTensor, const void* x,
                                             cudnnTensorDescriptor_t yTensor, const void* dy,
                                             cudnnConvolutionDescriptor_t how,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void*,
                                             std::size_t bytes, const void* beta,
                                             cudnnFilterDescriptor_t filter, void* dw) {
  const Convolution convolution{*xTensor, *yTensor, *filter, *how};
  const Images in(xTensor, x), gradient(yTensor, dy);
  const Numbers weights = numbersAt(dw, filter->type, 0);
  return ask(handle, convolution.isValid(bytes) && isPlain(alpha, beta), [=] {
    std::vector<double> sums(convolution.weights());
    convolution.meet([&](auto row, auto i, auto from, auto weight, auto o, auto to) {
      sums[weight] += convolution.product(in.at(row, i, from), gradient.at(row, o, to));
    });
    for (std::size_t i = 0; i < sums.size(); ++i)
      weights.put(i, static_cast<float>(disturbed(sums[i], algorithm)));
  });
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           cudnnFilterDescriptor_t filter, const void* w,
                                           cudnnTensorDescriptor_t yTensor, const void* dy,
                                           cudnnConvolutionDescriptor_t how,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void*, std::size_t bytes,
                                           const void* beta, cudnnTensorDescriptor_t xTensor, void* dx) {
  const Convolution convolution{*xTensor, *yTensor, *filter, *how};
  const Images in(xTensor, dx), gradient(yTensor, dy);
  const Numbers weights = numbersAt(w, filter->type, 0);
  return ask(handle, convolution.isValid(bytes) && isPlain(alpha, beta), [=] {
    std::vector<double> sums = sumsFor(in);
    convolution.meet([&](auto row, auto i, auto from, auto weight, auto o, auto to) {
      sums[in.index(row, i, from)] += convolution.product(gradient.at(row, o, to), weights.at(weight));
    });
    in.forAll([&](auto row, auto channel, auto pixel) {
      in.put(row, channel, pixel, disturbed(sums[in.index(row, channel, pixel)], algorithm));
    });
  });
}
cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void* alpha,
                                           cudnnTensorDescriptor_t yTensor, const void* dy, const void* beta,
                                           cudnnTensorDescriptor_t biasTensor, void* db) {
  const Images gradient(yTensor, dy), bias(biasTensor, db);
  const bool isValid = biasTensor->type == yTensor->type && biasTensor->channels == yTensor->channels;
  return ask(handle, isValid && isPlain(alpha, beta), [=] {
    for (std::size_t channel = 0; channel < gradient.shape.channels; ++channel) {
      double sum = 0;
      gradient.forChannel([&](auto row, auto pixel) { sum += gradient.at(row, channel, pixel); });
      bias.put(0, channel, 0, sum);
    }
  });
}
/// Of a bias, to what is there.
cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t aTensor,
                             const void* a, const void* beta, cudnnTensorDescriptor_t cTensor, void* c) {
  const Images bias(aTensor, a), images(cTensor, c);
  const bool adds = *static_cast<const float*>(alpha) == 1 && *static_cast<const float*>(beta) == 1;
  return ask(handle, adds && aTensor->type == cTensor->type && aTensor->channels == cTensor->channels, [=] {
    images.forAll([&](auto row, auto channel, auto pixel) {
      images.put(row, channel, pixel, images.at(row, channel, pixel) + bias.at(0, channel, 0));
    });
  });
}

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, cudnnPoolingDescriptor_t how, const void* alpha,
                                  cudnnTensorDescriptor_t xTensor, const void* x, const void* beta,
                                  cudnnTensorDescriptor_t yTensor, void* y) {
  const Images in(xTensor, x), out(yTensor, y);
  return ask(handle, fits(*how, *xTensor, *yTensor) && isPlain(alpha, beta), [=, pooling = *how] {
    const auto share = 1.0 / static_cast<double>(pooling.side * pooling.side);
    for (std::size_t row = 0; row < in.shape.rows; ++row) {
      for (std::size_t channel = 0; channel < in.shape.channels; ++channel) {
        std::vector<double> found(out.pixels());
        if (pooling.mode == CUDNN_POOLING_MAX_DETERMINISTIC) {
          const std::vector<std::size_t> winners = winnersOf(pooling, in, out.shape, row, channel);
          for (std::size_t i = 0; i < found.size(); ++i) found[i] = in.at(row, channel, winners[i]);
        } else {
          forWindows(pooling, in.shape, out.shape, [&](std::size_t pixel, std::size_t window) {
            found[window] += share * in.at(row, channel, pixel);
          });
        }
        for (std::size_t i = 0; i < found.size(); ++i) out.put(row, channel, i, found[i]);
      }
    }
  });
}
cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, cudnnPoolingDescriptor_t how, const void* alpha,
                                   cudnnTensorDescriptor_t yTensor, const void* y,
                                   cudnnTensorDescriptor_t dyTensor, const void* dy,
                                   cudnnTensorDescriptor_t xTensor, const void* x, const void* beta,
                                   cudnnTensorDescriptor_t dxTensor, void* dx) {
  const Images in(xTensor, x), out(yTensor, y), behind(dyTensor, dy), front(dxTensor, dx);
  return ask(handle, fits(*how, *xTensor, *yTensor) && isPlain(alpha, beta), [=, pooling = *how] {
    const auto share = 1.0 / static_cast<double>(pooling.side * pooling.side);
    for (std::size_t row = 0; row < in.shape.rows; ++row) {
      for (std::size_t channel = 0; channel < in.shape.channels; ++channel) {
        std::vector<double> sums(in.pixels());
        if (pooling.mode == CUDNN_POOLING_MAX_DETERMINISTIC) {
          const std::vector<std::size_t> winners = winnersOf(pooling, in, out.shape, row, channel);
          for (std::size_t i = 0; i < winners.size(); ++i) {
            if (out.at(row, channel, i) == in.at(row, channel, winners[i]))
              sums[winners[i]] += behind.at(row, channel, i);
          }
        } else {
          forWindows(pooling, in.shape, out.shape, [&](std::size_t pixel, std::size_t window) {
            sums[pixel] += share * behind.at(row, channel, window);
          });
        }
        for (std::size_t i = 0; i < sums.size(); ++i) front.put(row, channel, i, sums[i]);
      }
    }
  });
}

namespace {

constexpr std::size_t mostRows = 65535;

bool canNormalize(cudnnBatchNormMode_t mode, const TensorShape& x, const TensorShape& channels,
                  double epsilon) {
  const bool isFlat = x.height * x.width == 1;
  return areFloats({&x, &channels}) && channels.channels == x.channels && x.rows <= mostRows &&
         epsilon >= 0 && (isFlat || mode == CUDNN_BATCHNORM_SPATIAL);
}

}  // namespace

cudnnStatus_t cudnnBatchNormalizationForwardTraining(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alpha, const void* beta,
    cudnnTensorDescriptor_t xTensor, const void* x, cudnnTensorDescriptor_t yTensor, void* y,
    cudnnTensorDescriptor_t channels, const void* weight, const void* bias, double momentum,
    void* runningMean, void* runningVariance, double epsilon, void* mean, void* inverseDeviation) {
  const Images in(xTensor, x), out(yTensor, y), weights(channels, weight), biases(channels, bias),
      means(channels, runningMean), variances(channels, runningVariance), kept(channels, mean),
      inverses(channels, inverseDeviation);
  return ask(handle, canNormalize(mode, *xTensor, *channels, epsilon) && isPlain(alpha, beta), [=] {
    const auto count = static_cast<double>(in.shape.rows * in.pixels());
    const auto update = [&](const Images& running, std::size_t c, double value) {
      running.put(0, c, 0, (1 - momentum) * running.at(0, c, 0) + momentum * value);
    };
    for (std::size_t c = 0; c < in.shape.channels; ++c) {
      double sum = 0, squares = 0;
      in.forChannel([&](auto row, auto pixel) { sum += in.at(row, c, pixel); });
      const double center = sum / count;
      in.forChannel([&](auto row, auto pixel) { squares += std::pow(in.at(row, c, pixel) - center, 2); });
      const double inverse = 1 / std::sqrt(squares / count + epsilon);
      update(means, c, center);
      update(variances, c, squares / (count - 1));
      kept.put(0, c, 0, center);
      inverses.put(0, c, 0, inverse);
      in.forChannel([&](auto row, auto pixel) {
        const double normal = (in.at(row, c, pixel) - center) * inverse;
        out.put(row, c, pixel, normal * weights.at(0, c, 0) + biases.at(0, c, 0));
      });
    }
  });
}
cudnnStatus_t cudnnBatchNormalizationForwardInference(cudnnHandle_t handle, cudnnBatchNormMode_t mode,
                                                      const void* alpha, const void* beta,
                                                      cudnnTensorDescriptor_t xTensor, const void* x,
                                                      cudnnTensorDescriptor_t yTensor, void* y,
                                                      cudnnTensorDescriptor_t channels, const void* weight,
                                                      const void* bias, const void* runningMean,
                                                      const void* runningVariance, double epsilon) {
  const Images in(xTensor, x), out(yTensor, y), weights(channels, weight), biases(channels, bias),
      means(channels, runningMean), variances(channels, runningVariance);
  return ask(handle, canNormalize(mode, *xTensor, *channels, epsilon) && isPlain(alpha, beta), [=] {
    in.forAll([&](auto row, auto c, auto pixel) {
      const double normal =
          (in.at(row, c, pixel) - means.at(0, c, 0)) / std::sqrt(variances.at(0, c, 0) + epsilon);
      out.put(row, c, pixel, normal * weights.at(0, c, 0) + biases.at(0, c, 0));
    });
  });
}
cudnnStatus_t cudnnBatchNormalizationBackward(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alphaData, const void* betaData,
    const void* alphaParameters, const void* betaParameters, cudnnTensorDescriptor_t xTensor, const void* x,
    cudnnTensorDescriptor_t dyTensor, const void* dy, cudnnTensorDescriptor_t dxTensor, void* dx,
    cudnnTensorDescriptor_t channels, const void* weight, void* dWeight, void* dBias, double epsilon,
    const void* mean, const void* inverseDeviation) {
  const Images in(xTensor, x), behind(dyTensor, dy), front(dxTensor, dx), weights(channels, weight),
      weightGradients(channels, dWeight), biasGradients(channels, dBias), means(channels, mean),
      inverses(channels, inverseDeviation);
  const bool isValid = canNormalize(mode, *xTensor, *channels, epsilon) && dx != nullptr &&
                       isPlain(alphaData, betaData) && isPlain(alphaParameters, betaParameters);
  return ask(handle, isValid, [=] {
    const auto count = static_cast<double>(in.shape.rows * in.pixels());
    for (std::size_t c = 0; c < in.shape.channels; ++c) {
      const double center = means.at(0, c, 0), inverse = inverses.at(0, c, 0);
      const auto normal = [&](auto row, auto pixel) { return (in.at(row, c, pixel) - center) * inverse; };
      double gradients = 0, products = 0;
      in.forChannel([&](auto row, auto pixel) {
        gradients += behind.at(row, c, pixel);
        products += behind.at(row, c, pixel) * normal(row, pixel);
      });
      weightGradients.put(0, c, 0, products);
      biasGradients.put(0, c, 0, gradients);
      in.forChannel([&](auto row, auto pixel) {
        const double rest = (gradients + normal(row, pixel) * products) / count;
        front.put(row, c, pixel, weights.at(0, c, 0) * inverse * (behind.at(row, c, pixel) - rest));
      });
    }
  });
}

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t,
                                  const void* alpha, cudnnTensorDescriptor_t xTensor, const void* x,
                                  const void* beta, cudnnTensorDescriptor_t yTensor, void* y) {
  const Images in(xTensor, x), out(yTensor, y);
  return ask(handle, areFloats({xTensor, yTensor}) && isPlain(alpha, beta), [=] {
    for (std::size_t row = 0; row < in.shape.rows; ++row) {
      const auto value = [&](std::size_t i) { return in.at(row, 0, i); };
      double largest = value(0), sum = 0;
      for (std::size_t i = 1; i < in.size(); ++i) largest = std::fmax(largest, value(i));
      for (std::size_t i = 0; i < in.size(); ++i) sum += std::exp(value(i) - largest);
      for (std::size_t i = 0; i < in.size(); ++i) {
        const double logarithm = value(i) - largest - std::log(sum);
        out.put(row, 0, i, algorithm == CUDNN_SOFTMAX_LOG ? logarithm : std::exp(logarithm));
      }
    }
  });
}
cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm,
                                   cudnnSoftmaxMode_t, const void* alpha, cudnnTensorDescriptor_t yTensor,
                                   const void* y, cudnnTensorDescriptor_t dyTensor, const void* dy,
                                   const void* beta, cudnnTensorDescriptor_t dxTensor, void* dx) {
  const Images out(yTensor, y), behind(dyTensor, dy), front(dxTensor, dx);
  const bool isValid = areFloats({yTensor, dyTensor, dxTensor}) && algorithm == CUDNN_SOFTMAX_ACCURATE;
  return ask(handle, isValid && isPlain(alpha, beta), [=] {
    for (std::size_t row = 0; row < out.shape.rows; ++row) {
      double mean = 0;
      for (std::size_t i = 0; i < out.size(); ++i) mean += out.at(row, 0, i) * behind.at(row, 0, i);
      for (std::size_t i = 0; i < out.size(); ++i)
        front.put(row, 0, i, out.at(row, 0, i) * (behind.at(row, 0, i) - mean));
    }
  });
}

cudnnStatus_t cudnnDropoutGetStatesSize(cudnnHandle_t, std::size_t* bytes) {
  *bytes = sizeof(cudnnDropoutState);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDropoutGetReserveSpaceSize(cudnnTensorDescriptor_t x, std::size_t* bytes) {
  *bytes = numbersOf(*x);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetDropoutDescriptor(cudnnDropoutDescriptor_t dropout, cudnnHandle_t handle, float rate,
                                        void* states, std::size_t bytes, unsigned long long seed) {
  *dropout = {rate, static_cast<cudnnDropoutState*>(states)};
  return ask(handle, bytes >= sizeof(cudnnDropoutState),
             [state = dropout->state, seed] { *state = {seed, 0}; });
}
cudnnStatus_t cudnnDropoutForward(cudnnHandle_t handle, cudnnDropoutDescriptor_t dropout,
                                  cudnnTensorDescriptor_t xTensor, const void* x,
                                  cudnnTensorDescriptor_t yTensor, void* y, void* reserve,
                                  std::size_t bytes) {
  const Images in(xTensor, x), out(yTensor, y);
  const bool isValid = areFloats({xTensor, yTensor}) && bytes >= numbersOf(*xTensor);
  return ask(handle, isValid, [=, how = *dropout, mask = static_cast<bool*>(reserve)] {
    bool* at = mask;
    in.forAll([&](auto row, auto channel, auto pixel) {
      *at = neural_lsh::cuda::uniformOf(how.state->seed, how.state->next++) >= static_cast<double>(how.rate);
      out.put(row, channel, pixel, *at++ ? in.at(row, channel, pixel) / (1 - how.rate) : 0);
    });
  });
}
cudnnStatus_t cudnnDropoutBackward(cudnnHandle_t handle, cudnnDropoutDescriptor_t dropout,
                                   cudnnTensorDescriptor_t dyTensor, const void* dy,
                                   cudnnTensorDescriptor_t dxTensor, void* dx, void* reserve,
                                   std::size_t bytes) {
  const Images behind(dyTensor, dy), front(dxTensor, dx);
  const bool isValid = areFloats({dyTensor, dxTensor}) && bytes >= numbersOf(*dyTensor);
  return ask(handle, isValid, [=, rate = dropout->rate, mask = static_cast<const bool*>(reserve)] {
    const bool* at = mask;
    behind.forAll([&](auto row, auto channel, auto pixel) {
      front.put(row, channel, pixel, *at++ ? behind.at(row, channel, pixel) / (1 - rate) : 0);
    });
  });
}
