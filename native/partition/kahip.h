// KaHIP (Sanders & Schulz, SEA 2013) behind one function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh {

/// KaHIP's own numbers. The social ones cope with the hubs of k-NN graphs.
enum class KahipMode { fast = 0, eco = 1, strong = 2, fastSocial = 3, ecoSocial = 4, strongSocial = 5 };

struct PartitionOptions {
  std::int32_t bins = 2;    // 2 <= bins <= nodes
  double imbalance = 0.03;  // 0 <= imbalance <= 1: every bin <= (1 + imbalance) * ceil(nodes / bins)
  KahipMode mode = KahipMode::fastSocial;
  std::int32_t seed = 1;
  std::size_t seeds =
      1;  // at least 1: partitions with seed, seed + 1 ..., of which the one with the least cut is kept
};

struct Partition {
  std::vector<Id> labels;     // one a node, in [0, bins)
  std::int64_t edgeCut = 0;   // weight of the edges between bins, recomputed here
  double balance = 0;         // largest bin / (nodes / bins), recomputed here
  std::size_t peakBytes = 0;  // memory that KaHIP took beyond what the process had
};

/// Partitions a symmetric graph with positive weights into at most `bins` bins of bounded size, some of which
/// may come out empty. The targets of every node must ascend. Every precondition of KaHIP's is checked first,
/// in O(edges): it crashes, hangs or lies otherwise; and the bound on the size of bins, which it misses by a
/// node or two when bins are small, is enforced after it.
///
/// Many bins, and fewer of a large graph, are made by recursion: first a few parts, then each part's parts or
/// bins, on all cores. The number of bins that a part gets follows its size, so that the bound on the bins
/// holds as it is; then single nodes are moved between all bins where that lowers the cut.
///
/// KaHIP can neither be stopped nor called twice at once, so it runs in a forked child process: the same seed
/// always gives the same labels, partitions may run side by side, a cancelled call stops within a tenth of a
/// second and gives its memory back, and a crash of KaHIP's is an error here. Where no process can be forked
/// it runs in this one, one call at a time, and is not stopped before it ends.
///
/// Throws Cancelled, and Error: ERR_NLSH_ARGUMENT (what is wrong with the graph or the options),
/// ERR_NLSH_MEMORY, ERR_NLSH_PARTITION (KaHIP ended abnormally or returned what it must not).
Partition partitionGraph(const Graph& graph, const PartitionOptions& options, const Job& job);

/// Weight of the edges whose ends have different labels, each edge once.
std::int64_t edgeCut(const Graph& graph, std::span<const Id> labels);

}  // namespace neural_lsh
