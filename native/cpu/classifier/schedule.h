// The learning rate in the course of training.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace neural_lsh::cpu {

enum class ScheduleType { constant, step, multiStep, exponential, cosine, plateau };

/// Times are in epochs. Which fields mean something depends on the type.
struct ScheduleOptions {
  ScheduleType type = ScheduleType::cosine;
  double factor = 0.1;             // step, multi-step, exponential, plateau: what the rate is multiplied with
  std::size_t every = 1;           // step: epochs between two of them
  std::vector<double> milestones;  // multi-step: epochs, rising
  double minimum = 0;              // cosine: where it ends, as a share of the learning rate
  double epochs = 1;               // cosine: when it ends
  std::size_t patience = 2;        // plateau: epochs without a lower loss that are borne
  double warmup = 0;               // any: epochs of a linear rise before it, from which on it counts its time
};

/// What reduce-on-plateau has seen (as torch's ReduceLROnPlateau, mode min, relative threshold 1e-4).
struct PlateauState {
  double lowestLoss = std::numeric_limits<double>::infinity();
  std::size_t staleEpochs = 0;
  double factor = 1;
};

/// Share of the learning rate in optimizer step `step` (from 0, counted over all epochs). Step, multi-step
/// and exponential change from epoch to epoch (Loshchilov & Hutter's cosine, ICLR 2017, eq. 5, and the
/// warm-up from step to step): factor ^ floor(epochs passed / every), factor ^ (milestones passed), factor ^
/// (whole epochs passed), minimum + (1 - minimum) (1 + cos(pi t / epochs)) / 2 with t = min(epochs passed,
/// epochs), all counted from the end of the warm-up. Step s of W warm-up steps (W = warmup * stepsPerEpoch,
/// rounded): (s + 1) / W.
double scheduleFactor(const ScheduleOptions& options, const PlateauState& plateau, std::size_t step,
                      std::size_t stepsPerEpoch);

/// After an epoch, with the loss that is watched.
void observe(const ScheduleOptions& options, PlateauState& plateau, double loss);

}  // namespace neural_lsh::cpu
