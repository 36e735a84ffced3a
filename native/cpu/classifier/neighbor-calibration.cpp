#include "neighbor-calibration.h"

#include <algorithm>
#include <vector>

#include "../../core/error.h"
#include "calibration.h"
#include "router.h"

namespace neural_lsh::cpu {

Calibration calibrateToNeighbors(const Classifier& classifier, const Matrix& queries,
                                 std::span<const Id> neighborBins, const Job& job) {
  Classifier plain = classifier;
  plain.temperature = 1;
  const Router router(std::move(plain), {.bytes = false});
  const std::size_t bins = router.bins(), k = neighborBins.size() / queries.rows;
  const std::size_t rows = std::min(queries.rows, std::max<std::size_t>(1, (std::size_t{1} << 24) / bins));
  std::vector<float> logits(rows * bins), shares(rows * bins);
  router.logits(queries.data, rows, logits.data(), job.threads);
  for (std::size_t i = 0; i < rows * k; ++i) {
    const auto bin = static_cast<std::size_t>(neighborBins[i]);
    if (neighborBins[i] < 0 || bin >= bins) throw argumentError("neighborBins", "must be in [0, bins)");
    shares[i / k * bins + bin] += 1 / static_cast<float>(k);
  }
  const CalibrationSet set{logits, shares, bins};
  const auto temperature = static_cast<double>(static_cast<float>(fitTemperature(set, job)));
  return {temperature, expectedCalibrationError(set, 1), expectedCalibrationError(set, temperature)};
}

}  // namespace neural_lsh::cpu
