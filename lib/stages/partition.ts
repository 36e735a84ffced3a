import type { Partition, SimilarityGraph } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { type PartitionGraphOptions, resolvePartitionGraph } from '../options.js'

/**
 * Partitions the points of a graph into bins of at most (1 + imbalance) * ceil(n / bins) points so that the weight of
 * the edges between bins is small, with KaHIP (Sanders & Schulz, SEA 2013). A bin may come out empty.
 *
 * @param graph n points; symmetric, without self-loops, weights from 1.
 * @returns n labels in [0, bins), with the weighted cut and the balance recomputed from them.
 * @throws ArgumentError when an argument is wrong, the graph included.
 */
export async function partitionGraph(graph: SimilarityGraph, options: PartitionGraphOptions): Promise<Partition> {
  const { bins, mode, imbalance, seed, seeds, engine: choice, device, ...run } = resolvePartitionGraph(graph, options)
  const engine = await selectEngine(choice, device)
  return runJob(run, ({ stage }) =>
    stage('partition', (job) => engine.partition(graph, { bins, mode, imbalance, seed, seeds }, job))
  )
}
