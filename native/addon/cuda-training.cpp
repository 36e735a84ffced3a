#include "cuda-training.h"

#include <vector>

#include "cuda-library.h"

namespace neural_lsh::addon {
namespace {

// The library counts the table's entries as the core does.
static_assert(static_cast<std::int32_t>(cpu::LayerType::activation) == NLSH_ACTIVATION);
static_assert(static_cast<std::int32_t>(cpu::Activation::softmax) == NLSH_SOFTMAX);
static_assert(static_cast<std::int32_t>(cpu::LossType::meanAbsoluteError) == NLSH_MEAN_ABSOLUTE_ERROR);
static_assert(static_cast<std::int32_t>(cpu::OptimizerType::nadam) == NLSH_NADAM);

NlshShape shapeOf(const cpu::ImageShape& shape) {
  return {shape.channels, shape.height, shape.width};
}

NlshLayer layerOf(const cpu::LayerDescription& layer) {
  return {.type = static_cast<std::int32_t>(layer.type),
          .activation = static_cast<std::int32_t>(layer.activation),
          .in = shapeOf(layer.in),
          .out = shapeOf(layer.out),
          .bias = layer.bias,
          .kernel = layer.kernel,
          .stride = layer.stride,
          .padding = layer.padding,
          .rate = layer.rate,
          .slope = layer.slope,
          .alpha = layer.alpha,
          .momentum = layer.momentum,
          .epsilon = layer.epsilon,
          .parameters = layer.parameters,
          .parameter_offset = layer.parameterOffset,
          .buffers = layer.buffers,
          .buffer_offset = layer.bufferOffset};
}

NlshLoss lossOf(const cpu::Loss& loss) {
  return {static_cast<std::int32_t>(loss.type), loss.labelSmoothing,
          loss.classWeights.empty() ? nullptr : loss.classWeights.data()};
}

NlshOptimizer optimizerOf(const cpu::OptimizerOptions& options) {
  return {.type = static_cast<std::int32_t>(options.type),
          .nesterov = options.nesterov,
          .momentum = options.momentum,
          .beta1 = options.beta1,
          .beta2 = options.beta2,
          .decay = options.decay,
          .epsilon = options.epsilon,
          .weight_decay = options.weightDecay,
          .momentum_decay = options.momentumDecay,
          .l1 = options.l1,
          .l2 = options.l2,
          .clip_norm = options.clipNorm};
}

NlshTrainingRequest requestOf(const CudaTraining& training, const cpu::TrainingTask& task,
                              const std::vector<NlshLayer>& layers) {
  const cpu::TrainingSet& set = task.set;
  return {.device = training.device,
          .precision = training.precision,
          .deterministic = training.deterministic,
          .records_steps = training.recordsSteps,
          .seed = training.seed,
          .layers = layers.size(),
          .layer = layers.data(),
          .loss = lossOf(task.loss),
          .optimizer = optimizerOf(task.optimizer),
          .mean = task.input.mean.data(),
          .scale = task.input.scale.data(),
          .unit_length = task.input.unitLength,
          .input_noise = task.inputNoise,
          .vectors = {set.vectors.data, set.vectors.rows, set.vectors.columns},
          .labels = set.labels.data(),
          .bins = set.bins,
          .neighbors = set.neighbors.empty() ? nullptr : set.neighbors.data(),
          .neighbors_per_row = set.neighborsPerRow,
          .soft_labels = set.softLabels,
          .batch_rows = task.batchRows,
          .monitored_probes = task.monitoredProbes};
}

cpu::Score scoreOf(const NlshScore& score) {
  return {score.loss, score.normalizer, score.hits, score.rows, score.neighbors_found, score.neighbors};
}

class CudaBackend final : public cpu::TrainingBackend {
 public:
  CudaBackend(const NlshCudaTable* table, const CudaTraining& training, const cpu::TrainingTask& task,
              const Job& job)
      : table_(table),
        job_(job),
        parameters_(task.network.parameters()),
        weights_{std::vector<float>(parameters_), std::vector<float>(task.network.buffers())} {
    std::vector<NlshLayer> layers;
    for (const cpu::LayerDescription& layer : task.network.layers) layers.push_back(layerOf(layer));
    const NlshTrainingRequest request = requestOf(training, task, layers);
    run(job_, [&](const NlshJob* watch, NlshFailure* failure) {
      return table_->open_training(&request, &training_, watch, failure);
    });
  }
  ~CudaBackend() override { table_->close_training(training_); }

