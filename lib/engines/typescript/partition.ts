/**
 * Multilevel graph partitioning. This is not KaHIP, though it follows the same paper (Meyerhenke, Sanders & Schulz, SEA
 * 2014): clusters of nodes are contracted until the graph is small, that one is bisected recursively, and on the way
 * back single nodes move between blocks. Then the same again from the partition that there is, as often as the mode says.
 */
import type { JobOptions, KahipMode, Partition, SimilarityGraph } from '../engine.js'
import { bisectRecursively } from './bisect.js'
import { type Coarser, coarsen } from './coarsen.js'
import { blockWeightsOf, edgeCutOf, type WeightedGraph } from './graph.js'
import { checkGraph } from './graph-checks.js'
import { propagateLabels } from './labels.js'
import { Random } from './random.js'
import { rebalance, searchLocally } from './refine.js'
import { runInTurns, type Steps } from './turns.js'

// From the cuts of 10-NN graphs of MNIST, SIFT and GloVe (bench/typescript-partition.mjs).
const coarsestPerBin = 8 // nodes
const clustersPerBin = 4 // at least: a heavier node is hard to place
const propagations = 3 // rounds of label propagation on a level
const searches = 10 // rounds of local searches, of which the last gains little

/** Passes over all levels after the first (V-cycles: Walshaw, "Multilevel refinement for combinatorial optimisation
 * problems", 2004). */
const cycles: Record<KahipMode, number> = { fast: 2, fastsocial: 2, eco: 5, ecosocial: 5, strong: 15, strongsocial: 15 }

export interface PartitionOptions {
  bins: number
  mode: KahipMode
  imbalance: number
  seed: number
  seeds: number
}

/** Bins of at most (1 + imbalance) * ceil(nodes / bins) nodes, some of which may come out empty: of the seeds
 * `seed`, `seed` + 1 ... the partition that cuts least. Throws ArgumentError where the graph is not one. */
export function partition(graph: SimilarityGraph, options: PartitionOptions, job: JobOptions): Promise<Partition> {
  return runInTurns(partitionSteps(graph, options), options.seeds * (1 + cycles[options.mode]), job)
}

/** One unit of work is a pass over all levels. */
export function* partitionSteps(
  similarityGraph: SimilarityGraph,
  { bins, mode, imbalance, seed, seeds }: PartitionOptions
): Steps<Partition> {
  yield* checkGraph(similarityGraph)
  const graph = weighted(similarityGraph)
  // The sum of the bounds is at least the number of nodes.
  const bound = Math.floor((1 + imbalance) * Math.ceil(graph.nodes / bins) + 1e-9)
  let best: Int32Array<ArrayBuffer> | undefined
  let edgeCut = Number.POSITIVE_INFINITY
  for (let i = 0; i < seeds; i++) {
    const random = new Random(seed + i)
    let labels: Int32Array<ArrayBuffer> | undefined
    for (let cycle = 0; cycle <= cycles[mode]; cycle++) {
      labels = yield* passLevels(graph, bins, bound, labels, random)
      yield 1
    }
    const cut = edgeCutOf(graph, labels as Int32Array)
    if (cut >= edgeCut) continue
    edgeCut = cut
    best = labels
  }
  const labels = best as Int32Array<ArrayBuffer>
  const largest = blockWeightsOf(graph, labels, bins).reduce((most, size) => Math.max(most, size))
  return { bins, labels, edgeCut, balance: (largest * bins) / graph.nodes, peakBytes: 0 }
}

function weighted({ xadj, adjncy, adjcwgt }: SimilarityGraph): WeightedGraph {
  const nodes = xadj.length - 1
  const nodeWeights = new Int32Array(nodes).fill(1)
  return { nodes, offsets: xadj, targets: adjncy, edgeWeights: adjcwgt, nodeWeights, weight: nodes }
}

/** From fine to coarse and back: a partition or, from a given one, another that cuts no more. */
function* passLevels(
  graph: WeightedGraph,
  bins: number,
  bound: number,
  given: Int32Array<ArrayBuffer> | undefined,
  random: Random
): Steps<Int32Array<ArrayBuffer>> {
  const levels: Coarser[] = []
  let coarsest = graph
  let blocks = given
  const largest = Math.max(1, bound / clustersPerBin)
  while (coarsest.nodes > coarsestPerBin * bins) {
    const coarser = yield* coarsen(coarsest, largest, blocks, random)
    if (coarser.graph.nodes > 0.95 * coarsest.nodes) break
    levels.push(coarser)
    blocks = blocks && labelsOfClusters(blocks, coarser)
    coarsest = coarser.graph
  }
  let labels = blocks?.slice() ?? (yield* bisectRecursively(coarsest, bins, bound, random))
  yield* refine(coarsest, labels, bins, bound, random)
  while (levels.length > 0) {
    const { clusters } = levels.pop() as Coarser
    labels = labelsOfNodes(labels, clusters)
    yield* refine(levels.at(-1)?.graph ?? graph, labels, bins, bound, random)
  }
  return labels
}

function* refine(graph: WeightedGraph, labels: Int32Array, bins: number, bound: number, random: Random): Steps<void> {
  const blocks = { labels, bounds: new Float64Array(bins).fill(bound) }
  yield* rebalance(graph, blocks)
  const weights = blockWeightsOf(graph, labels, bins)
  yield* propagateLabels(graph, { labels, weights, bound, rounds: propagations }, random)
  yield* searchLocally(graph, blocks, searches, random)
}

/** Of clusters that lie inside of blocks. */
function labelsOfClusters(labels: Int32Array, { graph, clusters }: Coarser): Int32Array<ArrayBuffer> {
  const coarse = new Int32Array(graph.nodes)
  for (let node = 0; node < clusters.length; node++) coarse[clusters[node] as number] = labels[node] as number
  return coarse
}

function labelsOfNodes(coarse: Int32Array, clusters: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  return clusters.map((cluster) => coarse[cluster] as number)
}
