#include "trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "../../core/error.h"
#include "../../core/floating-point-mode.h"
#include "../../core/random.h"
#include "calibration.h"

namespace neural_lsh::cpu {
namespace {

bool finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

std::vector<float> checked(std::span<const float> values, std::size_t size, const char* name) {
  if (values.size() != size || !finite(values)) {
    throw argumentError(name, "must be " + std::to_string(size) + " finite numbers");
  }
  return {values.begin(), values.end()};
}

/// n / (bins * the bin's points), as scikit-learn's class_weight='balanced'; empty bins weigh nothing.
std::vector<double> balancedWeights(const TrainingSet& set) {
  std::vector<double> weights(set.bins);
  for (const Id label : set.labels) ++weights[static_cast<std::size_t>(label)];
  const double mean = static_cast<double>(set.labels.size()) / static_cast<double>(set.bins);
  for (double& weight : weights) weight = weight == 0 ? 0 : mean / weight;
  return weights;
}

Loss lossOf(const TrainingSet& set, const TrainingOptions& options) {
  Loss loss = options.loss;
  if (options.balancedClasses) loss.classWeights = balancedWeights(set);
  return loss;
}

class Trainer {
 public:
  Trainer(const TrainingSet& set, const TrainingOptions& options, const Job& job,
          const MakeTrainingBackend& makeBackend)
      : set_(set),
        options_(options),
        job_(job),
        loss_(lossOf(set, options)),
        seeds_(options.seed),
        rows_(set.vectors.rows),
        heldOut_(set.heldOut ? set.heldOut->size()
                             : static_cast<std::size_t>(static_cast<double>(rows_.size()) *
                                                        options.validationFraction)),
        batchRows_(std::min(options.batchSize, rows_.size())),
        batches_((rows_.size() - heldOut_ + batchRows_ - 1) / batchRows_) {
    std::iota(rows_.begin(), rows_.end(), 0);
    Random(seeds_.next()).shuffle(std::span(rows_));
    if (set.heldOut) moveToFront(*set.heldOut);
    start(seeds_.next());
    backend_ = makeBackend({set_, options_.network, loss_, options_.optimizer, input_, options_.inputNoise,
                            batchRows_, options_.monitoredProbes},
                           job_);
    backend_->setWeights(best_);
    if (options_.start && options_.start->state) goOn(*options_.start->state);
    for (std::size_t epoch = 0; epoch < state_.epochs; ++epoch) seeds_.next();
  }

  TrainingResult run() {
    std::vector<EpochReport> history;
    const std::size_t end = state_.epochs + options_.epochs;
    while (state_.epochs < end && !stopped()) history.push_back(epoch());
    TrainingResult result;
    result.history = std::move(history);
    result.bestEpoch = options_.earlyStopping ? state_.bestEpoch : state_.epochs;
    result.heldOut.assign(validationRows().begin(), validationRows().end());
    const Weights last = backend_->weights();
    const Weights& kept = options_.earlyStopping ? best_ : last;
    result.classifier = {options_.network, kept.parameters, kept.buffers, input_, 1, {}};
    OptimizerState optimizer = backend_->optimizerState();
    if (options_.calibrate && heldOut_ > 0) {
      backend_->setWeights(kept);
      result.calibration = calibrate(result.classifier);
    }
    state_.steps = optimizer.steps;
    state_.slots = std::move(optimizer.slots);
    state_.parameters = last.parameters;
    state_.buffers = last.buffers;
    result.state = std::move(state_);
    return result;
  }

 private:
  void moveToFront(std::span<const Id> chosen) {
    std::vector<bool> isChosen(rows_.size());
    for (const Id row : chosen) isChosen[static_cast<std::size_t>(row)] = true;
    std::stable_partition(rows_.begin(), rows_.end(),
                          [&](Id row) { return isChosen[static_cast<std::size_t>(row)]; });
  }

  std::span<const Id> validationRows() const { return std::span(rows_).first(heldOut_); }
  std::span<const Id> trainingRows() const { return std::span(rows_).subspan(heldOut_); }

