// As much of cuDNN as the training uses, on the host: by definition, with sums in double precision, and what
// real ones demand of types and sizes. Of the ways to convolve the first is said not to repeat itself, and
// does not; all are offered with math that rounds factors. Where the environment variable EMULATED_RECORDING
// is set, none of it can be recorded.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda_runtime_api.h"

enum cudnnStatus_t { CUDNN_STATUS_SUCCESS, CUDNN_STATUS_BAD_PARAM, CUDNN_STATUS_NOT_SUPPORTED };
enum cudnnDataType_t { CUDNN_DATA_FLOAT, CUDNN_DATA_BFLOAT16 };
enum cudnnTensorFormat_t { CUDNN_TENSOR_NCHW };
enum cudnnMathType_t { CUDNN_DEFAULT_MATH, CUDNN_TENSOR_OP_MATH, CUDNN_FMA_MATH };
enum cudnnDeterminism_t { CUDNN_NON_DETERMINISTIC, CUDNN_DETERMINISTIC };
enum cudnnConvolutionMode_t { CUDNN_CROSS_CORRELATION };
enum cudnnNanPropagation_t { CUDNN_PROPAGATE_NAN };
enum cudnnPoolingMode_t { CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING, CUDNN_POOLING_MAX_DETERMINISTIC };
enum cudnnBatchNormMode_t { CUDNN_BATCHNORM_PER_ACTIVATION, CUDNN_BATCHNORM_SPATIAL };
enum cudnnSoftmaxAlgorithm_t { CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_LOG };
enum cudnnSoftmaxMode_t { CUDNN_SOFTMAX_MODE_INSTANCE };
enum {
  CUDNN_CONVOLUTION_FWD_ALGO_COUNT = 2,
  CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT = 2,
  CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT = 2
};

struct cudnnContext {
  cudaStream_t stream = nullptr;
};
struct cudnnTensorStruct {
  cudnnDataType_t type;
  std::size_t rows, channels, height, width, stride;
};
struct cudnnFilterStruct {
  cudnnDataType_t type;
  std::size_t out, in, side;
};
struct cudnnConvolutionStruct {
  std::size_t padding, stride;
  cudnnMathType_t math;
};
struct cudnnPoolingStruct {
  cudnnPoolingMode_t mode;
  std::size_t side, padding, stride;
};
struct cudnnDropoutStruct {
  float rate;
  struct cudnnDropoutState* state;
};
using cudnnHandle_t = cudnnContext*;
using cudnnTensorDescriptor_t = cudnnTensorStruct*;
using cudnnFilterDescriptor_t = cudnnFilterStruct*;
using cudnnConvolutionDescriptor_t = cudnnConvolutionStruct*;
using cudnnPoolingDescriptor_t = cudnnPoolingStruct*;
using cudnnDropoutDescriptor_t = cudnnDropoutStruct*;

enum cudnnConvolutionFwdAlgo_t : int {};
enum cudnnConvolutionBwdFilterAlgo_t : int {};
enum cudnnConvolutionBwdDataAlgo_t : int {};
template <typename Algorithm>
struct EmulatedOffer {
  Algorithm algo;
  cudnnStatus_t status;
  std::size_t memory;
  cudnnDeterminism_t determinism;
  cudnnMathType_t mathType;
};
using cudnnConvolutionFwdAlgoPerf_t = EmulatedOffer<cudnnConvolutionFwdAlgo_t>;
using cudnnConvolutionBwdFilterAlgoPerf_t = EmulatedOffer<cudnnConvolutionBwdFilterAlgo_t>;
using cudnnConvolutionBwdDataAlgoPerf_t = EmulatedOffer<cudnnConvolutionBwdDataAlgo_t>;

const char* cudnnGetErrorString(cudnnStatus_t status);
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle);
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle);
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream);

template <typename T>
cudnnStatus_t emulatedCreate(T** made) {
  *made = new T{};
  return CUDNN_STATUS_SUCCESS;
}
template <typename T>
cudnnStatus_t emulatedDestroy(T* made) {
  delete made;
  return CUDNN_STATUS_SUCCESS;
}
inline constexpr auto cudnnCreateTensorDescriptor = emulatedCreate<cudnnTensorStruct>;
inline constexpr auto cudnnDestroyTensorDescriptor = emulatedDestroy<cudnnTensorStruct>;
inline constexpr auto cudnnCreateFilterDescriptor = emulatedCreate<cudnnFilterStruct>;
inline constexpr auto cudnnDestroyFilterDescriptor = emulatedDestroy<cudnnFilterStruct>;
inline constexpr auto cudnnCreateConvolutionDescriptor = emulatedCreate<cudnnConvolutionStruct>;
inline constexpr auto cudnnDestroyConvolutionDescriptor = emulatedDestroy<cudnnConvolutionStruct>;
inline constexpr auto cudnnCreatePoolingDescriptor = emulatedCreate<cudnnPoolingStruct>;
inline constexpr auto cudnnDestroyPoolingDescriptor = emulatedDestroy<cudnnPoolingStruct>;
inline constexpr auto cudnnCreateDropoutDescriptor = emulatedCreate<cudnnDropoutStruct>;
inline constexpr auto cudnnDestroyDropoutDescriptor = emulatedDestroy<cudnnDropoutStruct>;

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t tensor, cudnnDataType_t type, int rows,
                                           int channels, int height, int width, int rowStride,
                                           int channelStride, int lineStride, int pixelStride);
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int out, int in, int height, int width);
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convolution, int padY, int padX,
                                              int strideY, int strideX, int dilationY, int dilationX,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute);
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convolution, cudnnMathType_t math);
cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t pooling, cudnnPoolingMode_t mode,
                                          cudnnNanPropagation_t nan, int height, int width, int padY,
                                          int padX, int strideY, int strideX);

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                     cudnnFilterDescriptor_t w,
                                                     cudnnConvolutionDescriptor_t how,
                                                     cudnnTensorDescriptor_t y, int asked, int* found,
                                                     cudnnConvolutionFwdAlgoPerf_t* offers);
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                            cudnnTensorDescriptor_t dy,
                                                            cudnnConvolutionDescriptor_t how,
                                                            cudnnFilterDescriptor_t dw, int asked, int* found,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t* offers);
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t handle, cudnnFilterDescriptor_t w,
                                                          cudnnTensorDescriptor_t dy,
                                                          cudnnConvolutionDescriptor_t how,
                                                          cudnnTensorDescriptor_t dx, int asked, int* found,
                                                          cudnnConvolutionBwdDataAlgoPerf_t* offers);
cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      cudnnTensorDescriptor_t xTensor, const void* x,
                                      cudnnFilterDescriptor_t filter, const void* w,
                                      cudnnConvolutionDescriptor_t how, cudnnConvolutionFwdAlgo_t algorithm,
                                      void* workspace, std::size_t bytes, const void* beta,
                                      cudnnTensorDescriptor_t yTensor, void* y);
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha,
                                             cudnnTensorDescriptor_t xTensor, const void* x,
                                             cudnnTensorDescriptor_t yTensor, const void* dy,
                                             cudnnConvolutionDescriptor_t how,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
                                             std::size_t bytes, const void* beta,
                                             cudnnFilterDescriptor_t filter, void* dw);
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           cudnnFilterDescriptor_t filter, const void* w,
                                           cudnnTensorDescriptor_t yTensor, const void* dy,
                                           cudnnConvolutionDescriptor_t how,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                           std::size_t bytes, const void* beta,
                                           cudnnTensorDescriptor_t xTensor, void* dx);
cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void* alpha,
                                           cudnnTensorDescriptor_t yTensor, const void* dy, const void* beta,
                                           cudnnTensorDescriptor_t biasTensor, void* db);
cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t aTensor,
                             const void* a, const void* beta, cudnnTensorDescriptor_t cTensor, void* c);

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, cudnnPoolingDescriptor_t how, const void* alpha,
                                  cudnnTensorDescriptor_t xTensor, const void* x, const void* beta,
                                  cudnnTensorDescriptor_t yTensor, void* y);
cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, cudnnPoolingDescriptor_t how, const void* alpha,
                                   cudnnTensorDescriptor_t yTensor, const void* y,
                                   cudnnTensorDescriptor_t dyTensor, const void* dy,
                                   cudnnTensorDescriptor_t xTensor, const void* x, const void* beta,
                                   cudnnTensorDescriptor_t dxTensor, void* dx);

cudnnStatus_t cudnnBatchNormalizationForwardTraining(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alpha, const void* beta,
    cudnnTensorDescriptor_t xTensor, const void* x, cudnnTensorDescriptor_t yTensor, void* y,
    cudnnTensorDescriptor_t channels, const void* weight, const void* bias, double momentum,
    void* runningMean, void* runningVariance, double epsilon, void* mean, void* inverseDeviation);
cudnnStatus_t cudnnBatchNormalizationForwardInference(cudnnHandle_t handle, cudnnBatchNormMode_t mode,
                                                      const void* alpha, const void* beta,
                                                      cudnnTensorDescriptor_t xTensor, const void* x,
                                                      cudnnTensorDescriptor_t yTensor, void* y,
                                                      cudnnTensorDescriptor_t channels, const void* weight,
                                                      const void* bias, const void* runningMean,
                                                      const void* runningVariance, double epsilon);
cudnnStatus_t cudnnBatchNormalizationBackward(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alphaData, const void* betaData,
    const void* alphaParameters, const void* betaParameters, cudnnTensorDescriptor_t xTensor, const void* x,
    cudnnTensorDescriptor_t dyTensor, const void* dy, cudnnTensorDescriptor_t dxTensor, void* dx,
    cudnnTensorDescriptor_t channels, const void* weight, void* dWeight, void* dBias, double epsilon,
    const void* mean, const void* inverseDeviation);

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm,
                                  cudnnSoftmaxMode_t mode, const void* alpha, cudnnTensorDescriptor_t xTensor,
                                  const void* x, const void* beta, cudnnTensorDescriptor_t yTensor, void* y);
cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm,
                                   cudnnSoftmaxMode_t mode, const void* alpha,
                                   cudnnTensorDescriptor_t yTensor, const void* y,
                                   cudnnTensorDescriptor_t dyTensor, const void* dy, const void* beta,
                                   cudnnTensorDescriptor_t dxTensor, void* dx);

cudnnStatus_t cudnnDropoutGetStatesSize(cudnnHandle_t handle, std::size_t* bytes);
cudnnStatus_t cudnnDropoutGetReserveSpaceSize(cudnnTensorDescriptor_t x, std::size_t* bytes);
cudnnStatus_t cudnnSetDropoutDescriptor(cudnnDropoutDescriptor_t dropout, cudnnHandle_t handle, float rate,
                                        void* states, std::size_t bytes, unsigned long long seed);
cudnnStatus_t cudnnDropoutForward(cudnnHandle_t handle, cudnnDropoutDescriptor_t dropout,
                                  cudnnTensorDescriptor_t xTensor, const void* x,
                                  cudnnTensorDescriptor_t yTensor, void* y, void* reserve, std::size_t bytes);
cudnnStatus_t cudnnDropoutBackward(cudnnHandle_t handle, cudnnDropoutDescriptor_t dropout,
                                   cudnnTensorDescriptor_t dyTensor, const void* dy,
                                   cudnnTensorDescriptor_t dxTensor, void* dx, void* reserve,
                                   std::size_t bytes);
