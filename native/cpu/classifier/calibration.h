// Probabilities that mean what they say: temperature scaling (Guo, Pleiss, Sun & Weinberger, "On Calibration
// of Modern Neural Networks", ICML 2017).
#pragma once

#include <cstddef>
#include <span>

#include "../../core/job.h"

namespace neural_lsh::cpu {

/// At least one row. logits: rows x bins, finite. shares: rows x bins, a row's target distribution (0 or 1
/// for hard labels), summing to 1.
struct CalibrationSet {
  std::span<const float> logits;
  std::span<const float> shares;
  std::size_t bins;
};

/// The temperature in [1e-9, 1e9] at which the mean cross-entropy of softmax(logits / temperature) against
/// the shares is lowest (sec. 4.2): to within 1e-4 relative.
double fitTemperature(const CalibrationSet& set, const Job& job);

/// Expected calibration error (Guo et al., eq. 3): the most probable bin's probability against its share of
/// the target, in 15 equal intervals of probability.
double expectedCalibrationError(const CalibrationSet& set, double temperature);

}  // namespace neural_lsh::cpu
