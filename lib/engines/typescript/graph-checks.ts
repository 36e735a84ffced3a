/** Checks of a graph that a user has made, in time linear in its edges. */
import { ArgumentError } from '../../errors.js'
import type { SimilarityGraph } from '../engine.js'
import type { Steps } from './turns.js'

const nodesOfStep = 1024

/** Throws ArgumentError unless the graph is symmetric, without loops, its rows ascending and its weights positive. */
export function* checkGraph(graph: SimilarityGraph): Steps<void> {
  checkOffsets(graph)
  const nodes = graph.xadj.length - 1
  for (let node = 0; node < nodes; node++) {
    checkRow(graph, nodes, node)
    if (node % nodesOfStep === 0) yield 0
  }
  yield* checkSymmetry(graph, nodes)
}

function checkOffsets({ xadj, adjncy, adjcwgt }: SimilarityGraph): void {
  if (xadj[0] !== 0)
    throw new ArgumentError(
      'xadj',
      'must begin with 0 and have one entry more than there are nodes, of which there may be 2^31 - 1'
    )
  for (let node = 0; node + 1 < xadj.length; node++) {
    if ((xadj[node + 1] as number) < (xadj[node] as number))
      throw new ArgumentError('xadj', `must not descend, but does after node ${node}`)
  }
  if (xadj.at(-1) !== adjncy.length)
    throw new ArgumentError(
      'adjncy',
      `must have as many entries as the last one of xadj says (${xadj.at(-1)}), but has ${adjncy.length}`
    )
  if (adjcwgt.length !== adjncy.length)
    throw new ArgumentError(
      'adjcwgt',
      `must have one weight for each of the ${adjncy.length} entries of adjncy, but has ${adjcwgt.length}`
    )
}

function checkRow({ xadj, adjncy, adjcwgt }: SimilarityGraph, nodes: number, node: number): void {
  let previous = -1
  for (let e = xadj[node] as number; e < (xadj[node + 1] as number); e++) {
    const target = adjncy[e] as number
    if (target < 0 || target >= nodes)
      throw new ArgumentError('adjncy', `node ${node} has the neighbor ${target}, but must have one in [0, ${nodes})`)
    if (target === node) throw new ArgumentError('adjncy', `node ${node} is its own neighbor`)
    if (target <= previous)
      throw new ArgumentError('adjncy', `the neighbors of node ${node} must ascend, but ${target} follows ${previous}`)
    if ((adjcwgt[e] as number) < 1)
      throw new ArgumentError('adjcwgt', `must be positive, but node ${node} has an edge of weight ${adjcwgt[e]}`)
    previous = target
  }
}

/** Rows ascend, so walking through all rows in order must meet the entries of every single row in order, too, seen from
 * their other ends: one cursor a node is enough. */
function* checkSymmetry({ xadj, adjncy, adjcwgt }: SimilarityGraph, nodes: number): Steps<void> {
  const cursors = xadj.slice(0, nodes)
  let sum = 0
  for (let node = 0; node < nodes; node++) {
    if (node % nodesOfStep === 0) yield 0
    for (let e = xadj[node] as number; e < (xadj[node + 1] as number); e++) {
      const target = adjncy[e] as number
      const back = cursors[target] as number
      cursors[target] = back + 1
      const other = back < (xadj[target + 1] as number) ? (adjncy[back] as number) : nodes
      if (other > node) throw oneWay(node, target)
      if (other < node) throw oneWay(target, other)
      if (adjcwgt[back] !== adjcwgt[e])
        throw new ArgumentError(
          'adjcwgt',
          `must be the same in both directions, but the edge between ${node} and ${target} has the weights ` +
            `${adjcwgt[e]} and ${adjcwgt[back]}`
        )
      sum += adjcwgt[e] as number
    }
  }
  if (sum >= 2 ** 31) throw new ArgumentError('adjcwgt', `must have a sum below 2^31, but it is ${sum}`)
}

function oneWay(from: number, to: number): ArgumentError {
  return new ArgumentError(
    'adjncy',
    `must hold every edge in both directions, but has ${to} as a neighbor of ${from} and not the reverse`
  )
}
