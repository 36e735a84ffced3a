#include "kahip.h"

#include <kaHIP_interface.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include "../core/error.h"
#include "balance.h"
#include "child-process.h"
#include "graph-checks.h"

namespace neural_lsh {
namespace {

using namespace std::chrono_literals;

void checkOptions(const Graph& graph, const PartitionOptions& options) {
  if (options.bins < 2 || static_cast<std::size_t>(options.bins) > graph.nodes()) {
    throw argumentError("bins", "must be in [2, " + std::to_string(graph.nodes()) +
                                    "], the number of nodes, but is " + std::to_string(options.bins));
  }
  if (!(options.imbalance >= 0 && options.imbalance <= 1)) {
    throw argumentError("imbalance", "must be in [0, 1], but is " + std::to_string(options.imbalance));
  }
  if (options.mode < KahipMode::fast || options.mode > KahipMode::strongSocial) {
    throw argumentError("mode", "must be one of KaHIP's six");
  }
}

/// At an imbalance of 0 KaHIP searches cycles of moves for minutes, at a tiny one it ends in no time and
/// misses the bound by a few nodes, which enforceBound moves.
constexpr double leastImbalance = 1e-6;

/// Returns KaHIP's edge cut. kaffpa takes its arrays as not const, but only reads them. It leaves every
/// node's weight at 1 when given none.
int callKaffpa(const Graph& graph, const PartitionOptions& options, Id* labels) {
  int nodes = static_cast<int>(graph.nodes());
  int bins = options.bins;
  double imbalance = std::max(options.imbalance, leastImbalance);
  int cut = 0;
  const auto writable = [](std::span<const std::int32_t> values) { return const_cast<int*>(values.data()); };
  kaffpa(&nodes, nullptr, writable(graph.offsets), writable(graph.weights), writable(graph.targets), &bins,
         &imbalance, true, options.seed, static_cast<int>(options.mode), &cut, labels);
  return cut;
}

/// KaHIP and the C library keep the state of their random numbers in globals. A call in this process holds
/// the lock all through; a fork holds it, too, so that no child starts with a copy of half-changed state.
std::unique_lock<std::timed_mutex> lockKaffpa(const Job& job) {
  static std::timed_mutex mutex;
  std::unique_lock lock(mutex, std::defer_lock);
  while (!lock.try_lock_for(20ms)) job.check();
  return lock;
}

Error describe(const ChildEnd& end) {
  switch (end.kind) {
    case ChildEnd::Kind::outOfMemory:
      return Error("ERR_NLSH_MEMORY", "KaHIP ran out of memory");
    case ChildEnd::Kind::signal: {
      const std::string name = std::to_string(end.signal) + " (" + strsignal(end.signal) + ")";
      return Error("ERR_NLSH_PARTITION", "KaHIP's process was ended by signal " + name +
                                             ": perhaps the system is short of memory; " +
                                             "otherwise try another mode or seed");
    }
    default:
      return Error("ERR_NLSH_PARTITION", "KaHIP ended abnormally: try another mode or seed");
  }
}

Partition runKahip(const Graph& graph, const PartitionOptions& options, const Job& job) {
  const SharedMemory memory((graph.nodes() + 1) * sizeof(Id));
  Id* const labels = static_cast<Id*>(memory.data());
  int& cut = labels[graph.nodes()];
  Partition partition;
  auto lock = lockKaffpa(job);
  if (const auto child = ChildProcess::start([&] { cut = callKaffpa(graph, options, labels); })) {
    lock.unlock();
    const ChildEnd end = child->wait(job);
    if (end.kind != ChildEnd::Kind::finished) throw describe(end);
    partition.peakBytes = end.peakBytes;
  } else {
    cut = callKaffpa(graph, options, labels);
  }
  partition.labels.assign(labels, labels + graph.nodes());
  partition.edgeCut = cut;
  return partition;
}

/// What KaHIP returned must be a partition, and the cut that it gave must be that partition's.
void checkResult(const Graph& graph, const Partition& partition, const PartitionOptions& options) {
  for (const Id label : partition.labels) {
    if (label < 0 || label >= options.bins) {
      throw Error("ERR_NLSH_PARTITION",
                  "KaHIP returned the bin " + std::to_string(label) + " of " + std::to_string(options.bins));
    }
  }
  const std::int64_t cut = edgeCut(graph, partition.labels);
  if (partition.edgeCut != cut) {
    throw Error("ERR_NLSH_PARTITION", "KaHIP gave the edge cut " + std::to_string(partition.edgeCut) +
                                          ", but that of its partition is " + std::to_string(cut));
  }
}

/// (1 + imbalance) * ceil(nodes / bins), rounded down; the sum of the bounds is at least the number of nodes.
std::size_t sizeBound(std::size_t nodes, const PartitionOptions& options) {
  const std::size_t mean = (nodes + options.bins - 1) / options.bins;
  return static_cast<std::size_t>((1 + options.imbalance) * static_cast<double>(mean) + 1e-9);
}

}  // namespace

std::int64_t edgeCut(const Graph& graph, std::span<const Id> labels) {
  std::int64_t cut = 0;
  for (std::size_t node = 0; node < graph.nodes(); ++node) {
    for (std::int32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
      if (labels[node] != labels[graph.targets[edge]]) cut += graph.weights[edge];
    }
  }
  return cut / 2;
}

Partition partitionGraph(const Graph& graph, const PartitionOptions& options, const Job& job) {
  checkGraph(graph, job);
  checkOptions(graph, options);
  Partition partition = runKahip(graph, options, job);
  checkResult(graph, partition, options);
  enforceBound(graph, options.bins, sizeBound(graph.nodes(), options), partition.labels);
  const auto largest = static_cast<double>(std::ranges::max(binSizes(partition.labels, options.bins)));
  partition.balance = largest * options.bins / static_cast<double>(graph.nodes());
  partition.edgeCut = edgeCut(graph, partition.labels);
  return partition;
}

}  // namespace neural_lsh
