#include "subgraphs.h"

namespace neural_lsh {

std::vector<Subgraph> split(const Graph& graph, std::span<const Id> labels, std::size_t parts) {
  std::vector<Subgraph> subgraphs(parts);
  std::vector<Id> places(graph.nodes());
  for (std::size_t node = 0; node < graph.nodes(); ++node) {
    std::vector<Id>& nodes = subgraphs[static_cast<std::size_t>(labels[node])].nodes;
    places[node] = static_cast<Id>(nodes.size());
    nodes.push_back(static_cast<Id>(node));
  }
  for (Subgraph& subgraph : subgraphs) {
    subgraph.offsets.reserve(subgraph.nodes.size() + 1);
    subgraph.offsets.push_back(0);
    for (const Id node : subgraph.nodes) {
      const auto begin = graph.offsets[static_cast<std::size_t>(node)];
      const auto end = graph.offsets[static_cast<std::size_t>(node) + 1];
      for (std::int32_t edge = begin; edge < end; ++edge) {
        const auto target = static_cast<std::size_t>(graph.targets[edge]);
        if (labels[target] != labels[static_cast<std::size_t>(node)]) continue;
        subgraph.targets.push_back(places[target]);
        subgraph.weights.push_back(graph.weights[edge]);
      }
      subgraph.offsets.push_back(static_cast<std::int32_t>(subgraph.targets.size()));
    }
  }
  return subgraphs;
}

}  // namespace neural_lsh
