#include "router.h"

#include <algorithm>
#include <cfloat>
#include <numeric>
#include <utility>

#include "../../core/aligned-buffer.h"
#include "../chunks.h"
#include "../kernels/kernels.h"
#include "bin-choice.h"
#include "layer.h"
#include "network.h"
#include "quantized-network.h"
#include "router-groups.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t lanes = ByteWeights::blockOutputs;

/// Which groups are looked at: those that hold nearly all of the probability, or those that can hold a bin of
/// the probability that is asked for. The more is wanted, the less may be missed.
BinBudget groupBudget(const Probing& probing) {
  if (probing.probability > 0) return {{0, 1, probing.probability / groupsUnderestimated, 0}, {}, 0};
  const double missed = probing.probes > 0 ? 0.002 : (1 - probing.mass) / 20;
  const double left = missed / (groupsUnderestimated - (groupsUnderestimated - 1) * missed);
  return {{0, 1 - left, 0, 0}, {}, 0};
}

}  // namespace

class Router::Scratch {
 public:
  AlignedBuffer<float> in, out, logits;
  ByteRows bytes;
  BinChoice choice;
  std::vector<RankedBin> groups;
  std::vector<Id> bins;
};

struct Router::Implementation {
  Implementation(Classifier&& from, const RouterOptions& options)
      : classifier(std::move(from)), network(classifier.network, 0), bins(numbered(outputs())) {
    if (!options.bytes) return;
    const auto dense = denseLayers(classifier);
    if (!dense) return;
    for (const DenseLayer& layer : *dense) layers.emplace_back(layer);
    if (isPartitionRule(classifier.network.layers.back()))
      rule = makePartitionRule<float>(classifier.network.layers.back());
    if (rule || outputs() < options.groupsFrom) return;
    BinGroups groups = groupBins(dense->back());
    bins = std::move(groups.bins);
    layers.back() = QuantizedLayer(dense->back(), bins);
    groupBlocks = std::move(groups.blocks);
    representatives = QuantizedLayer(groups.representatives);
    groupNumbers = numbered(groups.representatives.outputs);
  }

  /// 0, 1, 2 ... and -1 for what a layer adds to them.
  static std::vector<Id> numbered(std::size_t count) {
    std::vector<Id> numbers((count + lanes - 1) / lanes * lanes, -1);
    std::iota(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(count), 0);
    return numbers;
  }

  std::size_t outputs() const { return classifier.network.outputs(); }
  bool hasGroups() const { return !groupBlocks.empty(); }

  /// What the rule makes of projections, as logits of `bins`.
  void applyRule(const float* projections, float* logits) const {
    rule->infer(nullptr, nullptr, projections, 1, logits, 1);
    kernels().scale(logits, outputs(), static_cast<float>(1 / classifier.temperature));
    std::fill(logits + outputs(), logits + bins.size(), -FLT_MAX);
  }

  void chooseByGroups(std::size_t row, const BinBudget& budget, Scratch& scratch,
                      std::vector<RankedBin>& chosen) const;

  Classifier classifier;
  Network<float> network;
  std::vector<Id> bins;                // whose each logit is; -1: nobody's
  std::vector<QuantizedLayer> layers;  // none: the network runs in float32
  std::unique_ptr<Layer<float>> rule;  // what turns the last one's outputs into logits; nothing: they are

  // Of the two levels (router-groups.h); empty where there is one.
  QuantizedLayer representatives;
  std::vector<std::size_t> groupBlocks;
  std::vector<Id> groupNumbers;
};

std::unique_ptr<Router::Scratch, void (*)(Router::Scratch*)> Router::makeScratch() {
  return {new Scratch, [](Scratch* scratch) { delete scratch; }};
}

Router::Router(Classifier classifier, const RouterOptions& options)
    : implementation_(std::make_unique<Implementation>(std::move(classifier), options)) {}
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;
Router::~Router() = default;

const Classifier& Router::classifier() const {
  return implementation_->classifier;
}
std::size_t Router::bins() const {
  return implementation_->outputs();
}

void Router::logits(const float* inputs, std::size_t rows, float* out, std::size_t threads) const {
  // What a block's layers pass on stays in the caches, or at least in bounds.
  const Classifier& classifier = implementation_->classifier;
  const std::size_t widest = classifier.network.widest();
  const std::size_t blockRows = std::clamp<std::size_t>((std::size_t{1} << 22) / widest, 1, 1024);
  const std::size_t columns = classifier.network.inputs(), bins = classifier.network.outputs();
  const auto inverse = static_cast<float>(1 / classifier.temperature);
  thread_local AlignedBuffer<float> buffer;
  for (std::size_t first = 0; first < rows; first += blockRows) {
    const std::size_t count = std::min(blockRows, rows - first);
    float* const in = buffer.require(count * columns);
    float* const block = out + first * bins;
    forChunks(count, chunkRows(columns), threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) {
        classifier.input.apply(inputs + (first + row) * columns, in + row * columns);
      }
    });
    implementation_->network.infer(classifier.parameters.data(), classifier.buffers.data(), in, count, block,
                                   threads);
    if (inverse == 1.0F) continue;
    for (std::size_t i = 0; i < count * bins; ++i) block[i] *= inverse;
  }
}

