/** Partitions by projections, by both engines, and what is plain to see of them. */
import { readFileSync } from 'node:fs'
import type { Engine, JobOptions, ProjectionMethod, ProjectionPartition } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { readVectors } from '../../lib/index.js'
import { wordsFile } from '../cli/run.js'

export interface Asked {
  method: ProjectionMethod
  bins: number
  iterations?: number
  seed?: number
}

const partitionBy =
  (engine: Engine) =>
  (
    vectors: Float32Array,
    dimensions: number,
    { iterations = 10, seed = 1, ...asked }: Asked,
    job: JobOptions = { threads: 0 }
  ) =>
    engine.projectionPartition(vectors, dimensions, { iterations, seed, ...asked }, job)

export const partitioners = [createNativeEngine(), createTypescriptEngine()].map((engine) => ({
  engine: engine.name,
  partition: partitionBy(engine)
}))

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
