/** Principal component analysis: the directions along which rows vary most. */
import type { SplitMix } from '../split-mix.js'
import type { Steps } from '../turns.js'
import { FourRows } from './four-rows.js'
import { type Rows, rowCount } from './projections.js'
import {
  Matrix,
  norm,
  orthogonalizeByRotations,
  orthonormalize,
  product,
  productWithTransposed,
  randomNormals
} from './small-matrices.js'

const additionalDirections = 8
const mostIterations = 100
const leastGrowth = 1e-6 // relative; below it are the floats' roundings

export interface PrincipalDirections {
  /** dimensions */
  mean: Float64Array
  /** count x dimensions: orthogonal, unit length, that of most variance first. */
  directions: Float32Array<ArrayBuffer>
}

/** By subspace iteration with some directions more than are asked for (Halko, Martinsson & Tropp 2011) until the variance
 * that they explain no longer grows. Where the rows vary in fewer directions, the others are random. */
export function* principalDirections(rows: Rows, count: number, random: SplitMix): Steps<PrincipalDirections> {
  const { dimensions } = rows
  const mean = yield* meanOf(rows)
  let directions = randomNormals(Math.min(count + additionalDirections, dimensions), dimensions, random)
  yield* orthonormalize(directions, random)
  let explained = 0
  let before = -1
  for (let i = 0; i < mostIterations && explained - before > leastGrowth * explained; i++) {
    const image = yield* timesCovariance(rows, mean, directions)
    const inside = yield* productWithTransposed(directions, image)
    const { turned, rotations } = yield* orthogonalizeByRotations(inside) // Rayleigh & Ritz
    before = explained
    explained = 0
    for (let d = 0; d < count; d++) explained += norm(turned.row(d))
    directions = yield* product(rotations, image)
    yield* orthonormalize(directions, random)
  }
  return { mean, directions: Float32Array.from(directions.numbers.subarray(0, count * dimensions)) }
}

function* meanOf(rows: Rows): Steps<Float64Array> {
  const { vectors, dimensions } = rows
  const mean = new Float64Array(dimensions)
  const count = rowCount(rows)
  for (let row = 0; row < count; row++) {
    for (let c = 0; c < dimensions; c++) mean[c] = (mean[c] as number) + (vectors[row * dimensions + c] as number)
    yield 0
  }
  return mean.map((sum) => sum / count)
}

/** The directions times the covariance of the rows (times their number), without making that: (V X^T) X. */
function* timesCovariance(rows: Rows, mean: Float64Array, directions: Matrix): Steps<Matrix> {
  const { vectors, dimensions } = rows
  const image = new Matrix(directions.rows, dimensions)
  const four = new FourRows(dimensions)
  const products = new Float64Array(4)
  for (let first = 0, count = rowCount(rows); first < count; first += 4) {
    four.take(vectors, first, Math.min(4, count - first), mean)
    for (let d = 0; d < directions.rows; d++) {
      four.multiply(directions.numbers, d * dimensions, products)
      four.addTo(image.numbers, d * dimensions, products)
    }
    yield 0
  }
  return image
}
