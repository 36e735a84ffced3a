/** Partitions by projections: which method makes what. */
import { ruleOf } from '../../baselines/rules.js'
import { ArgumentError } from '../../errors.js'
import type { JobOptions, ProjectionMethod, ProjectionPartition } from '../engine.js'
import { crossPolytopes } from './baselines/cross-polytope.js'
import { hyperplaneTree, type TreeDirection, workOfTree } from './baselines/hyperplane-trees.js'
import { iterativeQuantization } from './baselines/itq.js'
import { type Projections, rowCount } from './baselines/projections.js'
import { runInTurns } from './turns.js'

export interface ProjectionOptions {
  method: ProjectionMethod
  bins: number
  iterations: number
  seed: number
}

const directions: Partial<Record<ProjectionMethod, TreeDirection>> = {
  'pca-tree': 'principal',
  'rp-tree': 'random',
  'kd-tree': 'axis'
}

/** Bins by projections of prepared vectors, with the native engine's random numbers. */
export async function projectionPartition(
  vectors: Float32Array,
  dimensions: number,
  options: ProjectionOptions,
  job: JobOptions
): Promise<ProjectionPartition> {
  const { method, bins } = options
  const { projections, rule } = ruleOf(method, bins, dimensions)
  const rows = { vectors, dimensions }
  const made: Projections = {
    labels: new Int32Array(rowCount(rows)),
    weights: new Float32Array(projections * dimensions),
    biases: new Float32Array(projections)
  }
  let losses = new Float64Array(0)
  if (rule.type === 'sign-codes') {
    if (rule.bits < 1) throw new ArgumentError('bins', "of 'itq' must be at least 2")
    const steps = iterativeQuantization(rows, { ...options, bits: rule.bits }, made)
    losses = await runInTurns(steps, options.iterations, job)
  } else if (rule.type === 'cross-polytope') {
    await runInTurns(crossPolytopes(rows, rule.dimensions, options.seed, made), rowCount(rows), job)
  } else {
    const direction = directions[method] as TreeDirection
    await runInTurns(hyperplaneTree(rows, bins, direction, options.seed, made), workOfTree(rowCount(rows), bins), job)
  }
  return { bins, ...made, balance: balanceOf(made.labels, bins), losses }
}

/** Largest bin / mean bin. */
function balanceOf(labels: Int32Array, bins: number): number {
  const sizes = new Int32Array(bins)
  for (const label of labels) sizes[label] = (sizes[label] as number) + 1
  return sizes.reduce((most, size) => Math.max(most, size), 0) / (labels.length / bins)
}