  /// The device is not waited for between them, and still asked often enough whether to go on.
  std::size_t batchesAtOnce() const override { return 64; }

  cpu::Score train(std::span<const cpu::MiniBatch> batches) override {
    rows_.clear();
    offsets_.assign(1, 0);
    rates_.clear();
    seeds_.clear();
    for (const cpu::MiniBatch& batch : batches) {
      rows_.insert(rows_.end(), batch.rows.begin(), batch.rows.end());
      offsets_.push_back(rows_.size());
      rates_.push_back(batch.learningRate);
      seeds_.push_back(batch.seed);
    }
    const NlshBatches together{batches.size(), rows_.data(), offsets_.data(), rates_.data(), seeds_.data()};
    NlshScore score{};
    run(job_, [&](const NlshJob* watch, NlshFailure* failure) {
      return table_->train_batches(training_, &together, &score, watch, failure);
    });
    return scoreOf(score);
  }

  cpu::Score score(std::span<const Id> rows) override {
    NlshScore score{};
    run(job_, [&](const NlshJob* watch, NlshFailure* failure) {
      return table_->score_rows(training_, rows.data(), rows.size(), &score, watch, failure);
    });
    return scoreOf(score);
  }

  void logitsOf(std::span<const Id> rows, float* logits) override {
    run(job_, [&](const NlshJob* watch, NlshFailure* failure) {
      return table_->logits_of(training_, rows.data(), rows.size(), logits, watch, failure);
    });
  }

  const cpu::Weights& weights() override {
    NlshTrainingState state{weights_.parameters.data(), weights_.buffers.data(), nullptr, nullptr};
    call([&](NlshFailure* failure) { return table_->get_training_state(training_, &state, failure); });
    return weights_;
  }

  void setWeights(const cpu::Weights& weights) override {
    weights_ = weights;
    const NlshTrainingState state{weights_.parameters.data(), weights_.buffers.data(), nullptr, nullptr};
    call([&](NlshFailure* failure) { return table_->set_training_state(training_, &state, failure); });
  }

  cpu::OptimizerState optimizerState() override {
    std::vector<float> slots(slotValues());
    std::uint64_t steps = 0;
    NlshTrainingState state{nullptr, nullptr, slots.data(), &steps};
    call([&](NlshFailure* failure) { return table_->get_training_state(training_, &state, failure); });
    return {steps, std::move(slots)};
  }

  void restoreOptimizer(const cpu::OptimizerState& optimizer) override {
    cpu::checkSlots(optimizer.slots.size(), slotValues());
    std::vector<float> slots = optimizer.slots;
    std::uint64_t steps = optimizer.steps;
    const NlshTrainingState state{nullptr, nullptr, slots.data(), &steps};
    call([&](NlshFailure* failure) { return table_->set_training_state(training_, &state, failure); });
  }

 private:
  template <typename Call>
  static void call(const Call& call) {
    NlshFailure failure{};
    checkStatus(call(&failure), failure);
  }

  std::size_t slotValues() const { return table_->optimizer_slots(training_) * parameters_; }

  const NlshCudaTable* const table_;
  const Job& job_;
  const std::size_t parameters_;
  NlshTraining* training_ = nullptr;
  cpu::Weights weights_;  // as they were when last asked for
  // Of the batches that are handed over together.
  std::vector<Id> rows_;
  std::vector<std::size_t> offsets_;
  std::vector<double> rates_;
  std::vector<std::uint64_t> seeds_;
};

}  // namespace

std::unique_ptr<cpu::TrainingBackend> makeCudaBackend(const NlshCudaTable* table,
                                                      const CudaTraining& training,
                                                      const cpu::TrainingTask& task, const Job& job) {
  return std::make_unique<CudaBackend>(table, training, task, job);
}

}  // namespace neural_lsh::addon
