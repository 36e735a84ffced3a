#include "trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>
#include <sstream>
#include <string>

#include "../core/error.h"
#include "../core/random.h"
#include "chunks.h"
#include "network.h"

namespace neural_lsh::cpu {
namespace {

/// Loss and hits of some rows; sums or, divided, means.
struct Score {
  double loss = 0;
  double accuracy = 0;

  Score& operator+=(const Score& other) {
    loss += other.loss;
    accuracy += other.accuracy;
    return *this;
  }
  Score over(std::size_t rows) const {
    return {loss / static_cast<double>(rows), accuracy / static_cast<double>(rows)};
  }
};

/// Over the rows and entries that are trained on. Sums are of differences from the first row: exact for
/// constant data, and small where the data lie far from the origin.
InputTransform fitTransform(const Matrix& vectors, std::span<const Id> rows, const Job& job) {
  constexpr std::size_t chunk = 4096;
  const std::size_t columns = vectors.columns;
  const float* const origin = vectors.row(rows[0]);
  std::vector<double> sums((rows.size() + chunk - 1) / chunk * columns), squares(sums.size() / columns);
  forChunks(rows.size(), chunk, job.threads, [&](std::size_t begin, std::size_t end) {
    job.check();
    double* const sum = sums.data() + begin / chunk * columns;
    for (std::size_t i = begin; i < end; ++i) {
      const float* const row = vectors.row(rows[i]);
      double square = 0;
      for (std::size_t c = 0; c < columns; ++c) {
        const double difference = static_cast<double>(row[c]) - origin[c];
        sum[c] += difference;
        square += difference * difference;
      }
      squares[begin / chunk] += square;
    }
  });

  const auto count = static_cast<double>(rows.size());
  double variance = std::accumulate(squares.begin(), squares.end(), 0.0) / count;
  InputTransform transform{std::vector<float>(columns), 1};
  for (std::size_t c = 0; c < columns; ++c) {
    double mean = 0;
    for (std::size_t i = c; i < sums.size(); i += columns) mean += sums[i] / count;
    variance -= mean * mean;
    transform.mean[c] = static_cast<float>(origin[c] + mean);
  }
  const auto scale = static_cast<float>(1 / std::sqrt(variance / static_cast<double>(columns)));
  if (std::isnormal(scale)) transform.scale = scale;
  return transform;
}

std::vector<float> randomParameters(const ClassifierShape& shape, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> parameters(shape.parameters());
  for (std::size_t layer = 0; layer < shape.layers(); ++layer) {
    const double bound = 1 / std::sqrt(static_cast<double>(shape.widths[layer]));
    for (std::size_t i = shape.weightOffset(layer); i < shape.biasOffset(layer); ++i) {
      parameters[i] = static_cast<float>((2 * random.uniform() - 1) * bound);
    }
  }
  return parameters;
}

std::vector<float> givenParameters(const ClassifierShape& shape, std::span<const float> given) {
  const bool finite = std::ranges::all_of(given, [](float value) { return std::isfinite(value); });
  if (given.size() != shape.parameters() || !finite) {
    throw argumentError("initialParameters",
                        "must be " + std::to_string(shape.parameters()) + " finite numbers");
  }
  return {given.begin(), given.end()};
}

ClassifierShape shapeOf(const TrainingSet& set, const TrainingOptions& options) {
  ClassifierShape shape{{set.vectors.columns}};
  shape.widths.insert(shape.widths.end(), options.hidden.begin(), options.hidden.end());
  shape.widths.push_back(set.bins);
  return shape;
}

class Trainer {
 public:
  Trainer(const TrainingSet& set, const TrainingOptions& options, const Job& job)
      : set_(set),
        options_(options),
        job_(job),
        threads_(job.threads == 0 ? hardwareThreads() : job.threads),
        seeds_(options.seed),
        rows_(set.vectors.rows),
        heldOut_(static_cast<std::size_t>(static_cast<double>(rows_.size()) * options.validationFraction)),
        batchRows_(std::min(options.batchSize, rows_.size())),
        shape_(shapeOf(set, options)),
        network_(shape_, batchRows_),
        optimizer_(options.optimizer, shape_.parameters()),
        gradient_(shape_.parameters()),
        losses_(batchRows_),
        hits_(batchRows_) {
    std::iota(rows_.begin(), rows_.end(), 0);
    Random(seeds_.next()).shuffle(std::span(rows_));
    const std::uint64_t weightSeed = seeds_.next();
    classifier_ = {shape_, fitTransform(set.vectors, trainingRows(), job),
                   options.initialParameters.empty() ? randomParameters(shape_, weightSeed)
                                                     : givenParameters(shape_, options.initialParameters)};
  }

