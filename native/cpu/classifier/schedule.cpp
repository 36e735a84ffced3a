#include "schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace neural_lsh::cpu {
namespace {

/// Half a cosine from 1 to the minimum.
double cosineFactor(const ScheduleOptions& options, std::size_t step, std::size_t stepsPerEpoch) {
  const double steps = options.epochs * static_cast<double>(stepsPerEpoch);
  const double progress = std::min(1.0, static_cast<double>(step) / steps);
  return options.minimum + (1 - options.minimum) * (1 + std::cos(std::numbers::pi * progress)) / 2;
}

/// How often the factor was taken `epochs` whole epochs after the warm-up.
std::size_t drops(const ScheduleOptions& options, std::size_t epochs) {
  switch (options.type) {
    case ScheduleType::step:
      return epochs / options.every;
    case ScheduleType::multiStep: {
      const auto passed = [epochs](double milestone) { return milestone <= static_cast<double>(epochs); };
      return static_cast<std::size_t>(std::ranges::count_if(options.milestones, passed));
    }
    case ScheduleType::exponential:
      return epochs;
    default:
      return 0;
  }
}

}  // namespace

double scheduleFactor(const ScheduleOptions& options, const PlateauState& plateau, std::size_t step,
                      std::size_t stepsPerEpoch) {
  const double warmup = std::round(options.warmup * static_cast<double>(stepsPerEpoch));
  if (static_cast<double>(step) < warmup) return static_cast<double>(step + 1) / warmup;
  const std::size_t steps = step - static_cast<std::size_t>(warmup);
  if (options.type == ScheduleType::plateau) return plateau.factor;
  if (options.type == ScheduleType::cosine) return cosineFactor(options, steps, stepsPerEpoch);
  return std::pow(options.factor, static_cast<double>(drops(options, steps / stepsPerEpoch)));
}

void observe(const ScheduleOptions& options, PlateauState& plateau, double loss) {
  if (options.type != ScheduleType::plateau) return;
  constexpr double threshold = 1e-4;
  if (loss < plateau.lowestLoss * (1 - threshold)) {
    plateau.lowestLoss = loss;
    plateau.staleEpochs = 0;
  } else if (++plateau.staleEpochs > options.patience) {
    plateau.factor *= options.factor;
    plateau.staleEpochs = 0;
  }
}

}  // namespace neural_lsh::cpu
