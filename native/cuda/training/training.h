// Training on the device, as interface.h offers it: what a mini-batch goes through, from the vectors to the
// step of the optimizer. Nothing is waited for between batches; their sums are read once a call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "../device.h"
#include "../interface.h"
#include "../watch.h"
#include "kernels.h"
#include "network.h"
#include "products.h"
#include "recording.h"
#include "softmax.h"

namespace neural_lsh::cuda {

class Training {
 public:
  static std::unique_ptr<Training> open(const NlshTrainingRequest& request);
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  NlshScore train(const NlshBatches& batches, const Watch& watch);
  NlshScore score(std::span<const std::int32_t> rows, const Watch& watch);
  void logitsOf(std::span<const std::int32_t> rows, float* logits, const Watch& watch);

  std::size_t slots() const { return slots_; }
  void readState(NlshTrainingState& state);
  void writeState(const NlshTrainingState& state);

 private:
  explicit Training(const NlshTrainingRequest& request);

  /// How the steps of a number of rows are done: the first one kernel by kernel, so that all is loaded and
  /// allocated; the next is recorded.
  struct Steps {
    bool wasDone = false;
    std::unique_ptr<Recording> recording;
  };

  void bringSet(const NlshTrainingRequest& request);
  Batch batchOf(std::size_t firstRow, double learningRate, std::uint64_t seed);
  void upload(std::span<const std::int32_t> rows, std::span<const Batch> batches);
  /// Makes batch number `batch` of those uploaded the one at work.
  void begin(std::size_t batch, std::span<const std::int32_t> rows);
  void step(std::size_t rows);
  bool record(Steps& steps, std::size_t rows);
  void runStep(std::size_t rows);
  void judgeRows(std::size_t rows, bool withNeighbors);
  /// body(number of the first row, rows), each after its pass through the network in use.
  template <typename Body>
  void forPasses(std::span<const std::int32_t> rows, const Watch& watch, const Body& body);
  void resetSums();
  NlshScore readSums(std::size_t rows);
  RowsAtWork atWork(std::size_t rows) const { return {rowNumbers_.data(), batch_.data(), rows}; }
  void gather(std::size_t rows, double noise);
  void read(const float* there, const PaddedLayout& layout, float* flat) const;
  void write(float* there, const PaddedLayout& layout, const float* flat);

  int device_;
  NlshOptimizer optimizer_;
  std::size_t slots_;
  std::uint64_t steps_ = 0;
  double momentumProduct_ = 1;  // of nadam
  NlshMatrix hostVectors_;
  std::size_t capacity_;  // rows that pass at once
  std::size_t probes_;
  double noise_;
  bool hasNeighbors_, recordsSteps_;

  Stream stream_;
  Multiplier multiplier_;
  Dnn dnn_;
  DeviceArray<Batch> batch_, batches_;
  Network network_;
  DeviceArray<float> slotValues_, inputMean_, inputScale_, vectors_, brought_, logProbabilities_, shares_;
  DeviceArray<double> classWeights_, losses_, squares_;
  DeviceArray<std::int32_t> labels_, neighbors_, targets_, rowNumbers_;
  DeviceArray<std::uint32_t> hits_, neighborsFound_;
  DeviceArray<Sums> sums_;
  InputRule input_{};
  DeviceSet set_{};
  Judgement judgement_{};
  std::unique_ptr<Softmax> logSoftmax_;  // of the logits, where the loss needs it

  struct Bringing {
    PinnedArray<float> memory;
    Event isOver;
  };
  std::array<Bringing, 2> bringings_;  // by turns
  std::size_t nextBringing_ = 0;
  PinnedArray<std::int32_t> pinnedRows_;
  PinnedArray<Batch> pinnedBatches_;
  PinnedArray<Sums> pinnedSums_;
  Event isUploaded_;
  std::map<std::size_t, Steps> recorded_;

  /// Waits until nothing uses the memory any more, before that goes.
  struct Finish {
    const Stream& stream;
    ~Finish() { static_cast<void>(cudaStreamSynchronize(stream)); }
  } finish_{stream_};
};

}  // namespace neural_lsh::cuda
