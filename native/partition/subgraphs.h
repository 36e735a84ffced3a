// The parts of a graph as graphs of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../core/types.h"

namespace neural_lsh {

struct Subgraph {
  std::vector<Id> nodes;  // of the whole graph, ascending; node i of the subgraph is nodes[i]
  std::vector<std::int32_t> offsets;
  std::vector<std::int32_t> targets;
  std::vector<std::int32_t> weights;

  Graph graph() const { return {offsets, targets, weights}; }
};

/// For each part the graph of its nodes and of the edges between them; labels in [0, parts).
std::vector<Subgraph> split(const Graph& graph, std::span<const Id> labels, std::size_t parts);

}  // namespace neural_lsh
