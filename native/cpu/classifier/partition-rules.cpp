// The rules by which partitions by projections rank their bins: what enters a layer are a query's
// projections, what leaves it are the bins' logits. In a time that is linear in these, and with nothing to
// train.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../../core/error.h"
#include "../chunks.h"
#include "layer.h"

namespace neural_lsh::cpu {
namespace {

/// What a tree's node adds to the logits of the leaves under it.
template <typename Real>
struct Sides {
  Real left, right;
};

struct SquaredMargin {
  template <typename Real>
  Sides<Real> operator()(Real margin) const {
    const Real squared = -margin * margin;
    return margin > 0 ? Sides<Real>{squared, 0} : Sides<Real>{0, squared};
  }
};

struct LogSigmoid {
  template <typename Real>
  Sides<Real> operator()(Real margin) const {
    const Real rest = -std::log1p(std::exp(-std::abs(margin)));
    return {std::min<Real>(-margin, 0) + rest, std::min<Real>(margin, 0) + rest};
  }
};

/// A balanced tree of hyperplanes, by the margins of its nodes in preorder.
template <typename Real, typename Rule>
class TreeLeaves {
 public:
  explicit TreeLeaves(const LayerDescription& layer) { addNode(0, layer.outputs); }

  void operator()(const Real* margins, Real* leaves) const {
    // What a node hands down stands at its first leaf until the node's own turn comes.
    leaves[0] = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const auto [first, firstRight] = nodes_[i];
      const Sides<Real> sides = Rule{}(margins[i]);
      leaves[firstRight] = leaves[first] + sides.right;
      leaves[first] += sides.left;
    }
  }

 private:
  struct Node {
    std::uint32_t first, firstRight;  // leaf under it, and under its right side
  };

  void addNode(std::size_t first, std::size_t leaves) {
    if (leaves == 1) return;
    const std::size_t left = (leaves + 1) / 2;
    nodes_.push_back({static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(first + left)});
    addNode(first, left);
    addNode(first + left, leaves - left);
  }

  std::vector<Node> nodes_;
};

/// Bins are codes of bits: each costs what the numbers of the other sign are away from it.
template <typename Real>
class SignCodes {
 public:
  explicit SignCodes(const LayerDescription& layer) : bits_(layer.in.size()) {}

  void operator()(const Real* numbers, Real* bins) const {
    bins[0] = 0;
    for (std::size_t bit = 0; bit < bits_; ++bit) {
      const std::size_t value = std::size_t{1} << bit;
      const Real whereZero = std::min<Real>(-numbers[bit], 0), whereOne = std::min<Real>(numbers[bit], 0);
      for (std::size_t bin = 0; bin < value; ++bin) bins[value + bin] = bins[bin] + whereOne;
      for (std::size_t bin = 0; bin < value; ++bin) bins[bin] += whereZero;
    }
  }

 private:
  std::size_t bits_;
};

/// Bins are vertices of cross-polytopes, one of each.
template <typename Real>
class CrossPolytope {
 public:
  explicit CrossPolytope(const LayerDescription& layer) : polytopes_(layer.polytopes) {}

  void operator()(const Real* numbers, Real* bins) const {
    std::size_t count = 1;
    bins[0] = 0;
    for (const std::size_t dimensions : polytopes_) {
      Real largest = 0;
      for (std::size_t i = 0; i < dimensions; ++i) largest = std::max(largest, std::abs(numbers[i]));
      // From the last one on, so that none is overwritten before its turn.
      for (std::size_t bin = count; bin-- > 0;) {
        const Real before = bins[bin];
        Real* const vertices = bins + bin * 2 * dimensions;
        for (std::size_t i = 0; i < dimensions; ++i) {
          const Real toPositive = largest - numbers[i], toNegative = largest + numbers[i];
          vertices[2 * i] = before - toPositive * toPositive;
          vertices[2 * i + 1] = before - toNegative * toNegative;
        }
      }
      numbers += dimensions;
      count *= 2 * dimensions;
    }
  }

 private:
  std::vector<std::size_t> polytopes_;
};

template <typename Real, typename Rule>
class PartitionRule final : public Layer<Real> {
 public:
  explicit PartitionRule(const LayerDescription& layer)
      : inputs_(layer.in.size()), outputs_(layer.out.size()), rule_(layer) {}

  void infer(const Real*, const Real*, const Real* in, std::size_t rows, Real* out,
             std::size_t threads) const override {
    forChunks(rows, chunkRows(outputs_), threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) rule_(in + row * inputs_, out + row * outputs_);
    });
  }

  void backward(const Pass&, const Real*, const Real*, const Real*, Real*, Real*, Real*) override {
    throw argumentError("layers", "the rule of a partition by projections is not made to train through");
  }

 private:
  std::size_t inputs_, outputs_;
  Rule rule_;
};

}  // namespace

template <typename Real>
std::unique_ptr<Layer<Real>> makePartitionRule(const LayerDescription& layer) {
  if (layer.type == LayerType::signCodes)
    return std::make_unique<PartitionRule<Real, SignCodes<Real>>>(layer);
  if (layer.type == LayerType::crossPolytope)
    return std::make_unique<PartitionRule<Real, CrossPolytope<Real>>>(layer);
  if (layer.marginRule == MarginRule::squaredMargin)
    return std::make_unique<PartitionRule<Real, TreeLeaves<Real, SquaredMargin>>>(layer);
  return std::make_unique<PartitionRule<Real, TreeLeaves<Real, LogSigmoid>>>(layer);
}

template std::unique_ptr<Layer<float>> makePartitionRule(const LayerDescription&);
template std::unique_ptr<Layer<double>> makePartitionRule(const LayerDescription&);

}  // namespace neural_lsh::cpu
