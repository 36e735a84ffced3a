// Microseconds that routing takes a query on one thread, the choice of the bins included: in float32, in
// 8-bit integers and by two levels, one query a call and in blocks of 64, for probes = 8 and mass = 0.9. The
// networks are made up: hidden layers of random weights, or centroids in clusters of clusters as a linear
// router. Prints lines of JSON:
// {"layers":"128-512-256","way":"bytes","block":64,"probes":8,"mass":0,"bins":8,"microseconds":1.6,
// "multiplyAdds":196608}
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "../native/core/random.h"
#include "../native/cpu/classifier/router.h"

using namespace neural_lsh;
using namespace neural_lsh::cpu;

namespace {

constexpr std::size_t dimensions = 128, queries = 640;

struct Subject {
  Classifier classifier;
  std::vector<float> queries;
};

float normal(Random& random) {
  return static_cast<float>(random.normals().first);
}

Subject emptySubject(const std::vector<std::size_t>& outputs) {
  std::vector<LayerDescription> layers;
  const auto append = [&](LayerType type) -> LayerDescription& {
    layers.emplace_back().type = type;
    return layers.back();
  };
  for (const std::size_t count : outputs) {
    if (!layers.empty()) append(LayerType::activation).activation = Activation::relu;
    append(LayerType::linear).outputs = count;
  }
  Subject subject;
  subject.classifier.network = describeNetwork({dimensions, 1, 1}, layers);
  subject.classifier.parameters.resize(subject.classifier.network.parameters());
  subject.classifier.input = {false, std::vector<float>(dimensions, 0), std::vector<float>(dimensions, 1)};
  subject.queries.resize(queries * dimensions);
  return subject;
}

/// Weights as He et al. 2015 start with, three times as large in the last layer: about as sure as a trained
/// network.
Subject randomNetwork(const std::vector<std::size_t>& outputs) {
  Subject subject = emptySubject(outputs);
  Random random(1);
  for (const LayerDescription& layer : subject.classifier.network.layers) {
    const double gain = layer.out.size() == outputs.back() ? 3 : 1;
    const auto deviation = static_cast<float>(gain * std::sqrt(2.0 / static_cast<double>(layer.in.size())));
    for (std::size_t i = 0; i < layer.parameters; ++i) {
      const bool weight = i < layer.in.size() * layer.out.size();
      subject.classifier.parameters[layer.parameterOffset + i] = weight ? normal(random) * deviation : 0;
    }
  }
  for (float& value : subject.queries) value = normal(random);
  return subject;
}

/// Bins' centroids around the square root of as many centers, and queries around centroids.
Subject centroids(std::size_t bins) {
  constexpr float spread = 1, temperature = 40;
  Subject subject = emptySubject({bins});
  Random random(1);
  const auto count = static_cast<std::size_t>(std::sqrt(static_cast<double>(bins)));
  std::vector<float> centers(count * dimensions), points(bins * dimensions);
  for (float& value : centers) value = normal(random);
  float* const weights = subject.classifier.parameters.data();
  for (std::size_t b = 0; b < bins; ++b) {
    float squared = 0;
    for (std::size_t d = 0; d < dimensions; ++d) {
      const float value = centers[b % count * dimensions + d] + spread * normal(random);
      points[b * dimensions + d] = value;
      weights[b * dimensions + d] = 2 * value / temperature;
      squared += value * value;
    }
    weights[bins * dimensions + b] = -squared / temperature;
  }
  for (std::size_t q = 0; q < queries; ++q) {
    const float* const point = points.data() + random.below(bins) * dimensions;
    for (std::size_t d = 0; d < dimensions; ++d) {
      subject.queries[q * dimensions + d] = point[d] + spread * normal(random);
    }
  }
  return subject;
}

void measure(const std::string& name, const Subject& subject) {
  constexpr int rounds = 15;
  const auto scratch = Router::makeScratch();
  std::vector<std::vector<RankedBin>> chosen(queries);
  const auto run = [&](const char* way, const RouterOptions& options) {
    const Router router(subject.classifier, options);
    for (const std::size_t block : {std::size_t{1}, std::size_t{64}}) {
      for (const Probing probing : {Probing{8, 0}, Probing{0, 0.9}}) {
        double best = 1e9;
        for (int round = 0; round < rounds; ++round) {
          const auto start = std::chrono::steady_clock::now();
          for (std::size_t q = 0; q < queries; q += block) {
            router.chooseBins(subject.queries.data() + q * dimensions, block, {probing, {}, 0}, *scratch,
                              std::span(chosen).subspan(q, block));
          }
          const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
          best = std::min(best, seconds.count() / queries);
        }
        double bins = 0;
        for (const auto& row : chosen) bins += static_cast<double>(row.size()) / queries;
        std::printf(
            "{\"layers\":\"%s\",\"way\":\"%s\",\"block\":%zu,\"probes\":%zu,\"mass\":%g,\"bins\":%.1f,"
            "\"microseconds\":%.3f,\"multiplyAdds\":%zu}\n",
            name.c_str(), way, block, probing.probes, probing.mass, bins, best * 1e6,
            subject.classifier.network.multiplyAdds());
        std::fflush(stdout);
      }
    }
  };
  const std::size_t bins = subject.classifier.network.outputs();
  run("float32", {false, bins + 1});
  run("bytes", {true, bins + 1});
  if (bins >= 1024) run("two levels", {true, bins});
}

}  // namespace

int main() {
  measure("128-512-512-256", randomNetwork({512, 512, 256}));
  measure("128-512-256", randomNetwork({512, 256}));
  for (const std::size_t bins : {256, 1024, 2048, 4096, 16384}) {
    measure("128-" + std::to_string(bins), centroids(bins));
  }
}
