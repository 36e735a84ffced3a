#include "training-backend.h"

#include <algorithm>
#include <numeric>

#include "../../core/random.h"
#include "../chunks.h"
#include "element-wise.h"
#include "network.h"

namespace neural_lsh::cpu {
namespace {

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

class CpuBackend final : public TrainingBackend {
 public:
  CpuBackend(const TrainingTask& task, const Job& job, Precision precision)
      : task_(task),
        set_(task.set),
        job_(job),
        threads_(job.threads == 0 ? hardwareThreads() : job.threads),
        passRows_(passRowsOf(task.network, task.batchRows)),
        network_(task.network, passRows_, precision),
        optimizer_(task.optimizer, task.network.parameters()),
        gradient_(task.network.parameters()),
        losses_(passRows_),
        hits_(passRows_),
        neighborsFound_(passRows_) {}

  std::size_t batchesAtOnce() const override { return 1; }

  Score train(std::span<const MiniBatch> batches) override {
    Score sum;
    for (const MiniBatch& batch : batches) sum += trainBatch(batch);
    return sum;
  }

  Score score(std::span<const Id> rows) override {
    Score sum;
    forPasses(rows, [&](std::size_t, std::span<const Id> part) {
      job_.check();
      infer(part);
      countNeighbors(part);
      const double normalizer = normalizerOf(part);
      sum += judge(part, normalizer);
      sum.normalizer += normalizer;
      if (set_.neighborsPerRow > 0 && !set_.neighbors.empty()) {
        sum.neighbors += part.size() * set_.neighborsPerRow;
        sum.neighborsFound += std::accumulate(
            neighborsFound_.begin(), neighborsFound_.begin() + static_cast<std::ptrdiff_t>(part.size()),
            std::size_t{0});
      }
    });
    return sum;
  }

  void logitsOf(std::span<const Id> rows, float* logits) override {
    forPasses(rows, [&](std::size_t first, std::span<const Id> part) {
      job_.check();
      infer(part);
      std::copy_n(network_.outputs(), part.size() * set_.bins, logits + first * set_.bins);
    });
  }

  const Weights& weights() override { return weights_; }
  void setWeights(const Weights& weights) override { weights_ = weights; }

  OptimizerState optimizerState() override {
    return {optimizer_.steps(), {optimizer_.slots().begin(), optimizer_.slots().end()}};
  }
  void restoreOptimizer(const OptimizerState& state) override {
    optimizer_.restore(state.slots, state.steps);
  }

 private:
  Score trainBatch(const MiniBatch& batch) {
    Random random(batch.seed);
    const std::uint64_t noiseSeed = random.next(), networkSeed = random.next();
    const double normalizer = normalizerOf(batch.rows);
    const bool inParts = batch.rows.size() <= passRows_ && optimizer_.worksInParts();
    float* const parameters = weights_.parameters.data();
    Score sum;
    forPasses(batch.rows, [&](std::size_t first, std::span<const Id> rows) {
      gather(rows);
      if (task_.inputNoise > 0) addNoise(rows.size(), noiseSeed + first);
      network_.forward(parameters, weights_.buffers.data(), rows.size(), networkSeed, threads_, first);
      sum += judge(rows, normalizer);
      if (inParts) {
        backwardUpdating(rows.size(), batch.learningRate);
      } else {
        network_.backward(parameters, rows.size(), gradient_.data(), nullptr, threads_, first);
      }
    });
    sum.normalizer = normalizer;
    if (!inParts) optimizer_.step(batch.learningRate, parameters, gradient_.data(), threads_);
    return sum;
  }

