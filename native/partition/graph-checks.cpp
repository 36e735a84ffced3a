#include "graph-checks.h"

#include <limits>
#include <string>
#include <vector>

#include "../core/error.h"

namespace neural_lsh {
namespace {

constexpr std::size_t int32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t nodesBetweenChecks = 1 << 16;

void checkOffsets(const Graph& graph) {
  const auto& offsets = graph.offsets;
  if (offsets.empty() || offsets.front() != 0 || graph.nodes() > int32Max) {
    throw argumentError(
        "xadj",
        "must begin with 0 and have one entry more than there are nodes, of which there may be 2^31 - 1");
  }
  for (std::size_t node = 0; node < graph.nodes(); ++node) {
    if (offsets[node + 1] < offsets[node]) {
      throw argumentError("xadj", "must not descend, but does after node " + std::to_string(node));
    }
  }
  if (static_cast<std::size_t>(offsets.back()) != graph.targets.size()) {
    throw argumentError("adjncy", "must have as many entries as the last one of xadj says (" +
                                      std::to_string(offsets.back()) + "), but has " +
                                      std::to_string(graph.targets.size()));
  }
  if (graph.weights.size() != graph.targets.size()) {
    throw argumentError("adjcwgt", "must have one weight for each of the " +
                                       std::to_string(graph.targets.size()) + " entries of adjncy, but has " +
                                       std::to_string(graph.weights.size()));
  }
}

void checkRow(const Graph& graph, std::int32_t node) {
  const auto name = [&] { return "node " + std::to_string(node); };
  std::int32_t previous = -1;
  for (std::int32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
    const std::int32_t target = graph.targets[edge];
    if (target < 0 || static_cast<std::size_t>(target) >= graph.nodes()) {
      throw argumentError("adjncy", name() + " has the neighbor " + std::to_string(target) +
                                        ", but must have one in [0, " + std::to_string(graph.nodes()) + ")");
    }
    if (target == node) throw argumentError("adjncy", name() + " is its own neighbor");
    if (target <= previous) {
      throw argumentError("adjncy", "the neighbors of " + name() + " must ascend, but " +
                                        std::to_string(target) + " follows " + std::to_string(previous));
    }
    if (graph.weights[edge] < 1) {
      throw argumentError("adjcwgt", "must be positive, but " + name() + " has an edge of weight " +
                                         std::to_string(graph.weights[edge]));
    }
    previous = target;
  }
}

Error oneWay(std::int32_t from, std::int32_t to) {
  return argumentError("adjncy", "must hold every edge in both directions, but has " + std::to_string(to) +
                                     " as a neighbor of " + std::to_string(from) + " and not the reverse");
}

/// Rows ascend, so walking through all rows in order must meet the entries of every single row in order, too,
/// seen from their other ends: one cursor a node is enough.
void checkSymmetry(const Graph& graph, const Job& job) {
  std::vector<std::int32_t> cursors(graph.offsets.begin(), graph.offsets.end() - 1);
  std::int64_t sum = 0;
  const auto nodes = static_cast<std::int32_t>(graph.nodes());
  for (std::int32_t node = 0; node < nodes; ++node) {
    if (node % nodesBetweenChecks == 0) job.check();
    for (std::int32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
      const std::int32_t target = graph.targets[edge];
      const std::int32_t back = cursors[target]++;
      const bool missing = back >= graph.offsets[target + 1] || graph.targets[back] > node;
      if (missing) throw oneWay(node, target);
      if (graph.targets[back] < node) throw oneWay(target, graph.targets[back]);
      if (graph.weights[back] != graph.weights[edge]) {
        throw argumentError("adjcwgt", "must be the same in both directions, but the edge between " +
                                           std::to_string(node) + " and " + std::to_string(target) +
                                           " has the weights " + std::to_string(graph.weights[edge]) +
                                           " and " + std::to_string(graph.weights[back]));
      }
      sum += graph.weights[edge];
    }
  }
  if (static_cast<std::size_t>(sum) > int32Max) {
    throw argumentError("adjcwgt", "must have a sum below 2^31, but it is " + std::to_string(sum));
  }
}

}  // namespace

void checkGraph(const Graph& graph, const Job& job) {
  checkOffsets(graph);
  const auto nodes = static_cast<std::int32_t>(graph.nodes());
  for (std::int32_t node = 0; node < nodes; ++node) {
    if (node % nodesBetweenChecks == 0) job.check();
    checkRow(graph, node);
  }
  checkSymmetry(graph, job);
}

}  // namespace neural_lsh
