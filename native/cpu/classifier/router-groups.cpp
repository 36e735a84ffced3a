#include "router-groups.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "../../core/random.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t iterations = 10;
constexpr std::size_t width = ByteWeights::blockOutputs;

/// The centroid with the largest 2 <x, c> - |c|^2 for each row, in 8-bit integers: near enough, and the same
/// on every CPU.
void assign(const ByteRows& rows, const DenseLayer& centroids, std::span<std::size_t> labels) {
  constexpr std::size_t rowsAtOnce = 64;
  const QuantizedLayer layer(centroids);
  AlignedBuffer<float> scores(rowsAtOnce * layer.outputs());
  for (std::size_t first = 0; first < labels.size(); first += rowsAtOnce) {
    const std::size_t count = std::min(rowsAtOnce, labels.size() - first);
    layer.apply(rows, first, count, 0, layer.blocks(), scores.data(), layer.outputs());
    for (std::size_t row = 0; row < count; ++row) {
      const float* const score = scores.data() + row * layer.outputs();
      labels[first + row] =
          static_cast<std::size_t>(std::max_element(score, score + centroids.outputs) - score);
    }
  }
}

/// Centroids of the rows with each label, as a layer whose outputs are <x, c> - |c|^2 / 2; one without rows
/// stays.
void update(const DenseLayer& last, std::span<const std::size_t> labels, DenseLayer& centroids) {
  const std::size_t columns = last.inputs;
  std::vector<double> sums(centroids.weights.size());
  std::vector<std::size_t> counts(centroids.outputs);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    double* const sum = sums.data() + labels[row] * columns;
    for (std::size_t c = 0; c < columns; ++c) sum[c] += last.weights[row * columns + c];
    ++counts[labels[row]];
  }
  for (std::size_t g = 0; g < centroids.outputs; ++g) {
    float* const centroid = centroids.weights.data() + g * columns;
    double squared = 0;
    for (std::size_t c = 0; c < columns; ++c) {
      if (counts[g] > 0)
        centroid[c] = static_cast<float>(sums[g * columns + c] / static_cast<double>(counts[g]));
      squared += static_cast<double>(centroid[c]) * centroid[c];
    }
    centroids.biases[g] = static_cast<float>(-squared / 2);
  }
}

}  // namespace

BinGroups groupBins(const DenseLayer& last) {
  const std::size_t bins = last.outputs, columns = last.inputs;
  const auto groups = static_cast<std::size_t>(std::sqrt(static_cast<double>(bins)));
  ByteRows rows;
  rows.quantize(last.weights.data(), columns, bins, columns);

  // The first centroids: rows drawn without putting them back.
  std::vector<std::size_t> drawn(bins);
  std::iota(drawn.begin(), drawn.end(), std::size_t{0});
  Random(1).shuffle(std::span(drawn));
  DenseLayer centroids{columns, groups, {}, std::vector<float>(groups), false};
  for (std::size_t g = 0; g < groups; ++g) {
    const std::span<const float> row = last.row(drawn[g]);
    centroids.weights.insert(centroids.weights.end(), row.begin(), row.end());
  }
  std::vector<std::size_t> labels;
  update(last, labels, centroids);
  labels.resize(bins);
  for (std::size_t i = 0; i < iterations; ++i) {
    assign(rows, centroids, labels);
    update(last, labels, centroids);
  }

  std::vector<std::vector<Id>> members(groups);
  for (std::size_t bin = 0; bin < bins; ++bin) members[labels[bin]].push_back(static_cast<Id>(bin));
  std::erase_if(members, [](const std::vector<Id>& group) { return group.empty(); });
  BinGroups result{{}, {0}, {columns, members.size(), {}, {}, false}};
  for (const std::vector<Id>& group : members) {
    result.bins.insert(result.bins.end(), group.begin(), group.end());
    result.bins.resize((result.bins.size() + width - 1) / width * width, -1);
    result.blocks.push_back(result.bins.size() / width);
    const std::span<const float> centroid = centroids.row(labels[static_cast<std::size_t>(group.front())]);
    result.representatives.weights.insert(result.representatives.weights.end(), centroid.begin(),
                                          centroid.end());
    const auto size = static_cast<double>(group.size());
    double bias = 0;
    for (const Id bin : group) bias += last.biases[static_cast<std::size_t>(bin)] / size;
    result.representatives.biases.push_back(static_cast<float>(bias + std::log(size)));
  }
  return result;
}

}  // namespace neural_lsh::cpu
