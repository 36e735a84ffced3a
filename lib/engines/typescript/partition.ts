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
import { alone, type Pool, type Task, type Team, withTeam } from './team.js'
import type { Steps } from './turns.js'

// From the cuts of 10-NN graphs of MNIST, SIFT and GloVe (bench/typescript-partition.mjs).
const coarsestPerBin = 8 // nodes
const clustersPerBin = 4 // at least: a heavier node is hard to place
const propagations = 3 // rounds of label propagation on a level
const perEdge = 500 // multiplications, about, that a pass is as long as
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
 * `seed`, `seed` + 1 ... the partition that cuts least. A thread does a seed after the other. Throws ArgumentError where the
 * graph is not one. */
export function partition(
  graph: SimilarityGraph,
  options: PartitionOptions,
  job: JobOptions,
  pool: Pool = alone
): Promise<Partition> {
  const passes = options.seeds * (1 + cycles[options.mode])
  const work = { total: passes, multiplications: passes * perEdge * graph.adjncy.length }
  return withTeam(pool, job, work, (team) => team.scoped(() => cutLeast(team, graph, options)))
}

async function cutLeast(team: Team, given: SimilarityGraph, options: PartitionOptions): Promise<Partition> {
  await team.inTurns(checkGraph(given))
  const graph: SimilarityGraph = {
    xadj: await team.share(given.xadj),
    adjncy: await team.share(given.adjncy),
    adjcwgt: await team.share(given.adjcwgt)
  }
  const { bins, seeds } = options
  const nodes = graph.xadj.length - 1
  const labels = Array.from({ length: seeds }, () => team.room(Int32Array, nodes))
  const cuts = team.zeros(Float64Array, seeds)
  await team.run(cutGraph, { graph, options, labels, cuts }, seeds)
  const edgeCut = Math.min(...cuts)
  const best = await team.keep(labels[cuts.indexOf(edgeCut)] as Int32Array<ArrayBuffer>)
  const largest = blockWeightsOf(weighted(graph), best, bins).reduce((most, size) => Math.max(most, size))
  return { bins, labels: best, edgeCut, balance: (largest * bins) / nodes, peakBytes: 0 }
}

interface Cutting {
  graph: SimilarityGraph
  options: PartitionOptions
  labels: Int32Array[]
  cuts: Float64Array
}

/** A part is a seed; one unit of work is a pass over all levels. */
export const cutGraph: Task<Cutting> = {
  name: 'cut-graph',
  begin({ graph: similarityGraph, options: { bins, mode, imbalance, seed }, labels, cuts }) {
    const graph = weighted(similarityGraph)
    // The sum of the bounds is at least the number of nodes.
    const bound = Math.floor((1 + imbalance) * Math.ceil(graph.nodes / bins) + 1e-9)
    return function* (part) {
      const random = new Random(seed + part)
      let found: Int32Array<ArrayBuffer> | undefined
      for (let cycle = 0; cycle <= cycles[mode]; cycle++) {
        found = yield* passLevels(graph, bins, bound, found, random)
        yield 1
      }
      labels[part]?.set(found as Int32Array)
      cuts[part] = edgeCutOf(graph, found as Int32Array)
    }
  }
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
