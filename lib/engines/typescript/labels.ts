/** Label propagation with bounded labels (Meyerhenke, Sanders & Schulz, "Partitioning complex networks via
 * size-constrained clustering", SEA 2014): coarsening clusters with it, refinement moves nodes between blocks. */
import { groupByLabel, type WeightedGraph } from './graph.js'
import type { Random } from './random.js'
import type { Steps } from './turns.js'

const nodesOfStep = 1024

export interface Propagation {
  /** Of each node; changed in place. */
  labels: Int32Array
  /** What the nodes of each label weigh; changed in place. */
  weights: Float64Array
  /** The most that they may weigh. */
  bound: number
  /** At most; a round that moves fewer than a hundredth of the nodes is the last. */
  rounds: number
  /** Only nodes of the same block take each other's label. */
  blocks?: Int32Array | undefined
}

/** In each round every node takes the label to which its heaviest edges lead, where there is room; ties by chance. */
export function* propagateLabels(graph: WeightedGraph, propagation: Propagation, random: Random): Steps<void> {
  const order = byDegree(graph, random)
  const links = new Float64Array(propagation.weights.length)
  const seen = new Int32Array(propagation.weights.length)
  for (let round = 0; round < propagation.rounds; round++) {
    let moved = 0
    for (let first = 0; first < graph.nodes; first += nodesOfStep) {
      const nodes = order.subarray(first, first + nodesOfStep)
      moved += visit(graph, propagation, nodes, links, seen, random)
      yield 0
    }
    if (moved * 100 < graph.nodes) return
  }
}

function visit(
  graph: WeightedGraph,
  { labels, weights, bound, blocks }: Propagation,
  nodes: Int32Array,
  links: Float64Array,
  seen: Int32Array,
  random: Random
): number {
  const { offsets, targets, edgeWeights, nodeWeights } = graph
  let moved = 0
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i] as number
    const end = offsets[node + 1] as number
    let count = 0
    for (let e = offsets[node] as number; e < end; e++) {
      const target = targets[e] as number
      if (blocks !== undefined && blocks[target] !== blocks[node]) continue
      const label = labels[target] as number
      if (links[label] === 0) seen[count++] = label
      links[label] = (links[label] as number) + (edgeWeights[e] as number)
    }
    const own = labels[node] as number
    const room = bound - (nodeWeights[node] as number)
    let best = own
    let most = links[own] as number
    let ties = 1
    for (let j = 0; j < count; j++) {
      const label = seen[j] as number
      const link = links[label] as number
      links[label] = 0
      if (label === own || link < most || (weights[label] as number) > room) continue
      if (link > most) ties = 1
      else if (random.below(++ties) > 0) continue
      most = link
      best = label
    }
    if (best === own) continue
    weights[own] = (weights[own] as number) - (nodeWeights[node] as number)
    weights[best] = (weights[best] as number) + (nodeWeights[node] as number)
    labels[node] = best
    moved++
  }
  return moved
}

/** Nodes of few edges first, as the paper advises; equal ones in random order. */
function byDegree({ nodes, offsets }: WeightedGraph, random: Random): Int32Array {
  const shuffled = Int32Array.from({ length: nodes }, (_, node) => node)
  random.shuffle(shuffled)
  const degrees = shuffled.map((node) => (offsets[node + 1] as number) - (offsets[node] as number))
  const most = degrees.reduce((most, degree) => Math.max(most, degree), 0)
  return groupByLabel(degrees, most + 1).members.map((place) => shuffled[place] as number)
}
