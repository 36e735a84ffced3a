#include "training.h"

#include <algorithm>
#include <cstring>

#include "../staging.h"

namespace neural_lsh::cuda {
namespace {

/// Rows that pass at once where nothing is learned, at least, as far as they are not too wide: small batches
/// need not make looking on slow.
constexpr std::size_t passRows = 2048, passNumbers = std::size_t{1} << 24;
/// What is uploaded together, at most.
constexpr std::size_t uploadRows = std::size_t{1} << 16, uploadBatches = 256;
/// Of the device's memory, left to what is allocated later.
constexpr std::size_t sparedBytes = std::size_t{1} << 30;

std::span<const NlshLayer> layersOf(const NlshTrainingRequest& request) {
  return {request.layer, request.layers};
}

template <typename T>
void bring(DeviceArray<T>& array, const T* from, std::size_t count, Staging& staging) {
  array.require(count);
  staging.copyRows(array.data(), sizeof(T), from, sizeof(T), count);
}

void checkRequest(const NlshTrainingRequest& request) {
  if (request.layers == 0) throw badArgument("layers", "must have at least one layer");
  const NlshShape &in = request.layer[0].in, &out = request.layer[request.layers - 1].out;
  if (in.channels * in.height * in.width != request.vectors.columns ||
      out.channels * out.height * out.width != request.bins)
    throw badArgument("network", "must lead from the dimensions to the bins");
  if (request.vectors.rows == 0 || request.batch_rows == 0)
    throw badArgument("batchSize", "must be at least 1, as must be the vectors");
  constexpr int firstWithBf16 = 8;  // Ampere
  if (request.precision == NLSH_BF16 && deviceLimits(request.device).major < firstWithBf16)
    throw badArgument("precision", "'bf16' takes a GPU of compute capability 8.0 or newer; use 'fp32'");
}

NumberType operandsOf(const NlshTrainingRequest& request) {
  return request.precision == NLSH_BF16 ? NumberType::bfloat16 : NumberType::float32;
}

std::size_t rowsAtOnce(const NlshTrainingRequest& request) {
  std::size_t widest = request.vectors.columns;
  for (const auto& layer : layersOf(request))
    widest = std::max(widest, layer.out.channels * layer.out.height * layer.out.width);
  const std::size_t rows = std::max(request.batch_rows, std::min(passRows, passNumbers / widest));
  return std::min(rows, request.vectors.rows);
}

}  // namespace

std::unique_ptr<Training> Training::open(const NlshTrainingRequest& request) {
  checkDevice(request.device);
  const DeviceGuard guard(request.device);
  checkRequest(request);
  return std::unique_ptr<Training>(new Training(request));
}

Training::Training(const NlshTrainingRequest& request)
    : device_(request.device),
      optimizer_(request.optimizer),
      slots_(slotsOf(request.optimizer)),
      hostVectors_(request.vectors),
      capacity_(rowsAtOnce(request)),
      probes_(request.monitored_probes),
      noise_(request.input_noise),
      hasNeighbors_(request.neighbors != nullptr && request.neighbors_per_row > 0),
      recordsSteps_(request.records_steps != 0),
      multiplier_(static_cast<NlshPrecision>(request.precision)),
      dnn_(stream_),
      batch_(1),
      batches_(uploadBatches),
      network_(layersOf(request), capacity_,
               {stream_, multiplier_, dnn_, batch_.data(), operandsOf(request), request.deterministic != 0,
                request.seed}),
      slotValues_(slots_ * network_.parameterLayout().deviceSize()),
      losses_(capacity_),
      squares_(normParts),
      targets_(capacity_ * (request.soft_labels + 1)),
      rowNumbers_(std::max(capacity_, uploadRows)),
      hits_(capacity_),
      neighborsFound_(capacity_),
      sums_(1),
      pinnedRows_(rowNumbers_.size()),
      pinnedBatches_(uploadBatches),
      pinnedSums_(1) {
  if (needsShares(request.loss.type)) shares_.require(capacity_ * request.bins);
  const std::size_t stride = network_.outputs().stride;
  if (needsProbabilities(request.loss.type)) {
    logProbabilities_.require(capacity_ * stride);
    const NlshShape shape{request.bins, 1, 1};
    logSoftmax_ = std::make_unique<Softmax>(dnn_, CUDNN_SOFTMAX_LOG, shape, stride);
  }
  fillZeros(slotValues_.data(), slotValues_.size(), stream_);
  bringSet(request);
  input_ = {inputMean_.data(), inputScale_.data(), request.unit_length != 0, 0};
  const LossRule rule{request.loss.type, request.loss.label_smoothing, classWeights_.data()};
  judgement_ = {rule,
                network_.outputs().floats(),
                logProbabilities_.data(),
                stride,
                targets_.data(),
                shares_.data(),
                losses_.data(),
                hits_.data(),
                neighborsFound_.data()};
  stream_.synchronize();
}

/// The vectors come last, if there is room for them.
void Training::bringSet(const NlshTrainingRequest& request) {
  const auto& [data, rows, columns] = request.vectors;
  Staging staging;
  bring(inputMean_, request.mean, columns, staging);
  bring(inputScale_, request.scale, columns, staging);
  bring(labels_, request.labels, rows, staging);
  if (request.loss.class_weights) bring(classWeights_, request.loss.class_weights, request.bins, staging);
  if (hasNeighbors_) bring(neighbors_, request.neighbors, rows * request.neighbors_per_row, staging);
  if (rows * columns * sizeof(float) + sparedBytes <= deviceLimits(device_).freeBytes) {
    bring(vectors_, data, rows * columns, staging);
  } else {
    brought_.require(capacity_ * columns);
    for (Bringing& bringing : bringings_) bringing.memory.require(capacity_ * columns);
  }
  staging.stream().synchronize();
  set_ = {vectors_.data(),     columns,     labels_.data(), neighbors_.data(), request.neighbors_per_row,
          request.soft_labels, request.bins};
}

Batch Training::batchOf(std::size_t firstRow, double learningRate, std::uint64_t seed) {
  momentumProduct_ *= nadamMomentum(optimizer_, ++steps_);
  return {outputOf(seed, 0), outputOf(seed, 1), firstRow,
          optimizerFactorsOf(optimizer_, learningRate, steps_, momentumProduct_)};
}

void Training::upload(std::span<const std::int32_t> rows, std::span<const Batch> batches) {
  isUploaded_.synchronize();  // what was uploaded before has left the pinned memory
  std::ranges::copy(rows, pinnedRows_.data());
  std::ranges::copy(batches, pinnedBatches_.data());
  copyToDevice(rowNumbers_.data(), pinnedRows_.data(), rows.size(), stream_);
  copyToDevice(batches_.data(), pinnedBatches_.data(), batches.size(), stream_);
  isUploaded_.record(stream_);
}

void Training::begin(std::size_t batch, std::span<const std::int32_t> rows) {
  NLSH_CHECK(cudaMemcpyAsync(batch_.data(), batches_.data() + batch, sizeof(Batch), cudaMemcpyDeviceToDevice,
                             stream_));
  if (set_.vectors) return;
  Bringing& bringing = bringings_[nextBringing_];
  nextBringing_ = (nextBringing_ + 1) % bringings_.size();
  bringing.isOver.synchronize();
  const std::size_t columns = set_.dimensions;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float* const vector = hostVectors_.data + static_cast<std::size_t>(rows[i]) * columns;
    std::copy_n(vector, columns, bringing.memory.data() + i * columns);
  }
  copyToDevice(brought_.data(), bringing.memory.data(), rows.size() * columns, stream_);
  bringing.isOver.record(stream_);
}

