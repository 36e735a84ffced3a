/** Checks of vectors before they are worked with. */
import { ArgumentError } from '../../errors.js'
import type { JobOptions, Metric } from '../engine.js'
import { dotProduct } from './distances.js'
import { runInTurns, type Steps } from './turns.js'

const rowsOfStep = 64
const valuesOfStep = 1 << 14
const maxSquaredNorm = 2 ** 125

/** Unit rows for cosine, otherwise the array itself. Throws ArgumentError where a row is not what it must be. */
export function prepareVectors(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  argument: string,
  job: JobOptions
): Promise<Float32Array> {
  const rows = vectors.length / dimensions
  return runInTurns(prepareSteps(vectors, dimensions, metric, argument), rows, job)
}

function* prepareSteps(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  argument: string
): Steps<Float32Array> {
  const prepared = metric === 'cosine' ? new Float32Array(vectors.length) : vectors
  for (let row = 0; row * dimensions < vectors.length; row++) {
    const squared = dotProduct(vectors, row, vectors, row, dimensions)
    checkRow(vectors, dimensions, metric, argument, row, squared)
    if (metric === 'cosine') scaleRow(vectors, prepared, row * dimensions, dimensions, 1 / Math.sqrt(squared))
    if (row % rowsOfStep === 0) yield rowsOfStep
  }
  return prepared
}

function checkRow(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  argument: string,
  row: number,
  squared: number
): void {
  if (!Number.isFinite(squared)) {
    const values = vectors.subarray(row * dimensions, (row + 1) * dimensions)
    const column = values.findIndex((value) => !Number.isFinite(value))
    const kind = Number.isNaN(values[column]) ? 'NaN' : 'infinite'
    throw new ArgumentError(argument, `row ${row}, column ${column} is ${kind}; every value must be a finite number`)
  }
  if (squared > maxSquaredNorm) {
    const problem = `row ${row} has values so large that distances overflow; scale the vectors down`
    throw new ArgumentError(argument, problem)
  }
  if (metric === 'cosine' && squared === 0) {
    const problem = `row ${row} is all zeros and has no direction; leave it out or use another metric`
    throw new ArgumentError(argument, problem)
  }
}

function scaleRow(from: Float32Array, to: Float32Array, first: number, dimensions: number, scale: number): void {
  for (let i = first; i < first + dimensions; i++) to[i] = (from[i] as number) * scale
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
