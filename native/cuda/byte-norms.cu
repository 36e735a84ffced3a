#include "byte-norms.h"
#include "lanes.h"
#include "launch.h"

namespace neural_lsh::cuda {
namespace {

template <typename Byte>
__global__ void squareBytesKernel(const Byte* rows, std::size_t count, std::size_t stride,
                                  std::int32_t* norms) {
  const Warp lanes;
  for (std::size_t row = firstTarget(); row < count; row += targetStep()) {
    std::int32_t squared = 0;
    for (std::size_t c = lanes.index(); c < stride; c += Warp::count) {
      const std::int32_t value = rows[row * stride + c];
      squared += value * value;
    }
    squared = lanes.sum(squared);
    if (lanes.index() == 0) norms[row] = squared;
  }
}

}  // namespace

template <typename Byte>
void squareBytes(const Byte* rows, std::size_t count, std::size_t stride, std::int32_t* norms,
                 const Stream& stream) {
  launch("squareBytes", squareBytesKernel<Byte>, blocksFor(count, warpsPerBlock), stream, rows, count, stride,
         norms);
}
template void squareBytes(const std::int8_t*, std::size_t, std::size_t, std::int32_t*, const Stream&);
template void squareBytes(const std::uint8_t*, std::size_t, std::size_t, std::int32_t*, const Stream&);

}  // namespace neural_lsh::cuda
