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
#include "../../core/random.h"
#include "../chunks.h"
#include "calibration.h"
#include "element-wise.h"

namespace neural_lsh::cpu {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

/// Sums over rows, and what they are to be divided by.
struct Score {
  double loss = 0;
  double normalizer = 0;
  std::size_t hits = 0;
  std::size_t rows = 0;
  std::size_t neighborsFound = 0;
  std::size_t neighbors = 0;

  Score& operator+=(const Score& other) {
    loss += other.loss;
    normalizer += other.normalizer;
    hits += other.hits;
    rows += other.rows;
    neighborsFound += other.neighborsFound;
    neighbors += other.neighbors;
    return *this;
  }
  static double share(std::size_t part, std::size_t whole) {
    return whole == 0 ? nothing : static_cast<double>(part) / static_cast<double>(whole);
  }
  double meanLoss() const {
    if (rows == 0) return nothing;
    return normalizer == 0 ? 0 : loss / normalizer;  // 0: rows of bins that weigh nothing
  }
  double accuracy() const { return share(hits, rows); }
  double neighborAccuracy() const { return share(neighborsFound, neighbors); }
};

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

/// Whether the largest of the values, the first of equals, is number `index`.
bool isFirstLargest(std::span<const float> values, std::size_t index) {
  const float value = values[index];
  if (value < largestOf(values.data(), values.size())) return false;
  return std::ranges::find(values.first(index), value) == values.first(index).end();
}

/// A large batch passes through the network part by part, where its layers allow it, so that what they hand
/// on stays in the caches.
std::size_t passRowsOf(const NetworkDescription& network, std::size_t batchRows) {
  constexpr std::size_t most = 512;  // enough for the matrix products
  const bool mixed = std::ranges::any_of(
      network.layers, [](const LayerDescription& layer) { return layer.type == LayerType::batchNorm; });
  return mixed ? batchRows : std::min(batchRows, most);
}

class Trainer {
 public:
  Trainer(const TrainingSet& set, const TrainingOptions& options, const Job& job)
      : set_(set),
        options_(options),
        job_(job),
        loss_(lossOf(set, options)),
        threads_(job.threads == 0 ? hardwareThreads() : job.threads),
        seeds_(options.seed),
        rows_(set.vectors.rows),
        heldOut_(set.heldOut ? set.heldOut->size()
                             : static_cast<std::size_t>(static_cast<double>(rows_.size()) *
                                                        options.validationFraction)),
        batchRows_(std::min(options.batchSize, rows_.size())),
        batches_((rows_.size() - heldOut_ + batchRows_ - 1) / batchRows_),
        passRows_(passRowsOf(options.network, batchRows_)),
        network_(options.network, passRows_),
        optimizer_(options.optimizer, options.network.parameters()),
        gradient_(options.network.parameters()),
        losses_(passRows_),
        hits_(passRows_),
        neighborsFound_(passRows_) {
    std::iota(rows_.begin(), rows_.end(), 0);
    Random(seeds_.next()).shuffle(std::span(rows_));
    if (set.heldOut) moveToFront(*set.heldOut);
    start(seeds_.next());
    for (std::size_t epoch = 0; epoch < state_.epochs; ++epoch) seeds_.next();
  }

  TrainingResult run() {
    std::vector<EpochReport> history;
    const std::size_t end = state_.epochs + options_.epochs;
    while (state_.epochs < end && !stopped()) history.push_back(epoch());
    TrainingResult result;
    result.history = std::move(history);
    result.bestEpoch = options_.earlyStopping ? state_.bestEpoch : state_.epochs;
    const Weights& kept = options_.earlyStopping ? best_ : current_;
    result.classifier = {options_.network, kept.parameters, kept.buffers, std::move(input_), 1, {}};
    input_ = result.classifier.input;
    if (options_.calibrate && heldOut_ > 0) result.calibration = calibrate(result.classifier);
    result.heldOut.assign(validationRows().begin(), validationRows().end());
    state_.steps = optimizer_.steps();
    state_.slots.assign(optimizer_.slots().begin(), optimizer_.slots().end());
    state_.parameters = std::move(current_.parameters);
    state_.buffers = std::move(current_.buffers);
    result.state = std::move(state_);
    return result;
  }

