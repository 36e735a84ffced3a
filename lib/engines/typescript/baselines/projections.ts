/** Partitions by projections: what all of them are made of. Row x has the numbers weights x + biases, and by these its bin. */
import type { Steps } from '../turns.js'
import { FourRows } from './four-rows.js'

/** Vectors, row by row. */
export interface Rows {
  vectors: Float32Array
  dimensions: number
}

/** Where such a partition is written. */
export interface Projections {
  /** Of each row its bin. */
  labels: Int32Array<ArrayBuffer>
  /** projections x dimensions */
  weights: Float32Array<ArrayBuffer>
  /** projections */
  biases: Float32Array<ArrayBuffer>
}

export const rowCount = ({ vectors, dimensions }: Rows) => vectors.length / dimensions

/** Calls visit(row, numbers) once for each row, in order; a unit of work is a row. */
export function* eachProjected(
  rows: Rows,
  { weights, biases }: Pick<Projections, 'weights' | 'biases'>,
  visit: (row: number, numbers: Float64Array) => void
): Steps<void> {
  const { vectors, dimensions } = rows
  const directions = Float64Array.from(weights)
  const four = new FourRows(dimensions)
  const products = new Float64Array(4)
  const numbers = Array.from({ length: 4 }, () => new Float64Array(biases.length))
  for (let first = 0, count = rowCount(rows); first < count; first += 4) {
    const some = Math.min(4, count - first)
    four.take(vectors, first, some)
    for (let p = 0; p < biases.length; p++) {
      four.multiply(directions, p * dimensions, products)
      for (let i = 0; i < 4; i++) (numbers[i] as Float64Array)[p] = (biases[p] as number) + (products[i] as number)
    }
    for (let i = 0; i < some; i++) visit(first + i, numbers[i] as Float64Array)
    yield some
  }
}