NlshScore Training::train(const NlshBatches& batches, const Watch& watch) {
  const DeviceGuard guard(device_);
  resetSums();
  const std::size_t* const offsets = batches.offsets;
  const auto rowsOf = [&](std::size_t batch) { return offsets[batch + 1] - offsets[batch]; };
  std::vector<Batch> together;
  for (std::size_t first = 0; first < batches.count; first += together.size()) {
    watch.check();
    together.clear();
    std::size_t end = first;
    while (end < batches.count && together.size() < uploadBatches &&
           offsets[end + 1] - offsets[first] <= rowNumbers_.size()) {
      if (rowsOf(end) == 0 || rowsOf(end) > capacity_) break;
      together.push_back(
          batchOf(offsets[end] - offsets[first], batches.learning_rates[end], batches.seeds[end]));
      ++end;
    }
    if (end == first) throw badArgument("batches", "must have at least one row, and at most batch_rows");
    upload({batches.rows + offsets[first], offsets[end] - offsets[first]}, together);
    for (std::size_t i = first; i < end; ++i) {
      begin(i - first, {batches.rows + offsets[i], rowsOf(i)});
      step(rowsOf(i));
    }
  }
  return readSums(offsets[batches.count] - offsets[0]);
}

void Training::step(std::size_t rows) {
  Steps& steps = recorded_[rows];
  if (!steps.wasDone || !recordsSteps_) {
    runStep(rows);
    steps.wasDone = true;
    return;
  }
  if (!steps.recording && !record(steps, rows)) return runStep(rows);
  steps.recording->repeat();
}

/// False where something in the step cannot be recorded; then nothing is any more, and nothing was done.
bool Training::record(Steps& steps, std::size_t rows) {
  try {
    steps.recording = std::make_unique<Recording>(stream_, [&] { runStep(rows); });
  } catch (const Failure& failure) {
    if (failure.status() != NLSH_FAILED) throw;
    recordsSteps_ = false;
  }
  return recordsSteps_;
}

void Training::runStep(std::size_t rows) {
  gather(rows, noise_);
  network_.forward(rows, true);
  judgeRows(rows, false);
  network_.backward(rows);
  const std::size_t parameters = network_.parameterLayout().deviceSize();
  const auto slot = [&](std::size_t number) {
    return number < slots_ ? slotValues_.data() + number * parameters : nullptr;
  };
  stepOptimizer(optimizerRuleOf(optimizer_), optimizer_.clip_norm, batch_.data(),
                {parameters, network_.parameters(), network_.shortParameters(), network_.gradient(), slot(0),
                 slot(1), squares_.data()},
                stream_);
}

