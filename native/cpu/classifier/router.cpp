#include "router.h"

#include <algorithm>
#include <cfloat>
#include <numeric>
#include <optional>
#include <utility>

#include "../../core/aligned-buffer.h"
#include "../chunks.h"
#include "../kernels/kernels.h"
#include "bin-choice.h"
#include "child-routers.h"
#include "layer.h"
#include "network.h"
#include "quantized-network.h"
#include "router-groups.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t lanes = ByteWeights::blockOutputs;

/// Which groups are looked at: those that hold nearly all of the probability, or those that can hold a bin of
/// the probability that is asked for. The more is wanted, the less may be missed.
BinBudget groupBudget(const Probing& probing, double underestimated) {
  if (probing.probability > 0) return {{0, 1, probing.probability / underestimated, 0}, {}, 0};
  const double missed = probing.probes > 0 ? 0.002 : (1 - probing.mass) / 20;
  const double left = missed / (underestimated - (underestimated - 1) * missed);
  return {{0, 1 - left, 0, 0}, {}, 0};
}

}  // namespace

class Router::Scratch {
 public:
  AlignedBuffer<float> in, out, logits, groupLogits;
  ByteRows inputs, bytes;  // what enters the first layer and the others
  ChildRouters::Scratch children;
  BinChoice choice;
  std::vector<RankedBin> groups;
  std::vector<Id> bins;
};

struct Router::Implementation {
  Implementation(Classifier&& from, const RouterOptions& options)
      : classifier(std::move(from)), network(classifier.network, 0), bins(numbered(classifier.bins())) {
    if (classifier.children) children.emplace(classifier, options.bytes);
    if (!options.bytes || (children && !children->inBytes())) return;
    const auto dense = denseLayers(firstLevel());
    if (!dense) return;
    for (const DenseLayer& layer : *dense) layers.emplace_back(layer);
    if (children) {
      groupNumbers = numbered(children->groups());
      underestimated = 1;
      return;
    }
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

  void plainLogits(const float* in, std::size_t rows, float* out, std::size_t threads) const;

  std::size_t outputs() const { return classifier.network.outputs(); }
  bool hasGroups() const { return !groupBlocks.empty(); }

  /// What comes before the rule or the children. Of two levels the temperature is that of both together.
  Classifier firstLevel() const {
    if (!children) return classifier;
    return {classifier.network, classifier.parameters, classifier.buffers, classifier.input, 1, {}};
  }

  /// What the rule makes of projections, as logits of `bins`.
  void applyRule(const float* projections, float* logits) const {
    rule->infer(nullptr, nullptr, projections, 1, logits, 1);
    kernels().scale(logits, outputs(), static_cast<float>(1 / classifier.temperature));
    std::fill(logits + outputs(), logits + bins.size(), -FLT_MAX);
  }

  void chooseByRepresentatives(std::size_t row, const BinBudget& budget, Scratch& scratch,
                               std::vector<RankedBin>& chosen) const;
  void chooseByChildren(std::size_t row, const float* groupLogits, const BinBudget& budget, Scratch& scratch,
                        std::vector<RankedBin>& chosen) const;
  template <typename Append>
  void chooseInGroups(std::span<float> groupLogits, const BinBudget& budget, Scratch& scratch,
                      const Append& append, std::vector<RankedBin>& chosen) const;

  Classifier classifier;
  Network<float> network;
  std::vector<Id> bins;                // whose each logit is; -1: nobody's
  std::vector<QuantizedLayer> layers;  // none: the network runs in float32
  std::unique_ptr<Layer<float>> rule;  // what turns the last one's outputs into logits; nothing: they are

  // Of the two levels (router-groups.h); empty where there is one.
  QuantizedLayer representatives;
  std::vector<std::size_t> groupBlocks;
  std::vector<Id> groupNumbers;
  double underestimated = groupsUnderestimated;

  std::optional<ChildRouters> children;
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
  return implementation_->classifier.bins();
}

/// The float32 logits of transformed inputs, at temperature 1.
void Router::Implementation::plainLogits(const float* in, std::size_t rows, float* out,
                                         std::size_t threads) const {
  const auto firstLevel = [&](float* to) {
    network.infer(classifier.parameters.data(), classifier.buffers.data(), in, rows, to, threads);
  };
  if (!children) return firstLevel(out);
  const std::size_t groups = children->groups(), each = children->bins();
  thread_local AlignedBuffer<float> buffers[2];
  float* const shares = buffers[0].require(rows * groups);
  float* const inGroup = buffers[1].require(rows * each);
  firstLevel(shares);
  logSoftmaxRows(shares, rows, groups);
  for (std::size_t group = 0; group < groups; ++group) {
    children->logProbabilities(*classifier.children, in, rows, group, inGroup, threads);
    for (std::size_t row = 0; row < rows; ++row) {
      float* const to = out + (row * groups + group) * each;
      for (std::size_t i = 0; i < each; ++i) to[i] = shares[row * groups + group] + inGroup[row * each + i];
    }
  }
}

void Router::logits(const float* inputs, std::size_t rows, float* out, std::size_t threads) const {
  // What a block's layers pass on stays in the caches, or at least in bounds.
  const Classifier& classifier = implementation_->classifier;
  const std::size_t columns = classifier.network.inputs(), bins = classifier.bins();
  const std::size_t widest = std::max(classifier.network.widest(), bins);
  const std::size_t blockRows = std::clamp<std::size_t>((std::size_t{1} << 22) / widest, 1, 1024);
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
    implementation_->plainLogits(in, count, block, threads);
    if (inverse == 1.0F) continue;
    for (std::size_t i = 0; i < count * bins; ++i) block[i] *= inverse;
  }
}

