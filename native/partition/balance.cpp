#include "balance.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <tuple>

namespace neural_lsh {
namespace {

struct Move {
  std::int64_t loss;  // what it adds to the edge cut
  Id node;
  Id bin;
};

class Balancer {
 public:
  Balancer(const Graph& graph, std::size_t bins, std::size_t bound, std::span<Id> labels)
      : graph_(graph), bound_(bound), labels_(labels), sizes_(binSizes(labels, bins)), links_(bins, 0) {}

  void enforce() {
    std::vector<std::vector<Id>> crowds(sizes_.size());
    for (std::size_t node = 0; node < labels_.size(); ++node) {
      if (sizes_[labels_[node]] > bound_) crowds[labels_[node]].push_back(static_cast<Id>(node));
    }
    for (const std::vector<Id>& crowd : crowds) {
      if (!crowd.empty()) thin(crowd);
    }
  }

  /// One pass over all nodes; returns by how much it lowered the cut.
  std::int64_t improve() {
    std::int64_t gain = 0;
    for (std::size_t node = 0; node < labels_.size(); ++node) {
      if (!isAtBoundary(node)) continue;
      const Move move = bestMove(static_cast<Id>(node));
      if (move.loss >= 0 || sizes_[move.bin] >= bound_) continue;
      gain -= move.loss;
      apply(move);
    }
    return gain;
  }

 private:
  bool isAtBoundary(std::size_t node) const {
    for (std::int32_t e = graph_.offsets[node]; e < graph_.offsets[node + 1]; ++e) {
      if (labels_[graph_.targets[e]] != labels_[node]) return true;
    }
    return false;
  }

  /// Moves the nodes of a bin that cost least until it keeps the bound.
  void thin(const std::vector<Id>& crowd) {
    std::vector<Move> moves;
    for (const Id node : crowd) moves.push_back(bestMove(node));
    std::ranges::sort(moves, {}, [](const Move& move) { return std::tuple(move.loss, move.node); });
    const std::size_t excess = crowd.size() - bound_;
    for (std::size_t i = 0; i < excess; ++i) apply(bestMove(moves[i].node));
  }

  void apply(const Move& move) {
    --sizes_[labels_[move.node]];
    ++sizes_[move.bin];
    labels_[move.node] = move.bin;
  }

  Move bestMove(Id node) {
    const auto edges = [&](auto visit) {
      for (std::int32_t e = graph_.offsets[node]; e < graph_.offsets[node + 1]; ++e) {
        visit(labels_[graph_.targets[e]], graph_.weights[e]);
      }
    };
    edges([&](Id bin, std::int32_t weight) { links_[bin] += weight; });
    Id best = -1;
    edges([&](Id bin, std::int32_t) {
      if (sizes_[bin] < bound_ &&
          (best < 0 || std::tuple(-links_[bin], bin) < std::tuple(-links_[best], best)))
        best = bin;
    });
    if (best < 0) best = static_cast<Id>(std::ranges::min_element(sizes_) - sizes_.begin());
    const std::int64_t loss = links_[labels_[node]] - links_[best];
    edges([&](Id bin, std::int32_t) { links_[bin] = 0; });
    return {loss, node, best};
  }

  const Graph& graph_;
  std::size_t bound_;
  std::span<Id> labels_;
  std::vector<std::size_t> sizes_;
  std::vector<std::int64_t> links_;  // edge weight between one node and each bin; all 0 between calls
};

}  // namespace

std::vector<std::size_t> binSizes(std::span<const Id> labels, std::size_t bins) {
  std::vector<std::size_t> sizes(bins, 0);
  for (const Id label : labels) ++sizes[label];
  return sizes;
}

double balanceOf(std::span<const Id> labels, std::size_t bins) {
  const auto largest = static_cast<double>(std::ranges::max(binSizes(labels, bins)));
  return largest * static_cast<double>(bins) / static_cast<double>(labels.size());
}

void enforceBound(const Graph& graph, std::size_t bins, std::size_t bound, std::span<Id> labels) {
  Balancer(graph, bins, bound, labels).enforce();
}

void refine(const Graph& graph, std::size_t bins, std::size_t bound, std::span<Id> labels, const Job& job) {
  Balancer balancer(graph, bins, bound, labels);
  const std::int64_t all = std::accumulate(graph.weights.begin(), graph.weights.end(), std::int64_t{0});
  // A pass that gains less than a thousandth of all edge weight is the last.
  for (std::int64_t gain = all; gain * 1000 > all;) {
    job.check();
    gain = balancer.improve();
  }
}

}  // namespace neural_lsh
