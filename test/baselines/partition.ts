/** Partitions by projections, by the native engine, and what is plain to see of them. */
import { readFileSync } from 'node:fs'
import type { JobOptions, ProjectionMethod, ProjectionPartition } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { readVectors } from '../../lib/index.js'
import { wordsFile } from '../cli/run.js'

const engine = createNativeEngine()

export interface Asked {
  method: ProjectionMethod
  bins: number
  iterations?: number
  seed?: number
}

export const partition = (
  vectors: Float32Array,
  dimensions: number,
  { iterations = 10, seed = 1, ...asked }: Asked,
  job: JobOptions = { threads: 0 }
) => engine.projectionPartition(vectors, dimensions, { iterations, seed, ...asked }, job)

/** weights x + biases of a row, in double precision. */
export function projectionsOf(
  { weights, biases }: ProjectionPartition,
  vectors: Float32Array,
  dimensions: number,
  row: number
): number[] {
  return Array.from(biases, (bias, at) => {
    let sum = bias
    for (let c = 0; c < dimensions; c++)
      sum += (weights[at * dimensions + c] as number) * (vectors[row * dimensions + c] as number)
    return sum
  })
}

export function sizesOf(labels: Int32Array, bins: number): number[] {
  const sizes = new Array<number>(bins).fill(0)
  for (const label of labels) (sizes[label] as number)++
  return sizes
}

/** What scikit-learn and NumPy make of the first words: see test/fixtures/README.md. */
export const reference = JSON.parse(readFileSync(new URL('../fixtures/baselines.json', import.meta.url), 'utf8')) as {
  rows: number
  kmeans: { bins: number; meanSquaredError: number }
  principal: { variances: number[]; first: number[] }
  itq: { bits: number; losses: number[] }
}

export const readWords = (limit = reference.rows) => readVectors(wordsFile, { limit })
