// cuDNN, for one stream, and what is told it of numbers.
#pragma once

#include <cudnn.h>

#include <cstddef>

#include "../device.h"
#include "../interface.h"
#include "kernels.h"
#include "numbers.h"

namespace neural_lsh::cuda {

/// For NLSH_CHECK.
void check(cudnnStatus_t status, const char* call);

class Dnn {
 public:
  explicit Dnn(const Stream& stream);
  ~Dnn() { static_cast<void>(cudnnDestroy(handle_)); }
  Dnn(const Dnn&) = delete;
  Dnn& operator=(const Dnn&) = delete;

  operator cudnnHandle_t() const { return handle_; }

 private:
  cudnnHandle_t handle_ = nullptr;
};

/// A descriptor of cuDNN's, made by `create` and given back to `destroy`.
template <typename Handle, cudnnStatus_t (*create)(Handle*), cudnnStatus_t (*destroy)(Handle)>
class Descriptor {
 public:
  Descriptor() { NLSH_CHECK(create(&handle_)); }
  ~Descriptor() { static_cast<void>(destroy(handle_)); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using Tensor = Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;

cudnnDataType_t dataTypeOf(NumberType type);

/// So many images of that shape: rows of `numbers`, which may lie further apart than they are long.
void describe(const Tensor& tensor, std::size_t rows, const NlshShape& shape, const Numbers& numbers);

/// What results are multiplied with, and what is there already.
inline constexpr float one = 1, zero = 0;

/// Numbers that cuDNN writes in one type on their way to where they may be wanted in another, or not at all.
class Detour {
 public:
  /// `to` may have no memory, but it has a stride.
  Detour(const Numbers& to, NumberType written, std::size_t maxRows);

  /// Where to write.
  const Numbers& numbers() const { return written_; }
  void finish(std::size_t rows, const Stream& stream) const;

 private:
  Numbers to_, written_;
  DeviceArray<std::byte> memory_;
};

}  // namespace neural_lsh::cuda
