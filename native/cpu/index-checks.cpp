// What a file says of an index is checked before anything trusts it.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../core/error.h"
#include "query.h"
#include "vectors.h"

namespace neural_lsh::cpu {
namespace {

/// Whether the numbers are 0 .. count - 1 in some order.
void checkEachOnce(std::span<const Id> numbers, std::size_t count, const char* name, const char* what) {
  std::vector<bool> seen(count, false);
  for (const Id number : numbers) {
    const auto at = static_cast<std::size_t>(number);
    if (number < 0 || at >= count || seen[at])
      throw argumentError(name, std::string("must hold every ") + what + " once");
    seen[at] = true;
  }
}

void requireFinite(std::span<const float> values, const char* name, const Job& job) {
  if (findNotFinite(values, job)) throw argumentError(name, "holds a value that is not a finite number");
}

}  // namespace

void checkBins(const StoredBins& bins, const Job& job) {
  const std::size_t rows = bins.vectors.rows;
  if (bins.offsets.front() != 0 || static_cast<std::size_t>(bins.offsets.back()) != rows ||
      !std::is_sorted(bins.offsets.begin(), bins.offsets.end())) {
    throw argumentError("bins.offsets", "must rise from 0 to the number of vectors");
  }
  checkEachOnce(bins.ids, rows, "bins.ids", "row number");
  if (bins.vectors.floats != nullptr)
    requireFinite({bins.vectors.floats, rows * bins.vectors.columns}, "vectors", job);
}

void checkCodes(const FourBitCodes& codes, const Job& job) {
  checkEachOnce(codes.columns, codes.columns.size(), "codes.columns", "column");
  requireFinite(codes.codebooks, "codes.codebooks", job);
  requireFinite(codes.means, "codes.means", job);
}

void checkClassifier(const Classifier& classifier, const Job& job) {
  requireFinite(classifier.parameters, "classifier.parameters", job);
  requireFinite(classifier.buffers, "classifier.buffers", job);
  requireFinite(classifier.input.mean, "classifier.input.mean", job);
  requireFinite(classifier.input.scale, "classifier.input.scale", job);
  if (classifier.children) {
    requireFinite(classifier.children->parameters, "classifier.parameters", job);
    requireFinite(classifier.children->buffers, "classifier.buffers", job);
  }
  if (!std::isfinite(classifier.temperature) || classifier.temperature <= 0)
    throw argumentError("classifier.temperature", "must be a finite number above 0");
}

}  // namespace neural_lsh::cpu