 private:
  struct Weights {
    std::vector<float> parameters;
    std::vector<float> buffers;
  };

  void moveToFront(std::span<const Id> chosen) {
    std::vector<bool> isChosen(rows_.size());
    for (const Id row : chosen) isChosen[static_cast<std::size_t>(row)] = true;
    std::stable_partition(rows_.begin(), rows_.end(),
                          [&](Id row) { return isChosen[static_cast<std::size_t>(row)]; });
  }

  std::span<const Id> validationRows() const { return std::span(rows_).first(heldOut_); }
  std::span<const Id> trainingRows() const { return std::span(rows_).subspan(heldOut_); }

  void start(std::uint64_t weightSeed) {
    const NetworkDescription& network = options_.network;
    current_.parameters.resize(network.parameters());
    current_.buffers.resize(network.buffers());
    initializeBuffers(network, current_.buffers);
    if (!options_.start) {
      initializeParameters(network, options_.initialization, weightSeed, current_.parameters);
      input_ = fitInputTransform(options_.input, set_.vectors, trainingRows(), job_);
      best_ = current_;
      return;
    }
    const StartingPoint& given = *options_.start;
    current_.parameters = checked(given.parameters, network.parameters(), "initial.parameters");
    if (!given.buffers.empty())
      current_.buffers = checked(given.buffers, network.buffers(), "initial.buffers");
    input_ =
        given.input ? *given.input : fitInputTransform(options_.input, set_.vectors, trainingRows(), job_);
    checked(input_.mean, network.inputs(), "initial.input.mean");
    checked(input_.scale, network.inputs(), "initial.input.scale");
    best_ = current_;
    if (given.state) goOn(*given.state);
  }

  void goOn(const TrainingState& state) {
    state_ = state;
    checked(state.slots, state.slots.size(), "initial.state.slots");
    optimizer_.restore(state.slots, state.steps);
    current_ = {checked(state.parameters, current_.parameters.size(), "initial.state.parameters"),
                checked(state.buffers, current_.buffers.size(), "initial.state.buffers")};
  }

  EpochReport epoch() {
    const auto start = std::chrono::steady_clock::now();
    const Score training = trainEpoch();
    ++state_.epochs;
    const Score validation = validate();
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
    for (std::size_t batch = 0; batch < batches_; ++batch) {
      job_.check();
      const std::size_t step = state_.epochs * batches_ + batch;
      rate_ = options_.learningRate * scheduleFactor(options_.schedule, state_.plateau, step, batches_);
      sum += trainBatch(batchOf(order_, batch * batchRows_), random.next());
      if (!std::isfinite(sum.loss)) fail("the loss is not finite", state_.epochs + 1);
      job_.progress(++batchesDone_, options_.epochs * batches_);
    }
    // The last step's outcome, which no further batch sees.
    if (!finite(current_.parameters) || !finite(current_.buffers))
      fail("the weights are not finite", state_.epochs + 1);
    return sum;
  }

  Score trainBatch(std::span<const Id> batch, std::uint64_t seed) {
    Random random(seed);
    const std::uint64_t noiseSeed = random.next(), networkSeed = random.next();
    const double normalizer = normalizerOf(batch);
    Score sum;
    forPasses(batch, [&](std::size_t first, std::span<const Id> rows) {
      gather(rows);
      if (options_.inputNoise > 0) addNoise(rows.size(), noiseSeed + first);
      network_.forward(current_.parameters.data(), current_.buffers.data(), rows.size(), networkSeed,
                       threads_, first);
      sum += judge(rows, normalizer);
      network_.backward(current_.parameters.data(), rows.size(), gradient_.data(), nullptr, threads_, first);
    });
    sum.normalizer = normalizer;
    optimizer_.step(rate_, current_.parameters.data(), gradient_.data(), threads_);
    return sum;
  }