  TrainingResult run() {
    std::vector<EpochReport> history;
    for (std::size_t epoch = 0; epoch < options_.epochs; ++epoch) {
      const auto start = std::chrono::steady_clock::now();
      const Score training = trainEpoch(epoch), validation = validate();
      checkConverging(training.loss, epoch);
      if (heldOut_ > 0) checkConverging(validation.loss, epoch);
      const std::chrono::duration<double> duration = std::chrono::steady_clock::now() - start;
      history.push_back(
          {training.loss, training.accuracy, validation.loss, validation.accuracy, duration.count()});
    }
    return {std::move(classifier_), std::move(history)};
  }

 private:
  std::span<const Id> validationRows() const { return std::span(rows_).first(heldOut_); }
  std::span<const Id> trainingRows() const { return std::span(rows_).subspan(heldOut_); }

  Score trainEpoch(std::size_t epoch) {
    const auto rows = trainingRows();
    order_.assign(rows.begin(), rows.end());
    Random(seeds_.next()).shuffle(std::span(order_));
    const std::size_t batches = (order_.size() + batchRows_ - 1) / batchRows_;
    Score sum;
    for (std::size_t batch = 0; batch < batches; ++batch) {
      job_.check();
      const std::size_t step = epoch * batches + batch, steps = options_.epochs * batches;
      sum += trainBatch(batchOf(order_, batch * batchRows_), annealedRate(step, steps));
      if (!std::isfinite(sum.loss)) fail("the loss is not finite", epoch);
      job_.progress(step + 1, steps);
    }
    // The last step's outcome, which no further batch sees.
    const bool finite =
        std::ranges::all_of(classifier_.parameters, [](float value) { return std::isfinite(value); });
    if (!finite) fail("the weights are not finite", epoch);
    return sum.over(order_.size());
  }

  Score validate() {
    const auto rows = validationRows();
    Score sum;
    for (std::size_t first = 0; first < rows.size(); first += batchRows_) {
      job_.check();
      sum += forward(batchOf(rows, first));
    }
    return sum.over(rows.size());
  }

  std::span<const Id> batchOf(std::span<const Id> rows, std::size_t first) const {
    return rows.subspan(first, std::min(batchRows_, rows.size() - first));
  }

  /// Half a cosine from the learning rate to 0 (Loshchilov & Hutter, "SGDR", ICLR 2017, eq. 5, one cycle).
  double annealedRate(std::size_t step, std::size_t steps) const {
    const double progress = static_cast<double>(step) / static_cast<double>(steps);
    return options_.learningRate * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }

  Score trainBatch(std::span<const Id> rows, double learningRate) {
    const Score sum = forward(rows);
    network_.backward(classifier_.parameters.data(), rows.size(), gradient_.data(), threads_);
    optimizer_.step(learningRate, classifier_.parameters.data(), gradient_.data(), threads_);
    return sum;
  }

