#include "balance.h"

#include <algorithm>
#include <cstdint>
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

  void run() {
    for (std::size_t bin = 0; bin < sizes_.size(); ++bin) {
      if (sizes_[bin] > bound_) empty(static_cast<Id>(bin));
    }
  }

 private:
  void empty(Id bin) {
    std::vector<Move> moves;
    for (std::size_t node = 0; node < labels_.size(); ++node) {
      if (labels_[node] == bin) moves.push_back(bestMove(static_cast<Id>(node)));
    }
    std::ranges::sort(moves, {}, [](const Move& move) { return std::tuple(move.loss, move.node); });
    const std::size_t excess = sizes_[bin] - bound_;
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

void enforceBound(const Graph& graph, std::size_t bins, std::size_t bound, std::span<Id> labels) {
  Balancer(graph, bins, bound, labels).run();
}

}  // namespace neural_lsh