  Score validate() {
    Score sum;
    forPasses(validationRows(), [&](std::size_t, std::span<const Id> rows) {
      job_.check();
      infer(current_, rows);
      countNeighbors(rows);
      const double normalizer = normalizerOf(rows);
      sum += judge(rows, normalizer);
      sum.normalizer += normalizer;
      if (set_.neighborsPerRow > 0 && !set_.neighbors.empty()) {
        sum.neighbors += rows.size() * set_.neighborsPerRow;
        sum.neighborsFound += std::accumulate(
            neighborsFound_.begin(), neighborsFound_.begin() + static_cast<std::ptrdiff_t>(rows.size()),
            std::size_t{0});
      }
    });
    return sum;
  }

  /// body(number of the first row, rows): what passes through the network at once, in equal parts.
  template <typename Body>
  void forPasses(std::span<const Id> rows, const Body& body) const {
    const std::size_t passes = (rows.size() + passRows_ - 1) / passRows_;
    for (std::size_t i = 0; i < passes; ++i) {
      const std::size_t first = i * rows.size() / passes, end = (i + 1) * rows.size() / passes;
      body(first, rows.subspan(first, end - first));
    }
  }

  std::span<const Id> batchOf(std::span<const Id> rows, std::size_t first) const {
    return rows.subspan(first, std::min(batchRows_, rows.size() - first));
  }

  void infer(const Weights& weights, std::span<const Id> rows) {
    gather(rows);
    network_.infer(weights.parameters.data(), weights.buffers.data(), network_.inputs(), rows.size(),
                   network_.outputs(), threads_);
  }

