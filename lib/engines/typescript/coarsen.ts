/** Coarsening: clusters of nodes become the nodes of a smaller graph. */
import { groupByLabel, type WeightedGraph } from './graph.js'
import { propagateLabels } from './labels.js'
import type { Random } from './random.js'
import type { Steps } from './turns.js'

export interface Coarser {
  graph: WeightedGraph
  /** The coarse node of each fine one. */
  clusters: Int32Array<ArrayBuffer>
}

const rounds = 10 // of label propagation: as KaHIP's social modes
const clustersOfStep = 256

/** Clusters of at most the given weight, each inside one of the `blocks` where there are some. */
export function* coarsen(
  graph: WeightedGraph,
  bound: number,
  blocks: Int32Array | undefined,
  random: Random
): Steps<Coarser> {
  const labels = Int32Array.from({ length: graph.nodes }, (_, node) => node)
  const weights = Float64Array.from(graph.nodeWeights)
  yield* propagateLabels(graph, { labels, weights, bound, rounds, blocks }, random)
  return yield* contract(graph, labels)
}

function* contract(graph: WeightedGraph, labels: Int32Array<ArrayBuffer>): Steps<Coarser> {
  const { offsets, targets, edgeWeights, nodeWeights } = graph
  const { clusters, count } = renumber(labels)
  const { starts, members } = groupByLabel(clusters, count)
  const coarseOffsets = new Int32Array(count + 1)
  const coarseTargets = new Int32Array(targets.length)
  const coarseWeights = new Int32Array(targets.length)
  const coarseNodeWeights = new Int32Array(count)
  const place = new Int32Array(count).fill(-1) // of each neighbor in the row that is being written
  let at = 0
  for (let cluster = 0; cluster < count; cluster++) {
    const begin = at
    for (let i = starts[cluster] as number; i < (starts[cluster + 1] as number); i++) {
      const node = members[i] as number
      coarseNodeWeights[cluster] = (coarseNodeWeights[cluster] as number) + (nodeWeights[node] as number)
      const end = offsets[node + 1] as number
      for (let e = offsets[node] as number; e < end; e++) {
        const target = clusters[targets[e] as number] as number
        if (target === cluster) continue
        let found = place[target] as number
        if (found < begin) {
          found = at++
          place[target] = found
          coarseTargets[found] = target
        }
        coarseWeights[found] = (coarseWeights[found] as number) + (edgeWeights[e] as number)
      }
    }
    coarseOffsets[cluster + 1] = at
    if (cluster % clustersOfStep === 0) yield 0
  }
  const coarse = {
    nodes: count,
    offsets: coarseOffsets,
    targets: coarseTargets.slice(0, at),
    edgeWeights: coarseWeights.slice(0, at),
    nodeWeights: coarseNodeWeights,
    weight: graph.weight
  }
  return { graph: coarse, clusters }
}

/** Numbers from 0 in the order in which labels occur. */
function renumber(labels: Int32Array<ArrayBuffer>): { clusters: Int32Array<ArrayBuffer>; count: number } {
  const numbers = new Int32Array(labels.length).fill(-1)
  let count = 0
  const clusters = labels.map((label) => {
    if (numbers[label] === -1) numbers[label] = count++
    return numbers[label] as number
  })
  return { clusters, count }
}