  /// Leaves the gradient of the batch's mean loss at the network's outputs.
  Score forward(std::span<const Id> rows) {
    const std::size_t inputs = shape_.inputs(), outputs = shape_.outputs();
    forChunks(rows.size(), chunkRows(inputs), threads_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        classifier_.input.apply(set_.vectors.row(rows[i]), network_.inputs() + i * inputs);
      }
    });
    network_.forward(classifier_.parameters.data(), rows.size(), threads_);
    forChunks(rows.size(), chunkRows(outputs * exponentialCost), threads_,
              [&](std::size_t begin, std::size_t end) {
                std::vector<Target<float>> target(set_.softLabels + 1);
                for (std::size_t i = begin; i < end; ++i) {
                  const std::span<float> logits(network_.outputs() + i * outputs, outputs);
                  fillTarget(rows[i], target);
                  hits_[i] =
                      std::max_element(logits.begin(), logits.end()) - logits.begin() == set_.labels[rows[i]];
                  losses_[i] = crossEntropy<float>(logits, target, 1.0F / static_cast<float>(rows.size()));
                }
              });
    Score sum;
    for (std::size_t i = 0; i < rows.size(); ++i) sum += {losses_[i], static_cast<double>(hits_[i])};
    return sum;
  }

  /// The labels of the first softLabels neighbors and of the row itself, in equal shares.
  void fillTarget(Id row, std::span<Target<float>> target) const {
    const float share = 1.0F / static_cast<float>(target.size());
    const Id* const neighbors = set_.neighbors.data() + static_cast<std::size_t>(row) * set_.neighborsPerRow;
    for (std::size_t s = 0; s < set_.softLabels; ++s) {
      target[s] = {static_cast<std::size_t>(set_.labels[neighbors[s]]), share};
    }
    target.back() = {static_cast<std::size_t>(set_.labels[row]), share};
  }

  /// Adam bounds each step by the learning rate, so that a diverging network is often a huge one, not an
  /// infinite one.
  void checkConverging(double loss, std::size_t epoch) const {
    const double guessing = std::log(static_cast<double>(std::max<std::size_t>(2, set_.bins)));
    if (loss <= 100 * guessing) return;
    std::ostringstream what;
    what << "the loss is " << loss << ", that of guessing " << guessing;
    fail(what.str(), epoch);
  }

  [[noreturn]] static void fail(const std::string& what, std::size_t epoch) {
    throw Error("ERR_NLSH_TRAINING",
                "training diverged in epoch " + std::to_string(epoch + 1) + ": " + what +
                    "; lower optimizer.learningRate",
                "optimizer.learningRate");
  }

  static constexpr std::size_t exponentialCost = 8;  // in element-wise operations

  const TrainingSet& set_;
  const TrainingOptions& options_;
  const Job& job_;
  const std::size_t threads_;
  Random seeds_;
  std::vector<Id> rows_;  // in the split's order: those held out, then those trained on
  const std::size_t heldOut_;
  const std::size_t batchRows_;
  const ClassifierShape shape_;
  Classifier classifier_;
  Network<float> network_;
  Adam optimizer_;
  std::vector<Id> order_;
  std::vector<float> gradient_;
  std::vector<double> losses_;  // of the batch's rows
  std::vector<std::uint8_t> hits_;
};

/// Labels and neighbors say where to read and to add.
void checkRange(std::span<const Id> values, std::size_t end, const std::string& argument) {
  const auto outside = [end](Id value) { return value < 0 || static_cast<std::size_t>(value) >= end; };
  const auto wrong = std::find_if(values.begin(), values.end(), outside);
  if (wrong == values.end()) return;
  throw argumentError(argument, "must be from 0 to " + std::to_string(end - 1) + ", but entry " +
                                    std::to_string(wrong - values.begin()) + " is " + std::to_string(*wrong));
}

}  // namespace

TrainingResult trainClassifier(const TrainingSet& set, const TrainingOptions& options, const Job& job) {
  checkRange(set.labels, set.bins, "labels");
  if (set.softLabels > 0) checkRange(set.neighbors, set.vectors.rows, "neighbors");
  return Trainer(set, options, job).run();
}

}  // namespace neural_lsh::cpu