  /// The weights to begin with; they are also the best so far.
  void start(std::uint64_t weightSeed) {
    const NetworkDescription& network = options_.network;
    best_.parameters.resize(network.parameters());
    best_.buffers.resize(network.buffers());
    initializeBuffers(network, best_.buffers);
    if (!options_.start) {
      initializeParameters(network, options_.initialization, weightSeed, best_.parameters);
      input_ = fitInputTransform(options_.input, set_.vectors, trainingRows(), job_);
      return;
    }
    const StartingPoint& given = *options_.start;
    best_.parameters = checked(given.parameters, network.parameters(), "initial.parameters");
    if (!given.buffers.empty()) best_.buffers = checked(given.buffers, network.buffers(), "initial.buffers");
    input_ =
        given.input ? *given.input : fitInputTransform(options_.input, set_.vectors, trainingRows(), job_);
    checked(input_.mean, network.inputs(), "initial.input.mean");
    checked(input_.scale, network.inputs(), "initial.input.scale");
  }

  void goOn(const TrainingState& state) {
    state_ = state;
    backend_->restoreOptimizer(
        {state.steps, checked(state.slots, state.slots.size(), "initial.state.slots")});
    const auto& [parameters, buffers] = best_;
    backend_->setWeights({checked(state.parameters, parameters.size(), "initial.state.parameters"),
                          checked(state.buffers, buffers.size(), "initial.state.buffers")});
  }

  EpochReport epoch() {
    const auto start = std::chrono::steady_clock::now();
    const Score training = trainEpoch();
    ++state_.epochs;
    const Score validation = backend_->score(validationRows());
    checkConverging(training.meanLoss());
    if (heldOut_ > 0) checkConverging(validation.meanLoss());
    observe(options_.schedule, state_.plateau, heldOut_ > 0 ? validation.meanLoss() : training.meanLoss());
    if (options_.earlyStopping) keepBest(validation);
    const std::chrono::duration<double> duration = std::chrono::steady_clock::now() - start;
    return {state_.epochs,
            rate_,
            training.meanLoss(),
            training.accuracy(),
            validation.meanLoss(),
            validation.accuracy(),
            validation.neighborAccuracy(),
            duration.count()};
  }

  Score trainEpoch() {
    const auto rows = trainingRows();
    order_.assign(rows.begin(), rows.end());
    Random random(seeds_.next());
    random.shuffle(std::span(order_));
    Score sum;
    std::vector<MiniBatch> next;
    for (std::size_t batch = 0; batch < batches_; batch += next.size()) {
      job_.check();
      next.resize(std::min(backend_->batchesAtOnce(), batches_ - batch));
      for (std::size_t i = 0; i < next.size(); ++i) next[i] = miniBatch(batch + i, random.next());
      rate_ = next.back().learningRate;
      sum += backend_->train(next);
      if (!std::isfinite(sum.loss)) fail("the loss is not finite", state_.epochs + 1);
      batchesDone_ += next.size();
      job_.progress(batchesDone_, options_.epochs * batches_);
    }
    // The last step's outcome, which no further batch sees.
    const Weights& weights = backend_->weights();
    if (!finite(weights.parameters) || !finite(weights.buffers))
      fail("the weights are not finite", state_.epochs + 1);
    return sum;
  }

  /// Number `batch` of the epoch.
  MiniBatch miniBatch(std::size_t batch, std::uint64_t seed) const {
    const std::size_t first = batch * batchRows_, step = state_.epochs * batches_ + batch;
    const double factor = scheduleFactor(options_.schedule, state_.plateau, step, batches_);
    return {std::span(order_).subspan(first, std::min(batchRows_, order_.size() - first)),
            options_.learningRate * factor, seed};
  }

  void keepBest(const Score& validation) {
    const bool watchesLoss = options_.earlyStopping->monitor == Monitor::loss;
    const double value = watchesLoss ? -validation.meanLoss() : validation.neighborAccuracy();
    if (state_.bestEpoch > 0 && !(value > state_.bestValue)) return;
    state_.bestValue = value;
    state_.bestEpoch = state_.epochs;
    best_ = backend_->weights();
  }