  void gather(std::span<const Id> rows) {
    const std::size_t inputs = options_.network.inputs();
    forChunks(rows.size(), chunkRows(inputs), threads_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        input_.apply(set_.vectors.row(rows[i]), network_.inputs() + i * inputs);
      }
    });
  }

  /// A generator a row, so that who draws for which row does not matter.
  void addNoise(std::size_t rows, std::uint64_t seed) {
    const std::size_t inputs = options_.network.inputs();
    forChunks(rows, chunkRows(inputs * exponentialCost), threads_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) {
        Random random(seed + row);
        float* const values = network_.inputs() + row * inputs;
        for (std::size_t c = 0; c < inputs; c += 2) {
          const auto [first, second] = random.normals();
          values[c] += static_cast<float>(options_.inputNoise * first);
          if (c + 1 < inputs) values[c + 1] += static_cast<float>(options_.inputNoise * second);
        }
      }
    });
  }

  /// Leaves the gradient of the batch's mean loss at the network's outputs. `normalizer` is the batch's; the
  /// score goes without.
  Score judge(std::span<const Id> rows, double normalizer) {
    const std::size_t outputs = set_.bins;
    const auto scale = static_cast<float>(normalizer > 0 ? 1 / normalizer : 0);
    forRows(rows.size(), [&](std::size_t i, std::span<Target<float>> target) {
      const std::span<float> logits(network_.outputs() + i * outputs, outputs);
      fillTarget(rows[i], target);
      hits_[i] = isFirstLargest(logits, static_cast<std::size_t>(set_.labels[rows[i]]));
      losses_[i] = rowLoss<float>(loss_, logits, target, scale);
    });
    Score sum;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      sum.loss += losses_[i];
      sum.hits += hits_[i];
    }
    sum.rows = rows.size();
    return sum;
  }

  double normalizerOf(std::span<const Id> rows) {
    std::vector<Target<float>> target(set_.softLabels + 1);
    const auto one = [&](Id row) {
      fillTarget(row, target);
      return rowNormalizer<float>(loss_, set_.bins, target);
    };
    if (loss_.classWeights.empty()) return static_cast<double>(rows.size()) * one(rows[0]);
    double sum = 0;
    for (const Id row : rows) sum += one(row);
    return sum;
  }

  /// body(row of the batch, room for its target)
  template <typename Body>
  void forRows(std::size_t rows, const Body& body) {
    forChunks(rows, chunkRows(set_.bins * exponentialCost), threads_,
              [&](std::size_t begin, std::size_t end) {
                std::vector<Target<float>> target(set_.softLabels + 1);
                for (std::size_t i = begin; i < end; ++i) body(i, std::span(target));
              });
  }

  /// The labels of the first softLabels neighbors and of the row itself, in equal shares.
  void fillTarget(Id row, std::span<Target<float>> target) const {
    const float share = 1.0F / static_cast<float>(target.size());
    const Id* const neighbors = neighborsOf(row);
    for (std::size_t s = 0; s < set_.softLabels; ++s) {
      target[s] = {static_cast<std::size_t>(set_.labels[neighbors[s]]), share};
    }
    target.back() = {static_cast<std::size_t>(set_.labels[row]), share};
  }

  const Id* neighborsOf(Id row) const {
    return set_.neighbors.data() + static_cast<std::size_t>(row) * set_.neighborsPerRow;
  }

  /// How many neighbors of each row lie in the bins whose outputs are the largest, ties to the smaller bin.
  void countNeighbors(std::span<const Id> rows) {
    const std::size_t outputs = set_.bins, probes = std::min(options_.monitoredProbes, set_.bins);
    if (set_.neighbors.empty()) return;
    forChunks(
        rows.size(), chunkRows(outputs * exponentialCost), threads_, [&](std::size_t begin, std::size_t end) {
          std::vector<std::size_t> order(outputs);
          std::vector<std::uint8_t> probed(outputs);
          for (std::size_t i = begin; i < end; ++i) {
            const float* const values = network_.outputs() + i * outputs;
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(probes), order.end(),
                              [&](std::size_t a, std::size_t b) {
                                return values[a] > values[b] || (values[a] == values[b] && a < b);
                              });
            for (std::size_t p = 0; p < probes; ++p) probed[order[p]] = 1;
            const std::span<const Id> neighbors(neighborsOf(rows[i]), set_.neighborsPerRow);
            neighborsFound_[i] = static_cast<std::size_t>(std::ranges::count_if(
                neighbors, [&](Id id) { return probed[static_cast<std::size_t>(set_.labels[id])] == 1; }));
            for (std::size_t p = 0; p < probes; ++p) probed[order[p]] = 0;
          }
        });
  }

  void keepBest(const Score& validation) {
    const bool watchesLoss = options_.earlyStopping->monitor == Monitor::loss;
    const double value = watchesLoss ? -validation.meanLoss() : validation.neighborAccuracy();
    if (state_.bestEpoch > 0 && !(value > state_.bestValue)) return;
    state_.bestValue = value;
    state_.bestEpoch = state_.epochs;
    best_ = current_;
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
    const Weights weights{classifier.parameters, classifier.buffers};
    forPasses(rows, [&](std::size_t first, std::span<const Id> part) {
      job_.check();
      infer(weights, part);
      std::copy_n(network_.outputs(), part.size() * outputs, logits.data() + first * outputs);
    });
    std::vector<Target<float>> target(set_.softLabels + 1);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      fillTarget(rows[i], target);
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

  static constexpr std::size_t exponentialCost = 8;  // in element-wise operations

  const TrainingSet& set_;
  const TrainingOptions& options_;
  const Job& job_;
  const Loss loss_;
  const std::size_t threads_;
  Random seeds_;
  std::vector<Id> rows_;  // in the split's order: those held out, then those trained on
  const std::size_t heldOut_;
  const std::size_t batchRows_;
  const std::size_t batches_;   // of an epoch
  const std::size_t passRows_;  // at most so many pass through the network at once
  Network<float> network_;
  Optimizer<float> optimizer_;
  InputTransform input_;
  Weights current_, best_;
  TrainingState state_;
  double rate_ = 0;  // of the last step
  std::size_t batchesDone_ = 0;
  std::vector<Id> order_;
  std::vector<float> gradient_;
  std::vector<double> losses_;  // of the batch's rows
  std::vector<std::uint8_t> hits_;
  std::vector<std::size_t> neighborsFound_;
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

TrainingResult trainClassifier(const TrainingSet& set, const TrainingOptions& options, const Job& job) {
  checkRange(set.labels, set.bins, "labels");
  checkRange(set.neighbors, set.vectors.rows, "neighbors");
  if (set.heldOut) checkHeldOut(*set.heldOut, set.vectors.rows);
  return Trainer(set, options, job).run();
}

}  // namespace neural_lsh::cpu
