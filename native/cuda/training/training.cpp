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
  checkRequest(request);
  const DeviceGuard guard(request.device);
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
      multiplier_(static_cast<NlshPrecision>(request.precision)),
      batch_(1),
      batches_(uploadBatches),
      network_(layersOf(request), capacity_,
               {stream_, multiplier_, batch_.data(), static_cast<NlshPrecision>(request.precision),
                request.deterministic != 0, nullptr}),
      slotValues_(slots_ * network_.layout().deviceSize()),
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
  if (slotValues_.size() > 0) fillZeros(slotValues_.data(), slotValues_.size(), stream_);
  bringSet(request);
  input_ = {inputMean_.data(), inputScale_.data(), request.unit_length != 0, 0};
  const LossRule rule{request.loss.type, request.loss.label_smoothing, classWeights_.data()};
  judgement_ = {rule, targets_.data(), shares_.data(), losses_.data(), hits_.data(), neighborsFound_.data()};
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
  if (!steps.wasDone) {
    runStep(rows);
    steps.wasDone = true;
    return;
  }
  if (!steps.recording) steps.recording = std::make_unique<Recording>(stream_, [&] { runStep(rows); });
  steps.recording->repeat();
}

void Training::runStep(std::size_t rows) {
  gather(rows, noise_);
  network_.forward(rows, true);
  judgeRows(rows, false);
  network_.backward(rows);
  const std::size_t parameters = network_.layout().deviceSize();
  const auto slot = [&](std::size_t number) {
    return number < slots_ ? slotValues_.data() + number * parameters : nullptr;
  };
  stepOptimizer(optimizerRuleOf(optimizer_), optimizer_.clip_norm, batch_.data(),
                {parameters, network_.parameters(), network_.gradient(), slot(0), slot(1), squares_.data()},
                stream_);
}

void Training::gather(std::size_t rows, double noise) {
  InputRule rule = input_;
  rule.noise = noise;
  gatherInputs(set_, atWork(rows), rule, brought_.data(), network_.inputs(), stream_);
}

void Training::judgeRows(std::size_t rows, bool withNeighbors) {
  if (withNeighbors) countNeighbors(set_, judgement_, atWork(rows), network_.outputs(), probes_, stream_);
  fillTargets(set_, atWork(rows), targets_.data(), stream_);
  addNormalizer(set_, judgement_, rows, sums_.data(), stream_);
  judge(set_, judgement_, atWork(rows), network_.outputs(), network_.outputGradient(), sums_.data(), stream_);
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
    NLSH_CHECK(cudaMemcpyAsync(logits + first * set_.bins, network_.outputs(),
                               count * set_.bins * sizeof(float), cudaMemcpyDeviceToHost, stream_));
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

/// From and to memory that is not pinned: waits.
void Training::read(const float* there, std::size_t count, float* here) const {
  if (count == 0) return;
  copyToHost(here, there, count, stream_);
  stream_.synchronize();
}
void Training::write(float* there, std::size_t count, const float* here) {
  if (count == 0) return;
  copyToDevice(there, here, count, stream_);
  stream_.synchronize();
}

void Training::readState(NlshTrainingState& state) {
  const DeviceGuard guard(device_);
  const ParameterLayout& layout = network_.layout();
  std::vector<float> padded(layout.deviceSize());
  const auto readFlat = [&](const float* there, float* flat) {
    read(there, padded.size(), padded.data());
    layout.toHost(padded.data(), flat);
  };
  if (state.parameters) readFlat(network_.parameters(), state.parameters);
  if (state.buffers) read(network_.buffers(), network_.bufferCount(), state.buffers);
  for (std::size_t slot = 0; state.slots && slot < slots_; ++slot) {
    readFlat(slotValues_.data() + slot * padded.size(), state.slots + slot * layout.hostSize());
  }
  if (state.steps) *state.steps = steps_;
}

void Training::writeState(const NlshTrainingState& state) {
  const DeviceGuard guard(device_);
  const ParameterLayout& layout = network_.layout();
  std::vector<float> padded(layout.deviceSize());
  const auto writeFlat = [&](float* there, const float* flat) {
    layout.toDevice(flat, padded.data());
    write(there, padded.size(), padded.data());
  };
  if (state.parameters) writeFlat(network_.parameters(), state.parameters);
  if (state.buffers) write(network_.buffers(), network_.bufferCount(), state.buffers);
  for (std::size_t slot = 0; state.slots && slot < slots_; ++slot) {
    writeFlat(slotValues_.data() + slot * padded.size(), state.slots + slot * layout.hostSize());
  }
  if (!state.steps) return;
  steps_ = *state.steps;
  momentumProduct_ = 1;
  for (std::uint64_t step = 1; step <= steps_ && momentumProduct_ > 0; ++step) {
    momentumProduct_ *= nadamMomentum(optimizer_, step);
  }
}

}  // namespace neural_lsh::cuda
