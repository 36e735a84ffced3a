/** Iterative quantization (Gong & Lazebnik, CVPR 2011): bins are the codes of the signs of the rows' first principal
 * components, turned so that they lie as near to +-1 as a rotation can bring them. */
import { SplitMix } from '../split-mix.js'
import { type Steps, uncounted } from '../turns.js'
import { type PrincipalDirections, principalDirections } from './principal-directions.js'
import { eachProjected, type Projections, type Rows, rowCount } from './projections.js'
import { Matrix, norm, orthogonalizeByRotations, orthonormalize, randomNormals } from './small-matrices.js'

const rowsOfStep = 64

export interface ItqOptions {
  bits: number
  /** Of signs and rotations. */
  iterations: number
  /** Of the first rotation. */
  seed: number
}

/** Bit i (of value 2^i) of a row's bin is 1 where its number i is above 0. Returns for each iteration the mean over the rows
 * of |signs - numbers|^2 after it. A unit of work is an iteration. */
export function* iterativeQuantization(
  rows: Rows,
  { bits, iterations, seed }: ItqOptions,
  result: Projections
): Steps<Float64Array<ArrayBuffer>> {
  const random = new SplitMix(BigInt(seed))
  const principal = yield* uncounted(principalDirections(rows, bits, random))
  const { numbers, squared } = yield* uncounted(projected(rows, principal))
  const count = rowCount(rows)
  let rotation = randomNormals(bits, bits, random)
  yield* orthonormalize(rotation, random)
  const losses = new Float64Array(iterations)
  for (let i = 0; i < iterations; i++) {
    const best = yield* bestRotation(yield* signsTimesRows(numbers, rotation), random)
    rotation = best.rotation
    // |B - V R|^2 = |B|^2 + |V|^2 - 2 trace(B^T V R)
    losses[i] = (count * bits + squared - 2 * best.trace) / count
    yield 1
  }
  result.weights.set(rotated(principal.directions, rotation))
  result.biases.set(biasesOf(result.weights, principal.mean))
  yield* uncounted(
    eachProjected(rows, result, (row, own) => {
      result.labels[row] = signCode(own)
    })
  )
  return losses
}

/** The rows' principal components, and the sum of their squares. */
function* projected(
  rows: Rows,
  { directions, mean }: PrincipalDirections
): Steps<{ numbers: Float32Array; squared: number }> {
  const biases = biasesOf(directions, mean)
  const numbers = new Float32Array(rowCount(rows) * biases.length)
  let squared = 0
  yield* eachProjected(rows, { weights: directions, biases }, (row, own) => {
    numbers.set(own, row * own.length)
    for (const x of own) squared += x * x
  })
  return { numbers, squared }
}

/** By which projections are centered. */
function biasesOf(weights: Float32Array, mean: Float64Array): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: weights.length / mean.length }, (_, i) =>
    mean.reduce((sum, x, c) => sum - x * (weights[i * mean.length + c] as number), 0)
  )
}

/** signs(V R)^T V of the rows V. */
function* signsTimesRows(numbers: Float32Array, rotation: Matrix): Steps<Matrix> {
  const bits = rotation.rows
  const result = new Matrix(bits, bits)
  for (let first = 0; first < numbers.length; first += bits) {
    for (let j = 0; j < bits; j++) {
      let turned = 0
      for (let k = 0; k < bits; k++)
        turned += (numbers[first + k] as number) * (rotation.numbers[k * bits + j] as number)
      const sign = turned > 0 ? 1 : -1
      for (let k = 0, at = j * bits; k < bits; k++, at++)
        result.numbers[at] = (result.numbers[at] as number) + sign * (numbers[first + k] as number)
    }
    if ((first / bits) % rowsOfStep === 0) yield 0
  }
  return result
}

/** The rotation R for which the trace of `matrix` R is largest, and that trace (Schoenemann 1966): with matrix = Q^T S U, it
 * is U^T Q. */
function* bestRotation(matrix: Matrix, random: SplitMix): Steps<{ rotation: Matrix; trace: number }> {
  const n = matrix.rows
  const { turned, rotations } = yield* orthogonalizeByRotations(matrix)
  let trace = 0
  for (let i = 0; i < n; i++) trace += norm(turned.row(i))
  yield* orthonormalize(turned, random)
  const rotation = new Matrix(n, n)
  for (let k = 0; k < n; k++) {
    for (const [i, x] of turned.row(k).entries()) {
      const row = rotation.row(i)
      for (const [j, y] of rotations.row(k).entries()) row[j] = (row[j] as number) + x * y
    }
  }
  return { rotation, trace }
}

/** R^T W */
function rotated(weights: Float32Array, rotation: Matrix): Float64Array {
  const bits = rotation.rows
  const columns = weights.length / bits
  const result = new Matrix(bits, columns)
  for (let k = 0; k < bits; k++) {
    for (const [i, factor] of rotation.row(k).entries()) {
      const row = result.row(i)
      for (let c = 0; c < columns; c++) row[c] = (row[c] as number) + factor * (weights[k * columns + c] as number)
    }
  }
  return result.numbers
}

const signCode = (numbers: Float64Array) => numbers.reduce((code, x, bit) => (x > 0 ? code | (1 << bit) : code), 0)