/// The groups whose representatives say that they hold nearly all of the probability, then the bins in them.
void Router::Implementation::chooseByGroups(std::size_t row, const BinBudget& budget, Scratch& scratch,
                                            std::vector<RankedBin>& chosen) const {
  const QuantizedLayer& last = layers.back();
  float* const logits = scratch.logits.require(std::max(last.outputs(), representatives.outputs()));
  representatives.apply(scratch.bytes, row, 1, 0, representatives.blocks(), logits, 0);
  scratch.choice.choose({logits, representatives.outputs()}, groupNumbers, 0, groupBudget(budget.probing),
                        scratch.groups);

  scratch.bins.clear();
  double share = 0;
  for (const auto& [group, probability] : scratch.groups) {
    const std::size_t begin = groupBlocks[static_cast<std::size_t>(group)];
    const std::size_t end = groupBlocks[static_cast<std::size_t>(group) + 1];
    last.apply(scratch.bytes, row, 1, begin, end, logits + scratch.bins.size(), 0);
    scratch.bins.insert(scratch.bins.end(), bins.begin() + static_cast<std::ptrdiff_t>(begin * lanes),
                        bins.begin() + static_cast<std::ptrdiff_t>(end * lanes));
    share += probability;
  }
  const double others = groupsUnderestimated * std::max(0.0, 1 - share) / std::max(share, 1e-9);
  if (!scratch.groups.empty() &&
      scratch.choice.choose({logits, scratch.bins.size()}, scratch.bins, others, budget, chosen))
    return;
  last.apply(scratch.bytes, row, 1, 0, last.blocks(), logits, 0);
  scratch.choice.choose({logits, last.outputs()}, bins, 0, budget, chosen);
}

void Router::chooseBins(const float* inputs, std::size_t rows, const BinBudget& budget, Scratch& scratch,
                        std::span<std::vector<RankedBin>> chosen) const {
  const Implementation& implementation = *implementation_;
  const NetworkDescription& network = implementation.classifier.network;
  const std::size_t columns = network.inputs(), padded = implementation.bins.size();
  if (implementation.layers.empty()) {
    // Row by row: in float, a row's rounding would depend on how many are multiplied together.
    float* const logits = scratch.logits.require(padded);
    for (std::size_t row = 0; row < rows; ++row) {
      this->logits(inputs + row * columns, 1, logits, 1);
      std::fill(logits + network.outputs(), logits + padded, -FLT_MAX);
      scratch.choice.choose({logits, padded}, implementation.bins, 0, budget, chosen[row]);
    }
    return;
  }

  // What a block's layers pass on stays in the cache.
  constexpr std::size_t blockNumbers = std::size_t{1} << 18;
  const std::size_t widest = std::max(network.widest(), padded);
  const std::size_t blockRows = std::clamp<std::size_t>(blockNumbers / widest, 6, 64);
  for (std::size_t first = 0; first < rows; first += blockRows) {
    const std::size_t count = std::min(blockRows, rows - first);
    float* in = scratch.in.require(count * (widest + lanes));
    float* out = scratch.out.require(count * (widest + lanes));
    for (std::size_t row = 0; row < count; ++row) {
      implementation.classifier.input.apply(inputs + (first + row) * columns, in + row * columns);
    }
    std::size_t stride = columns;
    for (const QuantizedLayer& layer : implementation.layers) {
      scratch.bytes.quantize(in, stride, count, layer.inputs());
      if (implementation.hasGroups() && &layer == &implementation.layers.back()) break;
      layer.apply(scratch.bytes, 0, count, 0, layer.blocks(), out, layer.outputs());
      stride = layer.outputs();
      std::swap(in, out);
    }
    for (std::size_t row = 0; row < count; ++row) {
      std::vector<RankedBin>& bins = chosen[first + row];
      if (implementation.hasGroups()) {
        implementation.chooseByGroups(row, budget, scratch, bins);
      } else if (implementation.rule) {
        float* const logits = scratch.logits.require(padded);
        implementation.applyRule(in + row * stride, logits);
        scratch.choice.choose({logits, padded}, implementation.bins, 0, budget, bins);
      } else {
        scratch.choice.choose({in + row * stride, stride}, implementation.bins, 0, budget, bins);
      }
    }
  }
}

}  // namespace neural_lsh::cpu
