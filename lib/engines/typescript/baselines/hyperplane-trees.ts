/** Balanced binary trees of hyperplanes (Bentley 1975; Sproull 1991; Dasgupta & Freund, STOC 2008): every node cuts its rows at
 * a rank along a direction of its own. */
import { dotProduct } from '../distances.js'
import { SplitMix } from '../split-mix.js'
import { type Steps, uncounted } from '../turns.js'
import { principalDirections } from './principal-directions.js'
import { type Projections, type Rows, rowCount } from './projections.js'
import { ascending, type Place, placeOfRank } from './rank.js'
import { orthonormalize, randomNormals } from './small-matrices.js'

const sampleRows = 16_384
const rowsOfStep = 64

/** Along which a node's rows are cut: the direction of most variance, a random one, or the axis of most variance. */
export type TreeDirection = 'principal' | 'random' | 'axis'

/** What a tree takes: a unit of work is a row on a level. */
export function workOfTree(rows: number, leaves: number): number {
  return leaves > 1 ? rows + workOfTree(rows, Math.ceil(leaves / 2)) : 0
}

/** A node over c leaves has ceil(c / 2) of them to its left; leaf j gets floor((j + 1) n / leaves) - floor(j n / leaves) of
 * the n >= leaves rows, those that come first along a node's direction, ties by row number, to its left. Projections are
 * the nodes, in preorder, and their numbers the distances to the hyperplane, which lies halfway between the two sides; a
 * row belongs to the right where its number is above 0. */
export function* hyperplaneTree(
  rows: Rows,
  leaves: number,
  direction: TreeDirection,
  seed: number,
  result: Projections
): Steps<void> {
  const { dimensions } = rows
  const rowsBefore = (leaf: number) => Math.floor((leaf * rowCount(rows)) / leaves)

  /** The subtree of `node`, which holds the rows `ids`, ascending. */
  function* grow(node: number, firstLeaf: number, count: number, ids: Int32Array): Steps<void> {
    if (count === 1) {
      for (const id of ids) result.labels[id] = firstLeaf
      return
    }
    const left = Math.ceil(count / 2)
    const leftRows = rowsBefore(firstLeaf + left) - rowsBefore(firstLeaf)
    const weights = result.weights.subarray(node * dimensions, (node + 1) * dimensions)
    yield* uncounted(
      chooseDirection(rows, ids, direction, new SplitMix(new SplitMix(BigInt(seed + node)).seed()), weights)
    )
    const cut = yield* cutAt(rows, ids, weights, leftRows)
    result.biases[node] = -cut.value
    yield ids.length
    yield* grow(node + 1, firstLeaf, left, cut.left)
    yield* grow(node + left, firstLeaf + left, count - left, cut.right)
  }

  yield* grow(0, 0, leaves, ascending(rowCount(rows)))
}

function* chooseDirection(
  rows: Rows,
  ids: Int32Array,
  direction: TreeDirection,
  random: SplitMix,
  weights: Float32Array
): Steps<void> {
  if (direction === 'axis') {
    weights[yield* widestAxis(rows, ids)] = 1
  } else if (direction === 'random') {
    const drawn = randomNormals(1, rows.dimensions, random)
    yield* orthonormalize(drawn, random)
    weights.set(drawn.numbers)
  } else {
    weights.set((yield* principalDirections(yield* sampleOf(rows, ids), 1, random)).directions)
  }
}

/** At most so many rows, evenly spread. */
function* sampleOf({ vectors, dimensions }: Rows, ids: Int32Array): Steps<Rows> {
  const count = Math.min(ids.length, sampleRows)
  const sample = new Float32Array(count * dimensions)
  for (let i = 0; i < count; i++) {
    const from = (ids[Math.floor((i * ids.length) / count)] as number) * dimensions
    sample.set(vectors.subarray(from, from + dimensions), i * dimensions)
    if (i % rowsOfStep === 0) yield 0
  }
  return { vectors: sample, dimensions }
}

/** The column in which the rows vary most, the first of several. */
function* widestAxis({ vectors, dimensions }: Rows, ids: Int32Array): Steps<number> {
  // From the first row on, so that nothing cancels far from the origin.
  const origin = (ids[0] as number) * dimensions
  const sums = new Float64Array(dimensions)
  const squares = new Float64Array(dimensions)
  for (let i = 0; i < ids.length; i++) {
    const from = (ids[i] as number) * dimensions
    for (let c = 0; c < dimensions; c++) {
      const difference = (vectors[from + c] as number) - (vectors[origin + c] as number)
      sums[c] = (sums[c] as number) + difference
      squares[c] = (squares[c] as number) + difference * difference
    }
    if (i % rowsOfStep === 0) yield 0
  }
  const variances = squares.map((square, c) => square - (sums[c] as number) ** 2 / ids.length)
  return variances.reduce((best, variance, c) => (variance > (variances[best] as number) ? c : best), 0)
}

/** Where the rows are cut along a direction, and those on each side, ascending. */
interface Cut {
  value: number
  left: Int32Array
  right: Int32Array
}

function* cutAt({ vectors, dimensions }: Rows, ids: Int32Array, direction: Float32Array, leftRows: number): Steps<Cut> {
  const values = new Float64Array(ids.length)
  for (let i = 0; i < ids.length; i++) {
    values[i] = dotProduct(vectors, ids[i] as number, direction, 0, dimensions)
    if (i % rowsOfStep === 0) yield 0
  }
  const above = yield* placeOfRank(values, leftRows)
  return yield* divide(ids, values, above, leftRows)
}

/** Those before a place, and the others. */
function* divide(ids: Int32Array, values: Float64Array, above: Place, leftRows: number): Steps<Cut> {
  const left = new Int32Array(leftRows)
  const right = new Int32Array(ids.length - leftRows)
  let below = Number.NEGATIVE_INFINITY
  let before = 0
  for (let i = 0; i < ids.length; i++) {
    const value = values[i] as number
    if (value < above.value || (value === above.value && i < above.index)) {
      left[before++] = ids[i] as number
      below = Math.max(below, value)
    } else {
      right[i - before] = ids[i] as number
    }
    if (i % 8192 === 8191) yield 0
  }
  return { value: (below + above.value) / 2, left, right }
}
