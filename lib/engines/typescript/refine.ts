/** Refinement: moves of single nodes between blocks that lower the cut. */
import { blockWeightsOf, edgeCutOf, type WeightedGraph } from './graph.js'
import { Heap } from './heap.js'
import type { Random } from './random.js'
import type { Steps } from './turns.js'

const startsOfStep = 16
const nodesOfStep = 1024
const longestPlateau = 200 // moves without a gain, each of which may look at a hub's many edges
const leastShare = 1 / 1000 // of the cut, that a round must gain so that there is another

/** A partition that is being improved. */
export interface Blocks {
  labels: Int32Array
  /** The most that each may weigh. */
  bounds: Float64Array
}

/** The moves of one node. */
class Moves {
  readonly weights: Float64Array
  /** The best block for the node that was looked at last, -1 where there is none, and by how much it lowers the cut. */
  block = -1
  gain = 0
  private readonly links: Float64Array
  private readonly seen: Int32Array

  constructor(
    private readonly graph: WeightedGraph,
    private readonly labels: Int32Array,
    private readonly bounds: Float64Array
  ) {
    this.weights = blockWeightsOf(graph, labels, bounds.length)
    this.links = new Float64Array(bounds.length)
    this.seen = new Int32Array(bounds.length)
  }

  /** Looks for the adjacent block with room to which the node's heaviest edges lead; ties to the lighter block. */
  look(node: number): boolean {
    const { offsets, targets, edgeWeights, nodeWeights } = this.graph
    const { labels, links, seen, weights, bounds } = this
    const end = offsets[node + 1] as number
    let count = 0
    for (let e = offsets[node] as number; e < end; e++) {
      const label = labels[targets[e] as number] as number
      if (links[label] === 0) seen[count++] = label
      links[label] = (links[label] as number) + (edgeWeights[e] as number)
    }
    const own = labels[node] as number
    const weight = nodeWeights[node] as number
    const inside = links[own] as number
    links[own] = 0
    this.block = -1
    let most = 0
    for (let i = 0; i < count; i++) {
      const label = seen[i] as number
      const link = links[label] as number
      links[label] = 0
      if (link < most || label === own) continue
      if ((weights[label] as number) + weight > (bounds[label] as number)) continue
      if (link === most && (weights[label] as number) >= (weights[this.block] as number)) continue
      most = link
      this.block = label
    }
    this.gain = most - inside
    return this.block >= 0
  }

  /** After `look` has found none: the lightest block with room. */
  lookAnywhere(node: number): boolean {
    const { weights, bounds, labels } = this
    let room = this.graph.nodeWeights[node] as number
    for (let block = 0; block < bounds.length; block++) {
      const left = (bounds[block] as number) - (weights[block] as number)
      if (block === labels[node] || left < room) continue
      room = left + 1
      this.block = block
    }
    return this.block >= 0
  }

  move(node: number, block: number): void {
    const { labels, weights } = this
    const weight = this.graph.nodeWeights[node] as number
    const own = labels[node] as number
    weights[own] = (weights[own] as number) - weight
    weights[block] = (weights[block] as number) + weight
    labels[node] = block
  }

  isOverloaded(block: number): boolean {
    return (this.weights[block] as number) > (this.bounds[block] as number)
  }
}

function isAtBoundary({ offsets, targets }: WeightedGraph, labels: Int32Array, node: number): boolean {
  const end = offsets[node + 1] as number
  for (let e = offsets[node] as number; e < end; e++) {
    if (labels[targets[e] as number] !== labels[node]) return true
  }
  return false
}

/** Many local searches (Sanders & Schulz, "Engineering multilevel graph partitioning algorithms", ESA 2011, 4.2: multi-try
 * FM): each starts from one node at the boundary, moves the node of highest gain as often as it pays by the rule
 * of Osipov & Sanders (ESA 2010) and goes back to the best cut that it has seen. A node takes part in one search a round. */
export function* searchLocally(
  graph: WeightedGraph,
  { labels, bounds }: Blocks,
  rounds: number,
  random: Random
): Steps<void> {
  const moves = new Moves(graph, labels, bounds)
  const heap = new Heap(graph.nodes)
  let cut = edgeCutOf(graph, labels)
  const touched = new Int32Array(graph.nodes) // the round in which a node was last in a search
  for (let round = 1; round <= rounds; round++) {
    const starts = Int32Array.from({ length: graph.nodes }, (_, node) => node).filter((node) =>
      isAtBoundary(graph, labels, node)
    )
    random.shuffle(starts)
    let gain = 0
    for (let i = 0; i < starts.length; i++) {
      if (i % startsOfStep === 0) yield 0
      const node = starts[i] as number
      if (touched[node] !== round) gain += searchFrom(node, graph, labels, moves, heap, touched, round)
    }
    if (gain < leastShare * cut) return
    cut -= gain
  }
}

/** Returns by how much the search lowered the cut. */
function searchFrom(
  start: number,
  { nodes, offsets, targets }: WeightedGraph,
  labels: Int32Array,
  moves: Moves,
  heap: Heap,
  touched: Int32Array,
  round: number
): number {
  touched[start] = round
  if (!moves.look(start)) return 0
  heap.set(start, moves.gain)
  const patience = Math.log(nodes) // of Osipov & Sanders' rule: beta
  const moved: number[] = []
  const from: number[] = []
  let [gain, best, kept] = [0, 0, 0]
  let [since, sum, squares] = [0, 0, 0] // of the moves after the best
  while (heap.size > 0) {
    const node = heap.pop()
    if (!moves.look(node)) continue
    moved.push(node)
    from.push(labels[node] as number)
    gain += moves.gain
    since++
    sum += moves.gain
    squares += moves.gain * moves.gain
    moves.move(node, moves.block)
    if (gain > best) {
      best = gain
      kept = moved.length
      since = sum = squares = 0
    } else if (since > patience) {
      const mean = sum / since
      const variance = squares / since - mean * mean
      if (since > longestPlateau || since * mean * mean > variance + patience) break
    }
    const end = offsets[node + 1] as number
    for (let e = offsets[node] as number; e < end; e++) {
      const neighbor = targets[e] as number
      if (touched[neighbor] === round && !heap.has(neighbor)) continue
      touched[neighbor] = round
      if (moves.look(neighbor)) heap.set(neighbor, moves.gain)
      else if (heap.has(neighbor)) heap.remove(neighbor)
    }
  }
  heap.clear()
  for (let i = moved.length - 1; i >= kept; i--) moves.move(moved[i] as number, from[i] as number)
  return best
}

/** Moves nodes out of overloaded blocks, those first that cost least for what they weigh, until every block keeps
 * its bound or no node fits anywhere. */
export function* rebalance(graph: WeightedGraph, { labels, bounds }: Blocks): Steps<void> {
  const moves = new Moves(graph, labels, bounds)
  const heap = new Heap(graph.nodes)
  const look = (node: number) => moves.look(node) || moves.lookAnywhere(node)
  const priority = (node: number) => moves.gain / (graph.nodeWeights[node] as number)
  for (let node = 0; node < graph.nodes; node++) {
    if (moves.isOverloaded(labels[node] as number) && look(node)) heap.set(node, priority(node))
  }
  for (let step = 1; heap.size > 0; step++) {
    if (step % nodesOfStep === 0) yield 0
    const node = heap.top
    if (!moves.isOverloaded(labels[node] as number) || !look(node)) {
      heap.remove(node)
    } else if (priority(node) < heap.priorityOf(node)) {
      heap.set(node, priority(node)) // a better one may be on top now
    } else {
      heap.remove(node)
      moves.move(node, moves.block)
    }
  }
}