void Training::gather(std::size_t rows, double noise) {
  InputRule rule = input_;
  rule.noise = noise;
  gatherInputs(set_, atWork(rows), rule, brought_.data(), network_.inputs(), stream_);
}

void Training::judgeRows(std::size_t rows, bool withNeighbors) {
  if (withNeighbors) countNeighbors(set_, judgement_, atWork(rows), probes_, stream_);
  fillTargets(set_, atWork(rows), targets_.data(), stream_);
  addNormalizer(set_, judgement_, rows, sums_.data(), stream_);
  if (logSoftmax_) logSoftmax_->forward(rows, judgement_.logits, judgement_.logProbabilities);
  judge(set_, judgement_, atWork(rows), network_.outputGradient(), sums_.data(), stream_);
  addJudgement(judgement_, rows, withNeighbors, sums_.data(), stream_);
}

NlshScore Training::score(std::span<const std::int32_t> rows, const Watch& watch) {
  const DeviceGuard guard(device_);
  resetSums();
  forPasses(rows, watch, [&](std::size_t, std::size_t count) { judgeRows(count, hasNeighbors_); });
  NlshScore score = readSums(rows.size());
  if (hasNeighbors_) score.neighbors = rows.size() * set_.neighborsPerRow;
  return score;
}

void Training::logitsOf(std::span<const std::int32_t> rows, float* logits, const Watch& watch) {
  const DeviceGuard guard(device_);
  forPasses(rows, watch, [&](std::size_t first, std::size_t count) {
    const std::size_t bytes = set_.bins * sizeof(float), pitch = judgement_.stride * sizeof(float);
    NLSH_CHECK(cudaMemcpy2DAsync(logits + first * set_.bins, bytes, judgement_.logits, pitch, bytes, count,
                                 cudaMemcpyDeviceToHost, stream_));
  });
  stream_.synchronize();
}

template <typename Body>
void Training::forPasses(std::span<const std::int32_t> rows, const Watch& watch, const Body& body) {
  for (std::size_t first = 0; first < rows.size(); first += capacity_) {
    watch.check();
    const auto part = rows.subspan(first, std::min(capacity_, rows.size() - first));
    const Batch batch{};
    upload(part, {&batch, 1});
    begin(0, part);
    gather(part.size(), 0);
    network_.forward(part.size(), false);
    body(first, part.size());
  }
}

void Training::resetSums() {
  fillZeros(sums_.data(), 1, stream_);
}

NlshScore Training::readSums(std::size_t rows) {
  copyToHost(pinnedSums_.data(), sums_.data(), 1, stream_);
  stream_.synchronize();
  const Sums& sums = *pinnedSums_.data();
  return {sums.loss, sums.normalizer, sums.hits, rows, sums.neighborsFound, 0};
}

void Training::read(const float* there, const PaddedLayout& layout, float* flat) const {
  std::vector<float> padded(layout.deviceSize());
  readFromDevice(padded.data(), there, padded.size(), stream_);
  layout.toHost(padded.data(), flat);
}
void Training::write(float* there, const PaddedLayout& layout, const float* flat) {
  std::vector<float> padded(layout.deviceSize());
  layout.toDevice(flat, padded.data());
  writeToDevice(there, padded.data(), padded.size(), stream_);
}

void Training::readState(NlshTrainingState& state) {
  const DeviceGuard guard(device_);
  const PaddedLayout& layout = network_.parameterLayout();
  if (state.parameters) read(network_.parameters(), layout, state.parameters);
  if (state.buffers) read(network_.buffers(), network_.bufferLayout(), state.buffers);
  for (std::size_t slot = 0; state.slots && slot < slots_; ++slot)
    read(slotValues_.data() + slot * layout.deviceSize(), layout, state.slots + slot * layout.hostSize());
  if (state.steps) *state.steps = steps_;
}

void Training::writeState(const NlshTrainingState& state) {
  const DeviceGuard guard(device_);
  const PaddedLayout& layout = network_.parameterLayout();
  if (state.parameters) {
    write(network_.parameters(), layout, state.parameters);
    network_.shortenParameters(stream_);
  }
  if (state.buffers) write(network_.buffers(), network_.bufferLayout(), state.buffers);
  for (std::size_t slot = 0; state.slots && slot < slots_; ++slot)
    write(slotValues_.data() + slot * layout.deviceSize(), layout, state.slots + slot * layout.hostSize());
  if (!state.steps) return;
  steps_ = *state.steps;
  momentumProduct_ = 1;
  for (std::uint64_t step = 1; step <= steps_ && momentumProduct_ > 0; ++step) {
    momentumProduct_ *= nadamMomentum(optimizer_, step);
  }
}

}  // namespace neural_lsh::cuda