void Router::dropFloats() {
  Classifier& classifier = implementation_->classifier;
  if (implementation_->layers.empty()) return;
  std::vector<float>().swap(classifier.parameters);
  if (classifier.children) std::vector<float>().swap(classifier.children->parameters);
}

/// The groups that seem to hold nearly all of the probability, then the bins in them. append(group): adds the
/// group's bins to scratch.bins, and their logits behind those that are there.
template <typename Append>
void Router::Implementation::chooseInGroups(std::span<float> groupLogits, const BinBudget& budget,
                                            Scratch& scratch, const Append& append,
                                            std::vector<RankedBin>& chosen) const {
  scratch.choice.choose(groupLogits, groupNumbers, 0, groupBudget(budget.probing, underestimated),
                        scratch.groups);
  const auto choose = [&](double others) {
    return scratch.choice.choose({scratch.logits.data(), scratch.bins.size()}, scratch.bins, others, budget,
                                 chosen);
  };
  scratch.bins.clear();
  double share = 0;
  for (const auto& [group, probability] : scratch.groups) {
    append(static_cast<std::size_t>(group));
    share += probability;
  }
  const double others = underestimated * std::max(0.0, 1 - share) / std::max(share, 1e-9);
  if (!scratch.groups.empty() && choose(others)) return;
  scratch.bins.clear();
  for (const Id group : groupNumbers) {
    if (group >= 0) append(static_cast<std::size_t>(group));
  }
  choose(0);
}

void Router::Implementation::chooseByRepresentatives(std::size_t row, const BinBudget& budget,
                                                     Scratch& scratch, std::vector<RankedBin>& chosen) const {
  const QuantizedLayer& last = layers.back();
  float* const logits = scratch.logits.require(std::max(last.outputs(), representatives.outputs()));
  const ByteRows& bytes = layers.size() == 1 ? scratch.inputs : scratch.bytes;
  representatives.apply(bytes, row, 1, 0, representatives.blocks(), logits, 0);
  const auto append = [&](std::size_t group) {
    const std::size_t begin = groupBlocks[group], end = groupBlocks[group + 1];
    last.apply(bytes, row, 1, begin, end, logits + scratch.bins.size(), 0);
    scratch.bins.insert(scratch.bins.end(), bins.begin() + static_cast<std::ptrdiff_t>(begin * lanes),
                        bins.begin() + static_cast<std::ptrdiff_t>(end * lanes));
  };
  chooseInGroups({logits, representatives.outputs()}, budget, scratch, append, chosen);
}

/// `groupLogits`: what the first level made of the row.
void Router::Implementation::chooseByChildren(std::size_t row, const float* groupLogits,
                                              const BinBudget& budget, Scratch& scratch,
                                              std::vector<RankedBin>& chosen) const {
  const std::size_t groups = children->groups(), each = children->bins(), padded = children->paddedBins();
  const auto inverse = static_cast<float>(1 / classifier.temperature);
  float* const shares = scratch.groupLogits.require(groupNumbers.size());
  std::copy_n(groupLogits, groups, shares);
  logSoftmaxRows(shares, 1, groups);
  for (std::size_t group = 0; group < groups; ++group) shares[group] *= inverse;
  std::fill(shares + groups, shares + groupNumbers.size(), -FLT_MAX);

  float* const logits = scratch.logits.require(groups * padded);
  const auto append = [&](std::size_t group) {
    float* const to = logits + scratch.bins.size();
    children->logProbabilities(scratch.inputs, row, group, scratch.children, to);
    for (std::size_t i = 0; i < each; ++i) to[i] = shares[group] + to[i] * inverse;
    for (std::size_t i = 0; i < padded; ++i)
      scratch.bins.push_back(i < each ? static_cast<Id>(group * each + i) : -1);
  };
  chooseInGroups({shares, groupNumbers.size()}, budget, scratch, append, chosen);
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
      std::fill(logits + bins(), logits + padded, -FLT_MAX);
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
      ByteRows& bytes = &layer == &implementation.layers.front() ? scratch.inputs : scratch.bytes;
      bytes.quantize(in, stride, count, layer.inputs());
      if (implementation.hasGroups() && &layer == &implementation.layers.back()) break;
      layer.apply(bytes, 0, count, 0, layer.blocks(), out, layer.outputs());
      stride = layer.outputs();
      std::swap(in, out);
    }
    for (std::size_t row = 0; row < count; ++row) {
      std::vector<RankedBin>& bins = chosen[first + row];
      if (implementation.hasGroups()) {
        implementation.chooseByRepresentatives(row, budget, scratch, bins);
      } else if (implementation.children) {
        implementation.chooseByChildren(row, in + row * stride, budget, scratch, bins);
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
