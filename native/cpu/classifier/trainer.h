// Training the classifier on mini-batches of seeded shuffles.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "../../core/job.h"
#include "../../core/types.h"
#include "classifier.h"
#include "initialization.h"
#include "schedule.h"
#include "training-backend.h"

namespace neural_lsh::cpu {

enum class Monitor { loss, neighborAccuracy };

struct EarlyStopping {
  Monitor monitor = Monitor::loss;
  std::size_t patience = 3;  // epochs without a better value that are borne
};

/// What a training needs, besides the classifier, to go on as if it had never stopped.
struct TrainingState {
  std::size_t epochs = 0;         // trained so far
  std::size_t steps = 0;          // of the optimizer
  std::vector<float> slots;       // of the optimizer
  std::vector<float> parameters;  // of the last epoch, where the classifier may be an earlier, better one
  std::vector<float> buffers;     // likewise
  PlateauState plateau;
  double bestValue = 0;       // of what early stopping watches
  std::size_t bestEpoch = 0;  // 0: none yet
};

/// Where to start: weights, and for a training that goes on its input transform and state.
struct StartingPoint {
  std::span<const float> parameters;
  std::span<const float> buffers;       // empty: as initialised
  std::optional<InputTransform> input;  // none: learned from the set
  std::optional<TrainingState> state;   // none: a new optimizer
};

struct TrainingOptions {
  NetworkDescription network;
  Initialization initialization;
  InputType input = InputType::center;
  Loss loss;
  bool balancedClasses = false;  // loss.classWeights become n / (bins * the bin's points), 0 for empty bins
  OptimizerOptions optimizer;
  double learningRate = 1e-3;
  ScheduleOptions schedule;
  double inputNoise = 0;        // deviation of the normal noise that is added to what the network is fed with
  std::size_t epochs = 10;      // 0: the weights stay as they are, only the temperature is fitted
  std::size_t batchSize = 512;  // an epoch's last batch may be smaller
  double validationFraction = 0.05;  // of the rows, rounded down, held out
  std::optional<EarlyStopping> earlyStopping;
  std::size_t monitoredProbes = 1;  // bins in which neighborAccuracy looks for neighbors
  bool calibrate = true;            // fit the temperature, if rows are held out
  std::uint64_t seed = 1;
  std::optional<StartingPoint> start;
};

struct EpochReport {
  std::size_t epoch;          // from 1, over all trainings that go on from each other
  double learningRate;        // of its last step
  double trainingLoss;        // mean over the epoch's rows, each as its batch was trained
  double trainingAccuracy;    // argmax equals the row's own label
  double validationLoss;      // after the epoch; NaN without validation rows
  double validationAccuracy;  // likewise
  double neighborAccuracy;    // Acc@k of the held-out rows: share of their neighbors that lie in the
                              // monitoredProbes most probable bins; NaN without neighbors, too
  double seconds;
};

struct Calibration {
  double temperature;
  double errorBefore;  // expected calibration error on the held-out rows at temperature 1
  double errorAfter;
};

struct TrainingResult {
  Classifier classifier;
  std::vector<EpochReport> history;
  std::size_t bestEpoch = 0;  // whose weights these are
  std::optional<Calibration> calibration;
  std::vector<Id> heldOut;  // the rows that were held out, in the split's order
  TrainingState state;
};

/// Progress is reported in mini-batches. The result depends on the set, the options and the backend, on the
/// CPU not on the number of threads. Throws Cancelled, Error ERR_NLSH_TRAINING naming the epoch when training
/// diverges (a loss or weight that is not finite, or a mean loss above 100 times that of guessing), and Error
/// ERR_NLSH_ARGUMENT when a label, a neighbor or the starting point are out of range.
///
/// Denormal numbers are zeros all the while (core/floating-point-mode.h).
///
/// Random numbers (core/random.h): the outputs of Random(seed) are the seeds of further generators, in this
/// order:
/// 1. the split: 0 .. n - 1 is shuffled, the first floor(n * validationFraction) rows are held out, the
/// others trained;
/// 2. the weights (initialization.h);
/// 3. and on, one an epoch: from it the rows to be trained, in the split's order, are shuffled and taken
/// batch by batch; its further outputs are the batches' seeds, whose first output is that of the input noise,
/// and whose second that of Network::forward.
TrainingResult trainClassifier(const TrainingSet& set, const TrainingOptions& options, const Job& job,
                               const MakeTrainingBackend& makeBackend = cpuBackendOf(Precision::single));

}  // namespace neural_lsh::cpu