  /// The backward pass of a whole batch and the optimizer's step in one: parameters move while their gradient
  /// lies in the cache.
  void backwardUpdating(std::size_t rows, double learningRate) {
    float* const parameters = weights_.parameters.data();
    optimizer_.begin(learningRate);
    network_.backward(parameters, rows, gradient_.data(), threads_,
                      [&](std::size_t first, std::size_t count, float* gradient) {
                        optimizer_.update(first, count, parameters + first, gradient);
                      });
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

  void infer(std::span<const Id> rows) {
    gather(rows);
    network_.infer(weights_.parameters.data(), weights_.buffers.data(), network_.inputs(), rows.size(),
                   network_.outputs(), threads_);
  }

  void gather(std::span<const Id> rows) {
    const std::size_t inputs = task_.network.inputs();
    forChunks(rows.size(), chunkRows(inputs), threads_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        task_.input.apply(set_.vectors.row(rows[i]), network_.inputs() + i * inputs);
      }
    });
  }

  /// A generator a row, so that who draws for which row does not matter.
  void addNoise(std::size_t rows, std::uint64_t seed) {
    const std::size_t inputs = task_.network.inputs();
    forChunks(rows, chunkRows(inputs * exponentialCost), threads_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) {
        Random random(seed + row);
        float* const values = network_.inputs() + row * inputs;
        for (std::size_t c = 0; c < inputs; c += 2) {
          const auto [first, second] = random.normals();
          values[c] += static_cast<float>(task_.inputNoise * first);
          if (c + 1 < inputs) values[c + 1] += static_cast<float>(task_.inputNoise * second);
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
      set_.fillTarget(rows[i], target);
      hits_[i] = isFirstLargest(logits, static_cast<std::size_t>(set_.labels[rows[i]]));
      losses_[i] = rowLoss<float>(task_.loss, logits, target, scale);
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
      set_.fillTarget(row, target);
      return rowNormalizer<float>(task_.loss, set_.bins, target);
    };
    if (task_.loss.classWeights.empty()) return static_cast<double>(rows.size()) * one(rows[0]);
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

  /// How many neighbors of each row lie in the bins whose outputs are the largest, ties to the smaller bin.
  void countNeighbors(std::span<const Id> rows) {
    const std::size_t outputs = set_.bins, probes = std::min(task_.monitoredProbes, set_.bins);
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
            const std::span<const Id> neighbors(set_.neighborsOf(rows[i]), set_.neighborsPerRow);
            neighborsFound_[i] = static_cast<std::size_t>(std::ranges::count_if(
                neighbors, [&](Id id) { return probed[static_cast<std::size_t>(set_.labels[id])] == 1; }));
            for (std::size_t p = 0; p < probes; ++p) probed[order[p]] = 0;
          }
        });
  }

  static constexpr std::size_t exponentialCost = 8;  // in element-wise operations

  const TrainingTask task_;
  const TrainingSet& set_;
  const Job& job_;
  const std::size_t threads_;
  const std::size_t passRows_;  // at most so many pass through the network at once
  Network<float> network_;
  Optimizer<float> optimizer_;
  Weights weights_;
  std::vector<float> gradient_;
  std::vector<double> losses_;  // of the batch's rows
  std::vector<std::uint8_t> hits_;
  std::vector<std::size_t> neighborsFound_;
};

}  // namespace

void TrainingSet::fillTarget(Id row, std::span<Target<float>> target) const {
  const float share = 1.0F / static_cast<float>(target.size());
  const Id* const ids = neighborsOf(row);
  for (std::size_t s = 0; s < softLabels; ++s) target[s] = {static_cast<std::size_t>(labels[ids[s]]), share};
  target.back() = {static_cast<std::size_t>(labels[row]), share};
}

Score& Score::operator+=(const Score& other) {
  loss += other.loss;
  normalizer += other.normalizer;
  hits += other.hits;
  rows += other.rows;
  neighborsFound += other.neighborsFound;
  neighbors += other.neighbors;
  return *this;
}

MakeTrainingBackend cpuBackendOf(Precision precision) {
  return [precision](const TrainingTask& task, const Job& job) {
    return std::make_unique<CpuBackend>(task, job, precision);
  };
}

}  // namespace neural_lsh::cpu
