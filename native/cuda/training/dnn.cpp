#include "dnn.h"

#include <algorithm>
#include <string>

namespace neural_lsh::cuda {

void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  check(cudaGetLastError(), call);  // where the device is the cause
  const std::string name(call, std::find(call, call + std::char_traits<char>::length(call), '('));
  throw Failure(NLSH_FAILED, name + ": " + cudnnGetErrorString(status));
}

Dnn::Dnn(const Stream& stream) {
  NLSH_CHECK(cudnnCreate(&handle_));
  const cudnnStatus_t status = cudnnSetStream(handle_, stream);
  if (status != CUDNN_STATUS_SUCCESS) static_cast<void>(cudnnDestroy(handle_));
  NLSH_CHECK(status);
}

cudnnDataType_t dataTypeOf(NumberType type) {
  return type == NumberType::float32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

void describe(const Tensor& tensor, std::size_t rows, const NlshShape& shape, const Numbers& numbers) {
  const auto size = [](std::size_t value) { return static_cast<int>(value); };
  NLSH_CHECK(cudnnSetTensor4dDescriptorEx(tensor, dataTypeOf(numbers.type), size(rows), size(shape.channels),
                                          size(shape.height), size(shape.width), size(numbers.stride),
                                          size(shape.height * shape.width), size(shape.width), 1));
}

Detour::Detour(const Numbers& to, NumberType written, std::size_t maxRows)
    : to_(to),
      written_(to),
      memory_(to.data && to.type == written ? 0 : maxRows * to.stride * bytesOf(written)) {
  if (memory_.size() > 0) written_ = {memory_.data(), written, to.stride};
}

void Detour::finish(std::size_t rows, const Stream& stream) const {
  if (to_.data && to_.data != written_.data) convert(written_, rows * to_.stride, to_, stream);
}

}  // namespace neural_lsh::cuda
