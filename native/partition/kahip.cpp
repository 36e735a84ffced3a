#include "kahip.h"

#include <kaHIP_interface.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <ranges>
#include <string>

#include "../core/error.h"
#include "../core/thread-pool.h"
#include "balance.h"
#include "child-process.h"
#include "graph-checks.h"
#include "subgraphs.h"

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
  if (options.seeds < 1) throw argumentError("seeds", "must be at least 1");
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

/// Whether one call of KaHIP is enough: its time, on one core, grows with the bins that border on each other.
/// Where recursion overtakes it was measured, on 100,000 to 1,000,000 nodes.
bool fitsOneCall(std::size_t nodes, std::size_t bins) {
  return bins <= 64 || (bins <= 512 && nodes <= 500'000);
}

/// What does not fit is first cut into so many parts.
constexpr std::size_t parts = 8;

/// One call of KaHIP, checked.
Partition partitionDirectly(const Graph& graph, const PartitionOptions& options, const Job& job) {
  Partition partition = runKahip(graph, options, job);
  checkResult(graph, partition, options);
  return partition;
}

/// The bins of each part in proportion to its size; every part has room for its nodes where that is possible,
/// and a bin if it has nodes.
std::vector<std::size_t> shareBins(std::span<const std::size_t> sizes, std::size_t bins, std::size_t bound) {
  std::vector<std::size_t> shares;
  for (const std::size_t size : sizes) shares.push_back((size + bound - 1) / bound);
  std::size_t given = std::accumulate(shares.begin(), shares.end(), std::size_t{0});
  const auto crowding = [&](std::size_t part, std::size_t share) {
    if (share == 0) return sizes[part] == 0 ? 0 : std::numeric_limits<double>::infinity();
    return static_cast<double>(sizes[part]) / static_cast<double>(share);
  };
  const auto grown = [&](std::size_t part) { return crowding(part, shares[part]); };
  const auto shrunk = [&](std::size_t part) {
    return shares[part] == 0 ? std::numeric_limits<double>::infinity() : crowding(part, shares[part] - 1);
  };
  const std::ranges::iota_view<std::size_t, std::size_t> all(0, sizes.size());
  for (; given < bins; ++given) ++shares[*std::ranges::max_element(all, {}, grown)];
  for (; given > bins; --given) --shares[*std::ranges::min_element(all, {}, shrunk)];
  return shares;
}

/// Cuts a graph into parts, those into parts of their own until one call of KaHIP is enough for each, and
/// moves single nodes at the end.
class Recursion {
 public:
  Recursion(const PartitionOptions& options, const Job& job) : options_(options), job_(job) {}

  Partition run(const Graph& graph) {
    const auto bins = static_cast<std::size_t>(options_.bins);
    bound_ = sizeBound(graph.nodes(), options_);
    Partition partition = cut(graph, bins);
    enforceBound(graph, bins, bound_, partition.labels);
    refine(graph, bins, bound_, partition.labels, job_);
    return partition;
  }

 private:
  Partition cut(const Graph& graph, std::size_t bins) {
    const bool isTrivial = bins <= 1 || bins >= graph.nodes();
    if (!isTrivial && !fitsOneCall(graph.nodes(), bins))
      return cutParts(graph, bins, call(graph, parts, bins));
    Partition partition = isTrivial ? apart(graph.nodes(), bins) : call(graph, bins, bins);
    job_.progress(settled_ += bins, static_cast<std::size_t>(options_.bins));
    return partition;
  }

  /// One bin, or one for each node.
  static Partition apart(std::size_t nodes, std::size_t bins) {
    Partition partition;
    partition.labels.resize(nodes, 0);
    if (bins > 1) std::iota(partition.labels.begin(), partition.labels.end(), 0);
    return partition;
  }

  /// Cuts a graph that shall have `bins` bins in the end into `blocks`.
  Partition call(const Graph& graph, std::size_t blocks, std::size_t bins) const {
    PartitionOptions options = options_;
    options.bins = static_cast<std::int32_t>(blocks);
    const std::size_t mean = (graph.nodes() + bins - 1) / bins;
    options.imbalance = std::clamp(static_cast<double>(bound_) / static_cast<double>(mean) - 1, 0.0, 1.0);
    return partitionDirectly(graph, options, job_);
  }

  /// Replaces the labels of parts by those of the bins of each.
  Partition cutParts(const Graph& graph, std::size_t bins, Partition partition) {
    std::vector<Subgraph> subgraphs = split(graph, partition.labels, parts);
    std::vector<std::size_t> sizes, begins(parts, 0), peaks(parts, 0);
    for (const Subgraph& subgraph : subgraphs) sizes.push_back(subgraph.nodes.size());
    const std::vector<std::size_t> shares = shareBins(sizes, bins, bound_);
    std::exclusive_scan(shares.begin(), shares.end(), begins.begin(), std::size_t{0});
    parallelFor(parts, job_.threads, [&](std::size_t part) {
      const Subgraph subgraph = std::move(subgraphs[part]);
      const Partition found = cut(subgraph.graph(), shares[part]);
      peaks[part] = found.peakBytes;
      for (std::size_t i = 0; i < found.labels.size(); ++i) {
        const auto node = static_cast<std::size_t>(subgraph.nodes[i]);
        partition.labels[node] = static_cast<Id>(begins[part]) + found.labels[i];
      }
    });
    std::ranges::sort(peaks, std::greater());
    const std::size_t together = std::min(parts, job_.threads == 0 ? hardwareThreads() : job_.threads);
    const auto end = peaks.begin() + static_cast<std::ptrdiff_t>(together);
    partition.peakBytes = std::max(partition.peakBytes, std::accumulate(peaks.begin(), end, std::size_t{0}));
    return partition;
  }

  const PartitionOptions& options_;
  const Job& job_;
  std::size_t bound_ = 0;
  std::atomic<std::size_t> settled_{0};  // bins
};

/// A partition that keeps the bound, with its cut.
Partition partitionOnce(const Graph& graph, const PartitionOptions& options, const Job& job) {
  const auto bins = static_cast<std::size_t>(options.bins);
  Partition partition = fitsOneCall(graph.nodes(), bins) ? partitionDirectly(graph, options, job)
                                                         : Recursion(options, job).run(graph);
  enforceBound(graph, bins, sizeBound(graph.nodes(), options), partition.labels);
  partition.edgeCut = edgeCut(graph, partition.labels);
  return partition;
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
  std::vector<Partition> tried(options.seeds);
  parallelFor(options.seeds, job.threads, [&](std::size_t i) {
    PartitionOptions one = options;
    one.seed =
        static_cast<std::int32_t>((static_cast<std::int64_t>(options.seed) + static_cast<std::int64_t>(i)) &
                                  std::numeric_limits<std::int32_t>::max());
    tried[i] = partitionOnce(graph, one, job);
  });
  Partition best = std::move(*std::ranges::min_element(tried, {}, &Partition::edgeCut));
  best.balance = balanceOf(best.labels, static_cast<std::size_t>(options.bins));
  return best;
}

}  // namespace neural_lsh
