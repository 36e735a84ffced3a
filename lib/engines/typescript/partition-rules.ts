/** The rules by which partitions by projections rank their bins (lib/classifier/network.ts): a query's projections enter,
 * the bins' logits leave. */
import type { PartitionRule } from '../../classifier/network.js'
import type { LayerPass } from './images.js'

export function partitionRule(layer: PartitionRule): LayerPass {
  switch (layer.type) {
    case 'tree-leaves':
      return treeLeaves(layer.leaves, layer.rule === 'squared-margin' ? squaredMargin : logSigmoid)
    case 'sign-codes':
      return (from, to) => signCodes(layer.bits, from, to)
    case 'cross-polytope':
      return (from, to) => crossPolytope(layer.dimensions, from, to)
  }
}

/** What a node adds to the logits of the leaves on its right side; with the margin negated, on its left. */
type SideRule = (margin: number) => number

const squaredMargin: SideRule = (margin) => (margin > 0 ? 0 : -margin * margin)
const logSigmoid: SideRule = (margin) => Math.min(margin, 0) - Math.log1p(Math.exp(-Math.abs(margin)))

function treeLeaves(leaves: number, right: SideRule): LayerPass {
  const nodes = nodesOf(leaves)
  return (margins, to) => {
    // What a node hands down stands at its first leaf until the node's own turn comes.
    to[0] = 0
    for (const [i, { first, firstRight }] of nodes.entries()) {
      const [margin, above] = [margins[i] as number, to[first] as number]
      to[firstRight] = above + right(margin)
      to[first] = above + right(-margin)
    }
  }
}

interface Node {
  /** The first leaf under it, and under its right side. */
  first: number
  firstRight: number
}

/** In preorder. */
function nodesOf(leaves: number): Node[] {
  const nodes: Node[] = []
  const add = (first: number, leaves: number): void => {
    if (leaves === 1) return
    const firstRight = first + Math.ceil(leaves / 2)
    nodes.push({ first, firstRight })
    add(first, firstRight - first)
    add(firstRight, leaves - (firstRight - first))
  }
  add(0, leaves)
  return nodes
}

function signCodes(bits: number, from: Float64Array, to: Float64Array): void {
  to[0] = 0
  for (let bit = 0; bit < bits; bit++) {
    const value = 2 ** bit
    const number = from[bit] as number
    for (let bin = 0; bin < value; bin++) {
      const before = to[bin] as number
      to[value + bin] = before + Math.min(number, 0)
      to[bin] = before + Math.min(-number, 0)
    }
  }
}

function crossPolytope(polytopes: readonly number[], from: Float64Array, to: Float64Array): void {
  let count = 1
  let start = 0
  to[0] = 0
  for (const dimensions of polytopes) {
    const numbers = from.subarray(start, start + dimensions)
    const largest = numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0)
    // From the last one on, so that none is overwritten before its turn.
    for (let bin = count - 1; bin >= 0; bin--) {
      const before = to[bin] as number
      for (const [i, number] of numbers.entries()) {
        to[2 * (bin * dimensions + i)] = before - (largest - number) ** 2
        to[2 * (bin * dimensions + i) + 1] = before - (largest + number) ** 2
      }
    }
    start += dimensions
    count *= 2 * dimensions
  }
}
