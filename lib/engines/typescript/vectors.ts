/** What is asked of every vector before anything is computed with it, and how far two of them are apart. */
import { ArgumentError } from '../../errors.js'
import { eachRow } from '../../rows.js'
import type { JobOptions, Metric, SearchState } from '../engine.js'
import { dotProduct, type Stored, squaredDistance, squaredNorm } from './products.js'
import { runInTurns, type Steps } from './turns.js'

const valuesOfStep = 1 << 14

/** Beyond it distances would overflow in float32. */
const largestSquare = 2 ** 125

/** Row `row` of `rows` as scan and router want it, of unit length for cosine. @throws ArgumentError naming `argument` */
export function preparedRow(
  rows: Float32Array,
  row: number,
  dimensions: number,
  metric: Metric,
  argument: string
): Float32Array {
  const vector = rows.subarray(row * dimensions, (row + 1) * dimensions)
  const squared = squaredNorm(vector)
  if (!Number.isFinite(squared)) {
    const column = vector.findIndex((value) => !Number.isFinite(value))
    const what = Number.isNaN(vector[column]) ? 'NaN' : 'infinite'
    throw new ArgumentError(argument, `row ${row}, column ${column} is ${what}; every value must be a finite number`)
  }
  if (squared > largestSquare)
    throw new ArgumentError(argument, `row ${row} has values so large that distances overflow; scale the vectors down`)
  if (metric !== 'cosine') return vector
  if (squared === 0) {
    const cure = 'leave it out or use another metric'
    throw new ArgumentError(argument, `row ${row} is all zeros and has no direction; ${cure}`)
  }
  const scale = 1 / Math.sqrt(squared)
  return vector.map((value) => value * scale)
}

/** All of them; the array itself where the metric leaves them as they are. */
export async function prepareVectors(
  rows: Float32Array,
  dimensions: number,
  metric: Metric,
  argument: string,
  { signal, onProgress }: JobOptions
): Promise<Float32Array> {
  const count = rows.length / dimensions
  const prepared = metric === 'cosine' ? new Float32Array(rows.length) : rows
  await eachRow(count, signal, (row) => {
    const vector = preparedRow(rows, row, dimensions, metric, argument)
    if (prepared !== rows) prepared.set(vector, row * dimensions)
  })
  onProgress?.(count, count)
  return prepared
}

/** Of a prepared query, widened to doubles, to a stored row. */
export type Distance = (query: Float64Array, row: number) => number

/** The metric's distance, every operation in double precision. */
export function distanceTo(
  vectors: Stored,
  { metric, dimensions }: Pick<SearchState, 'metric' | 'dimensions'>
): Distance {
  switch (metric) {
    case 'euclidean':
      return (query, row) => squaredDistance(query, vectors, row * dimensions, dimensions)
    case 'cosine':
      return (query, row) => 1 - dotProduct(query, vectors, row * dimensions, dimensions)
    case 'inner-product':
      return (query, row) => -dotProduct(query, vectors, row * dimensions, dimensions)
  }
}

/** Whether all numbers are integers in 0 .. 255. */
export function areBytes(vectors: Float32Array, job: JobOptions): Promise<boolean> {
  return runInTurns(areAllBytes(vectors), vectors.length, job)
}

export function* areAllBytes(vectors: Float32Array): Steps<boolean> {
  for (let first = 0; first < vectors.length; first += valuesOfStep) {
    if (!areBytesBetween(vectors, first, Math.min(first + valuesOfStep, vectors.length))) return false
    yield 0
  }
  return true
}

function areBytesBetween(vectors: Float32Array, first: number, end: number): boolean {
  for (let i = first; i < end; i++) {
    const value = vectors[i] as number
    if ((value & 255) !== value) return false
  }
  return true
}
