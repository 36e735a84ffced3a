/** The first partition, of the coarsest graph: recursive bisection by greedy graph growing (Karypis & Kumar, "A fast and
 * high quality multilevel scheme for partitioning irregular graphs", 1998, 4.2) and local search, several tries each. */
import { blockWeightsOf, edgeCutOf, groupByLabel, sumOf, type WeightedGraph } from './graph.js'
import { Heap } from './heap.js'
import type { Random } from './random.js'
import { type Blocks, rebalance, searchLocally } from './refine.js'
import type { Steps } from './turns.js'

const tries = 8
const rounds = 3 // of local search

/** Labels in [0, bins): blocks of at most `bound`, as far as the weights of single nodes permit. */
export function* bisectRecursively(
  graph: WeightedGraph,
  bins: number,
  bound: number,
  random: Random
): Steps<Int32Array<ArrayBuffer>> {
  if (bins === 1) return new Int32Array(graph.nodes)
  const halves = [bins >> 1, bins - (bins >> 1)] as const
  const sides = yield* bisect(graph, halves, bound, random)
  const { starts, members } = groupByLabel(sides, 2)
  const labels = new Int32Array(graph.nodes)
  for (const side of [0, 1] as const) {
    const nodes = members.subarray(starts[side], starts[side + 1])
    const part = yield* bisectRecursively(subgraph(graph, nodes), halves[side], bound, random)
    const first = side * halves[0]
    for (let i = 0; i < nodes.length; i++) labels[nodes[i] as number] = first + (part[i] as number)
  }
  return labels
}

/** Two sides for so many bins each; the best of several tries. */
function* bisect(
  graph: WeightedGraph,
  halves: readonly [number, number],
  bound: number,
  random: Random
): Steps<Int32Array> {
  const bins = halves[0] + halves[1]
  const share = graph.weight / bins
  // The room that a bin has is spread evenly over the bisections that are still to come (Schlag et al., "k-way hypergraph
  // partitioning via n-level recursive bisection", ALENEX 2016, 3.1).
  const slack = Math.max(1, (bound / share) ** (1 / Math.ceil(Math.log2(bins))))
  const bounds = Float64Array.from(halves, (half) => Math.ceil(slack * share * half))
  let best: Int32Array | undefined
  let least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as [number, number]
  for (let i = 0; i < tries; i++) {
    const blocks: Blocks = { labels: grow(graph, share * halves[1], random), bounds }
    yield* rebalance(graph, blocks)
    yield* searchLocally(graph, blocks, rounds, random)
    const weights = blockWeightsOf(graph, blocks.labels, 2)
    const excess = weights.reduce((sum, weight, side) => sum + Math.max(0, weight - (bounds[side] as number)), 0)
    const cut = edgeCutOf(graph, blocks.labels)
    if (excess > least[0] || (excess === least[0] && cut >= least[1])) continue
    least = [excess, cut]
    best = blocks.labels
  }
  return best as Int32Array
}

/** Grows side 1 from a random node by those whose moves cut least, until it weighs about as much as wanted. */
function grow(graph: WeightedGraph, wanted: number, random: Random): Int32Array {
  const { nodes, offsets, targets, edgeWeights, nodeWeights } = graph
  const sides = new Int32Array(nodes)
  const heap = new Heap(nodes)
  const order = Int32Array.from({ length: nodes }, (_, node) => node)
  random.shuffle(order)
  let weight = 0
  let next = 0
  while (weight < wanted) {
    while (heap.size === 0) {
      const start = order[next++]
      if (start === undefined) return sides
      if (sides[start] === 0) heap.set(start, 0)
    }
    const node = heap.pop()
    const more = nodeWeights[node] as number
    if (weight + more / 2 > wanted) continue
    sides[node] = 1
    weight += more
    const end = offsets[node + 1] as number
    for (let e = offsets[node] as number; e < end; e++) {
      const target = targets[e] as number
      if (sides[target] === 1) continue
      const link = 2 * (edgeWeights[e] as number)
      heap.set(target, link + (heap.has(target) ? heap.priorityOf(target) : -degreeOf(graph, target)))
    }
  }
  return sides
}

function degreeOf({ offsets, edgeWeights }: WeightedGraph, node: number): number {
  let degree = 0
  const end = offsets[node + 1] as number
  for (let e = offsets[node] as number; e < end; e++) degree += edgeWeights[e] as number
  return degree
}

/** The nodes, which ascend, and the edges between them. */
function subgraph(
  { nodes, offsets, targets, edgeWeights, nodeWeights }: WeightedGraph,
  kept: Int32Array
): WeightedGraph {
  const places = new Int32Array(nodes).fill(-1)
  kept.forEach((node, place) => {
    places[node] = place
  })
  const partOffsets = new Int32Array(kept.length + 1)
  const partTargets: number[] = []
  const partWeights: number[] = []
  kept.forEach((node, place) => {
    for (let e = offsets[node] as number; e < (offsets[node + 1] as number); e++) {
      const target = places[targets[e] as number] as number
      if (target < 0) continue
      partTargets.push(target)
      partWeights.push(edgeWeights[e] as number)
    }
    partOffsets[place + 1] = partTargets.length
  })
  const partNodeWeights = kept.map((node) => nodeWeights[node] as number)
  return {
    nodes: kept.length,
    offsets: partOffsets,
    targets: Int32Array.from(partTargets),
    edgeWeights: Int32Array.from(partWeights),
    nodeWeights: partNodeWeights,
    weight: sumOf(partNodeWeights)
  }
}
