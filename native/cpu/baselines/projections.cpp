#include "projections.h"

#include <algorithm>
#include <atomic>

#include "../../core/aligned-buffer.h"
#include "../chunks.h"
#include "../sgemm.h"

namespace neural_lsh::cpu {

void forEachProjected(const Matrix& rows, std::span<const float> weights, std::span<const float> biases,
                      const Job& job, const std::function<void(std::size_t, std::span<const float>)>& visit) {
  constexpr std::size_t rowsAtOnce = 512;
  const std::size_t count = biases.size(), columns = rows.columns;
  std::atomic<std::size_t> done{0};
  forChunks(rows.rows, rowsAtOnce, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    thread_local AlignedBuffer<float> buffer;
    float* const numbers = buffer.require((end - begin) * count);
    for (std::size_t i = 0; i < end - begin; ++i) std::copy_n(biases.data(), count, numbers + i * count);
    gemm(end - begin, count, columns, {rows.row(begin), columns}, {weights.data(), columns, Transpose::yes},
         numbers, count, true, 1);
    for (std::size_t i = begin; i < end; ++i) visit(i, {numbers + (i - begin) * count, count});
    job.progress(done += end - begin, rows.rows);
  });
}

}  // namespace neural_lsh::cpu
