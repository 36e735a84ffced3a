/** Partitions by projections: which method makes what. */
import { ruleOf } from '../../baselines/rules.js'
import { ArgumentError } from '../../errors.js'
import type { JobOptions, ProjectionMethod, ProjectionPartition } from '../engine.js'
import { crossPolytopes } from './baselines/cross-polytope.js'
import { hyperplaneTree, type TreeDirection, workOfTree } from './baselines/hyperplane-trees.js'
import { iterativeQuantization } from './baselines/itq.js'
import { type Projections, type Rows, rowCount } from './baselines/projections.js'
import { alone, type Pool, type Task, withTeam } from './team.js'
import type { Steps } from './turns.js'

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
export function projectionPartition(
  vectors: Float32Array,
  dimensions: number,
  options: ProjectionOptions,
  job: JobOptions,
  pool: Pool = alone
): Promise<ProjectionPartition> {
  const { method, bins, iterations } = options
  const { projections, rule } = ruleOf(method, bins, dimensions)
  if (rule.type === 'sign-codes' && rule.bits < 1) throw new ArgumentError('bins', "of 'itq' must be at least 2")
  const rows = vectors.length / dimensions
  const total = rule.type === 'sign-codes' ? iterations : rule.type === 'cross-polytope' ? rows : workOfTree(rows, bins)
  // Along each projection, and their variances.
  const work = { total, multiplications: vectors.length * (projections + dimensions) }
  return withTeam(pool, job, work, (team) =>
    team.scoped(async () => {
      const given = { rows: { vectors: await team.share(vectors), dimensions }, options }
      const made = await team.run(project, given, 1)
      return { bins, ...made, balance: balanceOf(made.labels, bins) }
    })
  )
}

interface Projected extends Projections {
  losses: Float64Array<ArrayBuffer>
}

/** All of it is one part. */
export const project: Task<{ rows: Rows; options: ProjectionOptions }, Projected> = {
  name: 'project',
  begin: (given) => () => projected(given)
}

function* projected({ rows, options }: { rows: Rows; options: ProjectionOptions }): Steps<Projected> {
  const { method, bins, seed } = options
  const { projections, rule } = ruleOf(method, bins, rows.dimensions)
  const made: Projected = {
    labels: new Int32Array(rowCount(rows)),
    weights: new Float32Array(projections * rows.dimensions),
    biases: new Float32Array(projections),
    losses: new Float64Array(0)
  }
  if (rule.type === 'sign-codes') {
    made.losses = yield* iterativeQuantization(rows, { ...options, bits: rule.bits }, made)
  } else if (rule.type === 'cross-polytope') {
    yield* crossPolytopes(rows, rule.dimensions, seed, made)
  } else {
    yield* hyperplaneTree(rows, bins, directions[method] as TreeDirection, seed, made)
  }
  return made
}

/** Largest bin / mean bin. */
function balanceOf(labels: Int32Array, bins: number): number {
  const sizes = new Int32Array(bins)
  for (const label of labels) sizes[label] = (sizes[label] as number) + 1
  return sizes.reduce((most, size) => Math.max(most, size), 0) / (labels.length / bins)
}
