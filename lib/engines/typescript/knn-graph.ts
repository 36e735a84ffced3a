/** The nearest neighbors of every vector among the others, and of queries among vectors. */
import type { GraphMethod, JobOptions, KnnGraph, Metric } from '../engine.js'
import { blocksOf, exactNeighbors, type Nearest, type Question, rankLists } from './exact-neighbors.js'
import { type Descent, descend, mostRounds } from './nn-descent.js'
import { alone, type Pool, withTeam } from './team.js'

const mostSearchedExactly = 30_000 // rows: up to here NN-descent takes longer
const comparedWith = 1500 // rows, about, is each one by NN-descent

/** The k-NN graph of prepared vectors. */
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
    const asked = { vectors, dimensions, metric, neighbors, seed }
    return { neighbors, ...(await approximateNeighbors(asked, job, pool)) }
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

/** The nearest neighbors of each row by NN-descent. */
export function approximateNeighbors(asked: Descent, job: JobOptions, pool: Pool = alone): Promise<Nearest> {
  const rows = asked.vectors.length / asked.dimensions
  const work = { total: mostRounds * rows, multiplications: comparedWith * asked.vectors.length }
  return withTeam(pool, job, work, (team) =>
    team.scoped(async () => {
      const vectors = await team.share(asked.vectors)
      const { lists, capacity } = await descend(team, { ...asked, vectors })
      return rankLists(team, { ...asked, vectors, queries: vectors, k: asked.neighbors }, capacity, [lists])
    })
  )
}