  bool stopped() const {
    return options_.earlyStopping && state_.bestEpoch > 0 &&
           state_.epochs - state_.bestEpoch > options_.earlyStopping->patience;
  }

  /// On the held-out rows, or as many of them as fit into 2^24 logits.
  Calibration calibrate(Classifier& classifier) {
    const std::size_t outputs = set_.bins;
    const auto rows = validationRows().first(
        std::min(heldOut_, std::max<std::size_t>(1, (std::size_t{1} << 24) / outputs)));
    std::vector<float> logits(rows.size() * outputs), shares(logits.size());
    backend_->logitsOf(rows, logits.data());
    std::vector<Target<float>> target(set_.softLabels + 1);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      set_.fillTarget(rows[i], target);
      for (const auto& [bin, share] : target) shares[i * outputs + bin] += share;
    }
    const CalibrationSet set{logits, shares, outputs};
    classifier.temperature = static_cast<float>(fitTemperature(set, job_));  // as the index file keeps it
    return {classifier.temperature, expectedCalibrationError(set, 1),
            expectedCalibrationError(set, classifier.temperature)};
  }

  /// Optimizers that bound each step by the learning rate often leave a huge network, not an infinite one.
  void checkConverging(double loss) const {
    const double guessing = guessingLoss(loss_, set_.bins);
    if (loss <= 100 * guessing) return;
    std::ostringstream what;
    what << "the loss is " << loss << ", that of guessing " << guessing;
    fail(what.str(), state_.epochs);
  }

  [[noreturn]] static void fail(const std::string& what, std::size_t epoch) {
    throw Error("ERR_NLSH_TRAINING",
                "training diverged in epoch " + std::to_string(epoch) + ": " + what +
                    "; lower optimizer.learningRate",
                "optimizer.learningRate");
  }

  const TrainingSet& set_;
  const TrainingOptions& options_;
  const Job& job_;
  const Loss loss_;
  Random seeds_;
  std::vector<Id> rows_;  // in the split's order: those held out, then those trained on
  const std::size_t heldOut_;
  const std::size_t batchRows_;
  const std::size_t batches_;  // of an epoch
  InputTransform input_;
  Weights best_;
  std::unique_ptr<TrainingBackend> backend_;
  TrainingState state_;
  double rate_ = 0;  // of the last step
  std::size_t batchesDone_ = 0;
  std::vector<Id> order_;
};

/// Labels and neighbors say where to read and to add.
void checkRange(std::span<const Id> values, std::size_t end, const std::string& argument) {
  const auto outside = [end](Id value) { return value < 0 || static_cast<std::size_t>(value) >= end; };
  const auto wrong = std::find_if(values.begin(), values.end(), outside);
  if (wrong == values.end()) return;
  throw argumentError(argument, "must be from 0 to " + std::to_string(end - 1) + ", but entry " +
                                    std::to_string(wrong - values.begin()) + " is " + std::to_string(*wrong));
}

/// There must be rows left to train on.
void checkHeldOut(std::span<const Id> heldOut, std::size_t rows) {
  checkRange(heldOut, rows, "heldOut");
  if (std::set(heldOut.begin(), heldOut.end()).size() != heldOut.size() || heldOut.size() >= rows)
    throw argumentError("heldOut", "must name some of the rows, each once");
}

}  // namespace

TrainingResult trainClassifier(const TrainingSet& set, const TrainingOptions& options, const Job& job,
                               const MakeTrainingBackend& makeBackend) {
  checkRange(set.labels, set.bins, "labels");
  checkRange(set.neighbors, set.vectors.rows, "neighbors");
  if (set.heldOut) checkHeldOut(*set.heldOut, set.vectors.rows);
  // Running values of weights that nothing moves, as those of ReLUs that are always off, decay until they are
  // denormal, and stay so.
  const WithoutDenormals mode;
  return Trainer(set, options, job, makeBackend).run();
}

}  // namespace neural_lsh::cpu
