#include "similarity-graph.h"

#include <algorithm>
#include <limits>
#include <string>

#include "../core/error.h"
#include "../core/thread-pool.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t rowsPerTask = 4096;

/// For every node the rows that name it as their neighbor, ascending.
struct Incoming {
  std::vector<std::size_t> offsets;
  std::vector<Id> rows;
};

Incoming transpose(std::span<const Id> neighbors, std::size_t rows, std::size_t k) {
  Incoming incoming{std::vector<std::size_t>(rows + 1, 0), std::vector<Id>(neighbors.size())};
  for (std::size_t i = 0; i < neighbors.size(); ++i) {
    const Id target = neighbors[i];
    if (target < 0 || static_cast<std::size_t>(target) >= rows || static_cast<std::size_t>(target) == i / k) {
      throw argumentError("knnGraph", "row " + std::to_string(i / k) + " has the neighbor " +
                                          std::to_string(target) + "; neighbors must be other rows in [0, " +
                                          std::to_string(rows) + ")");
    }
    ++incoming.offsets[static_cast<std::size_t>(target) + 1];
  }
  for (std::size_t i = 0; i < rows; ++i) incoming.offsets[i + 1] += incoming.offsets[i];
  std::vector<std::size_t> next(incoming.offsets.begin(), incoming.offsets.end() - 1);
  for (std::size_t i = 0; i < neighbors.size(); ++i) {
    incoming.rows[next[static_cast<std::size_t>(neighbors[i])]++] = static_cast<Id>(i / k);
  }
  return incoming;
}

/// Merges two ascending lists; visit(id, weight) once for each id, weight 2 when it stands in both.
template <typename Visit>
void mergeEdges(std::span<const Id> outgoing, std::span<const Id> incoming, Visit visit) {
  std::size_t o = 0, i = 0;
  while (o < outgoing.size() || i < incoming.size()) {
    if (i == incoming.size() || (o < outgoing.size() && outgoing[o] < incoming[i])) {
      visit(outgoing[o++], 1);
    } else if (o == outgoing.size() || incoming[i] < outgoing[o]) {
      visit(incoming[i++], 1);
    } else {
      visit(outgoing[o++], 2);
      ++i;
    }
  }
}

}  // namespace

SimilarityGraph buildSimilarityGraph(std::span<const Id> neighbors, std::size_t rows, std::size_t k,
                                     const Job& job) {
  const Incoming incoming = transpose(neighbors, rows, k);
  const auto forEachRow = [&](auto body) {
    parallelFor((rows + rowsPerTask - 1) / rowsPerTask, job.threads, [&](std::size_t task) {
      job.check();
      std::vector<Id> outgoing(k);
      for (std::size_t row = task * rowsPerTask; row < std::min((task + 1) * rowsPerTask, rows); ++row) {
        std::copy_n(neighbors.begin() + static_cast<std::ptrdiff_t>(row * k), k, outgoing.begin());
        std::sort(outgoing.begin(), outgoing.end());
        if (std::adjacent_find(outgoing.begin(), outgoing.end()) != outgoing.end()) {
          throw argumentError("knnGraph", "row " + std::to_string(row) + " has a neighbor twice");
        }
        body(row, std::span<const Id>(outgoing),
             std::span(incoming.rows)
                 .subspan(incoming.offsets[row], incoming.offsets[row + 1] - incoming.offsets[row]));
      }
    });
  };

  SimilarityGraph graph;
  std::vector<std::size_t> degrees(rows, 0);
  forEachRow([&](std::size_t row, std::span<const Id> outgoing, std::span<const Id> sources) {
    mergeEdges(outgoing, sources, [&](Id, int) { ++degrees[row]; });
  });
  graph.offsets.assign(rows + 1, 0);
  std::size_t total = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    total += degrees[row];
    if (total > std::numeric_limits<std::int32_t>::max()) {
      throw argumentError(
          "knnGraph",
          "the similarity graph has more than 2^31 - 1 directed edges; use fewer neighbors or rows");
    }
    graph.offsets[row + 1] = static_cast<std::int32_t>(total);
  }
  graph.targets.resize(total);
  graph.weights.resize(total);
  forEachRow([&](std::size_t row, std::span<const Id> outgoing, std::span<const Id> sources) {
    auto position = static_cast<std::size_t>(graph.offsets[row]);
    mergeEdges(outgoing, sources, [&](Id target, int weight) {
      graph.targets[position] = target;
      graph.weights[position++] = weight;
    });
  });
  return graph;
}

}  // namespace neural_lsh::cpu
