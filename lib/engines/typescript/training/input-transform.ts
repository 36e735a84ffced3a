/** What a vector goes through before the network, in training and in every query. */
import type { InputType } from '../../../classifier/training.js'
import type { InputTransform } from '../../engine.js'
import type { Steps } from '../turns.js'
import { type Reals, rowsOfStep } from './reals.js'

/** Learned from the given rows. A feature (or a set) that does not vary keeps scale 1. */
export function* fitInputTransform(
  type: InputType,
  vectors: Float32Array,
  dimensions: number,
  rows: Int32Array
): Steps<InputTransform> {
  const unitLength = type === 'normalize'
  const mean = new Float32Array(dimensions)
  const scale = new Float32Array(dimensions).fill(1)
  if (type === 'none') return { unitLength, mean, scale }
  const { means, variances } = yield* momentsOf(vectors, dimensions, rows, unitLength)
  const common = scaleFor(variances.reduce((sum, variance) => sum + variance, 0) / dimensions)
  for (let c = 0; c < dimensions; c++) {
    mean[c] = means[c] as number
    scale[c] = type === 'standardize' ? scaleFor(variances[c] as number) : common
  }
  return { unitLength, mean, scale }
}

/** Of the rows, or of their directions. Sums are of differences from the first row: exact for constant data, and small
 * where the data lie far from the origin. */
function* momentsOf(vectors: Float32Array, dimensions: number, rows: Int32Array, unitLength: boolean) {
  const origin = new Float64Array(dimensions)
  const row = new Float64Array(dimensions)
  const sums = new Float64Array(dimensions)
  const squares = new Float64Array(dimensions)
  takeRow(vectors, rows[0] as number, unitLength, origin)
  const together = rowsOfStep(dimensions)
  for (const [i, id] of rows.entries()) {
    takeRow(vectors, id, unitLength, row)
    for (let c = 0; c < dimensions; c++) {
      const difference = (row[c] as number) - (origin[c] as number)
      sums[c] = (sums[c] as number) + difference
      squares[c] = (squares[c] as number) + difference * difference
    }
    if (i % together === 0) yield 0
  }
  const means = sums.map((sum, c) => (origin[c] as number) + sum / rows.length)
  const variances = squares.map((square, c) => square / rows.length - ((sums[c] as number) / rows.length) ** 2)
  return { means, variances }
}

/** 1 for what does not vary, or so little that float arithmetic cannot undo it. */
function scaleFor(variance: number): number {
  const scale = Math.fround(1 / Math.sqrt(variance))
  return Number.isFinite(scale) && scale >= 2 ** -126 ? scale : 1
}

/** Row `row` as doubles; of unit length, to float precision, where that is asked for: zeros stay zeros. */
function takeRow(vectors: Float32Array, row: number, unitLength: boolean, to: Float64Array): void {
  const first = row * to.length
  let squared = 0
  for (let c = 0; c < to.length; c++) {
    const value = vectors[first + c] as number
    to[c] = value
    squared += value * value
  }
  if (!unitLength) return
  const scale = squared > 0 ? 1 / Math.sqrt(squared) : 0
  for (let c = 0; c < to.length; c++) to[c] = Math.fround((to[c] as number) * scale)
}

/** Writes what the network is fed with: `rows` one after the other. */
export function* transformRows(
  { unitLength, mean, scale }: InputTransform,
  vectors: Float32Array,
  rows: Int32Array,
  to: Reals
): Steps<void> {
  const dimensions = mean.length
  const row = new Float64Array(dimensions)
  const together = rowsOfStep(dimensions)
  for (let i = 0; i < rows.length; i++) {
    takeRow(vectors, rows[i] as number, unitLength, row)
    for (let c = 0, at = i * dimensions; c < dimensions; c++, at++)
      to[at] = ((row[c] as number) - (mean[c] as number)) * (scale[c] as number)
    if (i % together === 0) yield 0
  }
}
