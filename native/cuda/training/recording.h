// Work that a device repeats by itself, without being told of each kernel again.
#pragma once

#include "../device.h"

namespace neural_lsh::cuda {

/// What `body` asks of the stream, which it must not wait for.
class Recording {
 public:
  template <typename Body>
  Recording(const Stream& stream, const Body& body) : stream_(stream) {
    // Only this thread's calls: others may allocate meanwhile.
    NLSH_CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      body();
    } catch (...) {
      static_cast<void>(cudaStreamEndCapture(stream_, &graph));
      static_cast<void>(cudaGetLastError());
      if (graph) static_cast<void>(cudaGraphDestroy(graph));
      throw;
    }
    NLSH_CHECK(cudaStreamEndCapture(stream_, &graph));
    const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    NLSH_CHECK(status);
  }
  ~Recording() { static_cast<void>(cudaGraphExecDestroy(graph_)); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  void repeat() const { NLSH_CHECK(cudaGraphLaunch(graph_, stream_)); }

 private:
  const Stream& stream_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace neural_lsh::cuda
