// Training the classifier: mini-batches of seeded shuffles, cross-entropy with hard or soft labels, Adam.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"
#include "adam.h"
#include "classifier.h"

namespace neural_lsh::cpu {

struct TrainingOptions {
  std::vector<std::size_t> hidden;
  std::size_t epochs = 10;
  std::size_t batchSize = 512;  // an epoch's last batch may be smaller
  double learningRate = 1e-3;   // of the first step; it falls to 0 along half a cosine
  AdamOptions optimizer;
  double validationFraction = 0.05;  // of the rows, rounded down, held out
  std::uint64_t seed = 1;
  std::span<const float> initialParameters;  // empty: seeded
};

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
};

struct EpochReport {
  double trainingLoss;        // mean over the epoch's rows, each as its batch was trained
  double trainingAccuracy;    // argmax equals the row's own label
  double validationLoss;      // after the epoch; NaN without validation rows
  double validationAccuracy;  // likewise
  double seconds;
};

struct TrainingResult {
  Classifier classifier;
  std::vector<EpochReport> history;
};

/// Progress is reported in mini-batches. The result depends on the set, the options and the CPU's kernels,
/// not on the number of threads. Throws Cancelled, Error ERR_NLSH_TRAINING naming the epoch when training
/// diverges (a loss or weight that is not finite, or a mean loss above 100 times that of guessing), and Error
/// ERR_NLSH_ARGUMENT when a label, a neighbor or the initial parameters are out of range.
///
/// Random numbers (core/random.h): the outputs of Random(seed) are the seeds of further generators, in this
/// order:
/// 1. the split: 0 .. n - 1 is shuffled, the first floor(n * validationFraction) rows are held out, the
/// others trained;
/// 2. the weights, layer by layer: (2 uniform() - 1) / sqrt(inputs), which on MNIST ended at a lower
/// validation loss than the wider sqrt(6 / inputs) of He et al. 2015; biases are 0;
/// 3. and on, one an epoch: the rows to be trained, in the split's order, are shuffled, and taken batch by
/// batch.
TrainingResult trainClassifier(const TrainingSet& set, const TrainingOptions& options, const Job& job);

}  // namespace neural_lsh::cpu
