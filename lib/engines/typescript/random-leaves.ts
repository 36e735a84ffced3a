/** Leaves of a random tree (Dasgupta & Freund, "Random projection trees and low dimensional manifolds", STOC 2008):
 * vectors that are near to each other often share one. */
import { placeOfRank } from './baselines/rank.js'
import { dotProduct } from './distances.js'
import type { Random } from './random.js'
import type { Steps } from './turns.js'

const rowsOfStep = 256

const half = (rows: number) => rows >> 1

/** Where each leaf begins, and the last one ends: rows are halved until there are at most `size`. */
export function leafStarts(rows: number, size: number): Int32Array {
  const starts = [0]
  const halve = (first: number, count: number): void => {
    if (count <= size) {
      starts.push(first + count)
      return
    }
    halve(first, half(count))
    halve(first + half(count), count - half(count))
  }
  halve(0, rows)
  return Int32Array.from(starts)
}

/** Writes the rows leaf after leaf. */
export function* orderByTree(
  vectors: Float32Array,
  dimensions: number,
  size: number,
  random: Random,
  order: Int32Array
): Steps<void> {
  order.forEach((_, place) => {
    order[place] = place
  })
  const open = [order]
  for (let rows = open.pop(); rows !== undefined; rows = open.pop()) {
    if (rows.length > size) {
      yield* divideAlongLine(vectors, dimensions, rows, random)
      open.push(rows.subarray(0, half(rows.length)), rows.subarray(half(rows.length)))
    }
    yield 0
  }
}

/** Puts those rows first that come first along the line through two random ones. */
function* divideAlongLine(vectors: Float32Array, dimensions: number, rows: Int32Array, random: Random): Steps<void> {
  const [a, b] = [rows[random.below(rows.length)] as number, rows[random.below(rows.length)] as number]
  const direction = new Float32Array(dimensions)
  for (let c = 0; c < dimensions; c++) {
    direction[c] = (vectors[a * dimensions + c] as number) - (vectors[b * dimensions + c] as number)
  }
  const places = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    places[i] = dotProduct(vectors, rows[i] as number, direction, 0, dimensions)
    if (i % rowsOfStep === 0) yield 0
  }
  const middle = yield* placeOfRank(places, half(rows.length))
  const before = rows.slice()
  let [left, right] = [0, half(rows.length)]
  for (let i = 0; i < rows.length; i++) {
    const place = places[i] as number
    const isLeft = place < middle.value || (place === middle.value && i < middle.index)
    rows[isLeft ? left++ : right++] = before[i] as number
  }
}
