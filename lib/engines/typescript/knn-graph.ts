/** The nearest neighbors of every vector among the others, and of queries among vectors. */
import type { GraphMethod, JobOptions, KnnGraph, Metric } from '../engine.js'
import { blocksOf, exactNeighbors, type Nearest, type Question, rankLists } from './exact-neighbors.js'
import { descend, mostRounds } from './nn-descent.js'
import { alone, type Pool, withTeam } from './team.js'
import { runInTurns, type Steps } from './turns.js'

const mostSearchedExactly = 30_000 // rows: up to here NN-descent takes longer

/** The k-NN graph of prepared vectors. The exact one on as many threads as there are; NN-descent on this one, as every
 * comparison may change the lists of any two rows. */
export async function knnGraph(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  { neighbors, method, seed }: { neighbors: number; method: GraphMethod; seed: number },
  job: JobOptions,
  pool: Pool = alone
): Promise<KnnGraph> {
  const rows = vectors.length / dimensions
  if (method === 'approximate' && rows > mostSearchedExactly) {
    const steps = approximateNeighbors(vectors, dimensions, metric, neighbors, seed)
    return { neighbors, ...(await runInTurns(steps, mostRounds * rows, job)) }
  }
  const question = { vectors, queries: vectors, dimensions, metric, k: neighbors, isGraph: true }
  const work = { total: (blocksOf(rows) * (blocksOf(rows) + 1)) / 2, multiplications: (rows * vectors.length) / 2 }
  return { neighbors, ...(await withTeam(pool, job, work, (team) => exactNeighbors(team, question))) }
}

/** The k nearest vectors of each query, both prepared. */
export function exactSearch(
  vectors: Float32Array,
  queries: Float32Array,
  dimensions: number,
  metric: Metric,
  k: number,
  job: JobOptions,
  pool: Pool = alone
): Promise<Nearest> {
  const question: Question = { vectors, queries, dimensions, metric, k, isGraph: false }
  const total = blocksOf(vectors.length / dimensions) * blocksOf(queries.length / dimensions)
  const work = { total, multiplications: (queries.length / dimensions) * vectors.length }
  return withTeam(pool, job, work, (team) => exactNeighbors(team, question))
}

export function* approximateNeighbors(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  k: number,
  seed: number
): Steps<Nearest> {
  const lists = yield* descend(vectors, dimensions, metric, k, seed)
  return yield* rankLists({ vectors, queries: vectors, dimensions, metric, k }, lists)
}
