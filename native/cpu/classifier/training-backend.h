// What of a training runs on a machine of its own: everything that a mini-batch, or a look at rows that are
// held out, goes through. The trainer says which rows, in which order, at which rate; a backend has the
// weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "../../core/job.h"
#include "../../core/types.h"
#include "../sgemm.h"
#include "description.h"
#include "input-transform.h"
#include "losses.h"
#include "optimizer.h"

namespace neural_lsh::cpu {

/// Labels in [0, bins). neighbors: row-major n x neighborsPerRow row numbers of `vectors`. With softLabels =
/// S > 0 (S <= neighborsPerRow) a row's target is the histogram of the labels of its first S neighbors and of
/// itself, each 1 / (S + 1); with S = 0 it is its own label.
struct TrainingSet {
  Matrix vectors;
  std::span<const Id> labels;
  std::size_t bins = 0;
  std::span<const Id> neighbors;
  std::size_t neighborsPerRow = 0;
  std::size_t softLabels = 0;
  /// The rows to hold out, each once; none given: drawn by the seed.
  std::optional<std::span<const Id>> heldOut = std::nullopt;

  const Id* neighborsOf(Id row) const {
    return neighbors.data() + static_cast<std::size_t>(row) * neighborsPerRow;
  }
  /// The labels of the first softLabels neighbors and of the row itself, in equal shares; of the size
  /// softLabels + 1.
  void fillTarget(Id row, std::span<Target<float>> target) const;
};

/// Sums over rows, and what they are to be divided by.
struct Score {
  double loss = 0;
  double normalizer = 0;
  std::size_t hits = 0;
  std::size_t rows = 0;
  std::size_t neighborsFound = 0;
  std::size_t neighbors = 0;

  Score& operator+=(const Score& other);
  static double share(std::size_t part, std::size_t whole) {
    constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
    return whole == 0 ? nothing : static_cast<double>(part) / static_cast<double>(whole);
  }
  double meanLoss() const {
    if (rows == 0) return share(0, 0);
    return normalizer == 0 ? 0 : loss / normalizer;  // 0: rows of bins that weigh nothing
  }
  double accuracy() const { return share(hits, rows); }
  double neighborAccuracy() const { return share(neighborsFound, neighbors); }
};

struct Weights {
  std::vector<float> parameters;
  std::vector<float> buffers;
};

struct OptimizerState {
  std::size_t steps = 0;
  std::vector<float> slots;
};

/// The same for all mini-batches; what it refers to outlives the backend.
struct TrainingTask {
  const TrainingSet& set;
  const NetworkDescription& network;
  Loss loss;  // with the weights of the classes, where they count
  const OptimizerOptions& optimizer;
  const InputTransform& input;
  double inputNoise = 0;
  std::size_t batchRows = 0;  // at most in a mini-batch
  std::size_t monitoredProbes = 1;
};

struct MiniBatch {
  std::span<const Id> rows;
  double learningRate;
  std::uint64_t seed;  // trainer.h says of what
};

/// Used by one thread at a time; throws Cancelled when the job is.
class TrainingBackend {
 public:
  virtual ~TrainingBackend() = default;

  /// Mini-batches that `train` should be given in one call: more where waiting for its answer takes long.
  virtual std::size_t batchesAtOnce() const = 0;
  /// A step of the optimizer for each, in order; the score of each batch before its step, summed up.
  virtual Score train(std::span<const MiniBatch> batches) = 0;
  /// Of the weights as they are, with the neighbors found where the set has neighbors.
  virtual Score score(std::span<const Id> rows) = 0;
  /// What the network gives for the rows, rows x bins.
  virtual void logitsOf(std::span<const Id> rows, float* logits) = 0;

  /// Valid until the next call.
  virtual const Weights& weights() = 0;
  virtual void setWeights(const Weights& weights) = 0;
  virtual OptimizerState optimizerState() = 0;
  /// Throws Error ERR_NLSH_ARGUMENT when the slots are not those of this network and optimizer.
  virtual void restoreOptimizer(const OptimizerState& state) = 0;
};

using MakeTrainingBackend =
    std::function<std::unique_ptr<TrainingBackend>(const TrainingTask& task, const Job& job)>;

/// On the CPU. Results depend on its kernels, not on the number of threads.
MakeTrainingBackend cpuBackendOf(Precision precision);

}  // namespace neural_lsh::cpu
