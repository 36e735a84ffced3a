/** Leaves of a random tree (Dasgupta & Freund, "Random projection trees and low dimensional manifolds", STOC 2008):
 * vectors that are near to each other often share one. */
import { dotProduct } from './distances.js'
import type { Random } from './random.js'
import type { Steps } from './turns.js'

/** Calls `visit` with the rows of each leaf, at most `size` of them. */
export function* eachLeaf(
  vectors: Float32Array,
  dimensions: number,
  size: number,
  random: Random,
  visit: (rows: Int32Array) => void
): Steps<void> {
  const open: Int32Array[] = [Int32Array.from({ length: vectors.length / dimensions }, (_, row) => row)]
  for (let rows: Int32Array | undefined = open.pop(); rows !== undefined; rows = open.pop()) {
    if (rows.length <= size) visit(rows)
    else open.push(...halve(vectors, dimensions, rows, random))
    yield 0
  }
}

/** At the median along the line through two random vectors. */
function halve(vectors: Float32Array, dimensions: number, rows: Int32Array, random: Random): [Int32Array, Int32Array] {
  const [a, b] = [rows[random.below(rows.length)] as number, rows[random.below(rows.length)] as number]
  const direction = new Float32Array(dimensions)
  for (let c = 0; c < dimensions; c++) {
    direction[c] = (vectors[a * dimensions + c] as number) - (vectors[b * dimensions + c] as number)
  }
  const places = Float64Array.from(rows, (row) => dotProduct(vectors, row, direction, 0, dimensions))
  const order = Int32Array.from(rows.keys()).sort((i, j) => (places[i] as number) - (places[j] as number))
  const sorted = order.map((i) => rows[i] as number)
  return [sorted.subarray(0, rows.length >> 1), sorted.subarray(rows.length >> 1)]
}
