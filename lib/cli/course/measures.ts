/** What the course measures: nearest neighbors as the index finds them, and as they are. */
import { exactSearch, type NeuralLSH, type Progress } from '../../index.js'
import { eachRow } from '../../rows.js'

/** Rows of `dimensions` numbers. */
export interface Questions {
  vectors: Float32Array
  queries: Float32Array
  dimensions: number
  /** Neighbors of each query. */
  count: number
}

/** queries x count. */
export interface Neighbors {
  ids: Int32Array
  /** Euclidean, in double precision. */
  distances: Float64Array
  /** That finding all of them took. */
  seconds: number
}

export interface Watch {
  signal: AbortSignal
  onProgress(progress: Pick<Progress, 'done' | 'total'> & { stage: string }): void
}

/** The neighbors that the index finds in the most probable bins: one query after the other, on this thread. */
export async function approximateNeighbors(
  index: NeuralLSH,
  questions: Questions,
  probes: number,
  { signal, onProgress }: Watch
): Promise<Neighbors> {
  const { queries, dimensions, count } = questions
  const total = queries.length / dimensions
  const ids = new Int32Array(total * count)
  let milliseconds = 0
  await eachRow(total, signal, (row) => {
    onProgress({ stage: 'search', done: row, total })
    const query = queries.subarray(row * dimensions, (row + 1) * dimensions)
    const start = performance.now()
    const found = index.searchSync(query, { k: count, probes })
    milliseconds += performance.now() - start
    ids.set(found.ids, row * count)
  })
  return { ids, distances: await distancesTo(ids, questions, signal), seconds: milliseconds / 1000 }
}

/** The true neighbors, by comparing with all vectors, on one thread. */
export async function trueNeighbors(questions: Questions, { signal, onProgress }: Watch): Promise<Neighbors> {
  const { vectors, queries, dimensions, count } = questions
  const start = performance.now()
  const { ids } = await exactSearch(vectors, queries, { dimensions, k: count, threads: 1, signal, onProgress })
  const seconds = (performance.now() - start) / 1000
  return { ids, distances: await distancesTo(ids, questions, signal), seconds }
}

async function distancesTo(ids: Int32Array, { vectors, queries, dimensions, count }: Questions, signal: AbortSignal) {
  const distances = new Float64Array(ids.length)
  await eachRow(ids.length, signal, (place) => {
    const query = Math.floor(place / count) * dimensions
    const vector = (ids[place] as number) * dimensions
    let sum = 0
    for (let i = 0; i < dimensions; i++) sum += ((queries[query + i] as number) - (vectors[vector + i] as number)) ** 2
    distances[place] = Math.sqrt(sum)
  })
  return distances
}

/** Mean of approximate / true distance over queries and ranks. Where the true distance is 0, 0 / 0 counts as 1; a neighbor
 * at 0 that was missed has no factor and is left out. */
export function averageFactor(approximate: Neighbors, truth: Neighbors): number {
  let [sum, counted] = [0, 0]
  for (const [place, right] of truth.distances.entries()) {
    const found = approximate.distances[place] as number
    if (right === 0 && found > 0) continue
    sum += right === 0 ? 1 : found / right
    counted++
  }
  return sum / counted
}

/** Share of the true neighbors, by their row numbers, that were found. */
export function recall(approximate: Neighbors, truth: Neighbors, count: number): number {
  let found = 0
  for (let start = 0; start < truth.ids.length; start += count) {
    const returned = new Set(approximate.ids.subarray(start, start + count))
    for (const id of truth.ids.subarray(start, start + count)) if (returned.has(id)) found++
  }
  return found / truth.ids.length
}
