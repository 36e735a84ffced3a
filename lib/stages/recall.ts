/**
 * What held-out vectors say of an index's searches: which bins must be read to find a share of the true neighbors, and
 * how many of the candidates that the codes put first must be compared again exactly.
 *
 * Of all ways to read the same number of vectors, reading the bins above one probability finds most: each bin is read
 * where it is worth most. It needs fewer candidates than a number of bins or a mass that is the same for all queries.
 */
import type { Engine, JobOptions, RecallCurve, Searcher, SearchState } from '../engines/engine.js'
import { eachRow, gatherRows } from '../rows.js'
import { binOfEachPoint, eachRanking } from './bin-ranks.js'

/** Neighbors that the curve speaks of. */
export const curveNeighbors = 10
/** Held-out vectors that are asked: the recall's standard error is then below half a percent. */
const mostQueries = 2000
const fewestQueries = 100
/** Probabilities that a bin must have to be read, from 1 down to next to nothing. */
const probabilities = Array.from({ length: 80 }, (_, i) => Math.exp(-i / 6))
/** A doubtful query, for which many bins pass, reads at most so many times the vectors that half of the queries read:
 * its last bins hold little, and nobody wants to wait for the slowest answer. */
const mostOverMedian = 1.2
/** Candidates that are compared again, in neighbors asked for. */
const depths = [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]
/** How many of the bins are read while the depths are measured: as many as a thorough search reads. */
const thoroughRecall = 0.98

/** Vectors with their true neighbors. */
export interface HeldOut {
  /** queries x dimensions, prepared. */
  queries: Float32Array<ArrayBuffer>
  /** queries x k original ids, the query itself left out. */
  truth: Int32Array<ArrayBuffer>
  /** Of each of them. */
  distances: Float32Array<ArrayBuffer>
  k: number
}

/** Takes some of the rows `candidates` of prepared vectors (of all, where those are too few) as queries and finds their
 * neighbors among the others. */
export async function holdOut(
  engine: Engine,
  vectors: Float32Array,
  { dimensions, metric }: Pick<SearchState, 'dimensions' | 'metric'>,
  candidates: Int32Array,
  job: JobOptions
): Promise<HeldOut> {
  const total = vectors.length / dimensions
  const k = Math.min(curveNeighbors, total - 1)
  const rows =
    candidates.length >= fewestQueries
      ? spread(candidates.length, (place) => candidates[place] as number)
      : spread(total, (row) => row)
  const queries = await gatherRows(vectors, dimensions, rows, job.signal)
  const nearest = await engine.exactSearch(vectors, queries, dimensions, metric, k + 1, job)
  const truth = new Int32Array(rows.length * k)
  const distances = new Float32Array(rows.length * k)
  for (const [i, row] of rows.entries()) {
    const [first, end] = [i * (k + 1), (i + 1) * (k + 1)]
    // With many vectors in one place, the query may not be among them.
    const self = nearest.ids.subarray(first, end).indexOf(row)
    const place = (neighbor: number) => first + neighbor + (self >= 0 && neighbor >= self ? 1 : 0)
    for (let neighbor = 0; neighbor < k; neighbor++) {
      truth[i * k + neighbor] = nearest.ids[place(neighbor)] as number
      distances[i * k + neighbor] = nearest.distances[place(neighbor)] as number
    }
  }
  return { queries, truth, distances, k }
}

/** At most `mostQueries` of `total`, evenly. */
function spread(total: number, at: (place: number) => number): Int32Array {
  const count = Math.min(mostQueries, total)
  return Int32Array.from({ length: count }, (_, i) => at(Math.floor((i * total) / count)))
}

/** Learns the curve; the state must be the searcher's own. */
export async function learnRecall(
  searcher: Searcher,
  state: SearchState,
  asks: HeldOut,
  job: JobOptions
): Promise<RecallCurve> {
  const places = await placeNeighbors(searcher, state, asks, job)
  const probing = await learnProbing(places, state.bins.ids.length, job.signal)
  const curve: RecallCurve = { ...probing, reranked: [], loss: [] }
  return searcher.usesCodes ? { ...curve, ...(await learnDepth(searcher, asks, places, curve, job)) } : curve
}

/** Of the bin of each true neighbor: its probability, and the vectors in the bins before it. */
interface Places {
  probability: Float32Array
  before: Int32Array
  /** For each of `probabilities` and each query the vectors in the bins that have it. */
  candidates: Int32Array[]
}

async function placeNeighbors(
  searcher: Searcher,
  state: SearchState,
  { queries, truth, k }: HeldOut,
  job: JobOptions
): Promise<Places> {
  const { offsets } = state.bins
  const binOf = await binOfEachPoint(state, job.signal)
  const count = truth.length / k
  const places: Places = {
    probability: new Float32Array(truth.length),
    before: new Int32Array(truth.length),
    candidates: probabilities.map(() => new Int32Array(count))
  }
  const rankOf = new Int32Array(offsets.length - 1)
  const before = new Int32Array(offsets.length)
  await eachRanking(searcher, state, queries, job, (query, bins, ranked) => {
    let level = 0
    for (let rank = 0; rank < bins.length; rank++) {
      const bin = bins[rank] as number
      const probability = ranked[rank] as number
      for (; level < probabilities.length && probability < (probabilities[level] as number); level++)
        (places.candidates[level] as Int32Array)[query] = before[rank] as number
      rankOf[bin] = rank
      before[rank + 1] = (before[rank] as number) + (offsets[bin + 1] as number) - (offsets[bin] as number)
    }
    for (; level < probabilities.length; level++)
      (places.candidates[level] as Int32Array)[query] = before[bins.length] as number
    for (let place = query * k; place < (query + 1) * k; place++) {
      const rank = rankOf[binOf[truth[place] as number] as number] as number
      places.probability[place] = ranked[rank] as number
      places.before[place] = before[rank] as number
    }
  })
  return places
}

/** Whether the bin of the neighbor at `place` is read. */
const isRead = (places: Places, place: number, probability: number, candidates: number) =>
  (places.probability[place] as number) >= probability && (places.before[place] as number) < candidates

async function learnProbing(places: Places, rows: number, signal: AbortSignal | undefined) {
  const recall: number[] = []
  const candidates: number[] = []
  await eachRow(probabilities.length, signal, (level) => {
    const counts = places.candidates[level] as Int32Array
    const median = counts.slice().sort()[counts.length >> 1] as number
    const most = Math.max(1, Math.ceil(mostOverMedian * median))
    let read = 0
    for (let place = 0; place < places.before.length; place++)
      if (isRead(places, place, probabilities[level] as number, most)) read++
    recall.push(read / places.before.length)
    candidates.push(most)
  })
  // All bins find everything.
  return { recall: [...recall, 1], probability: [...probabilities, 0], candidates: [...candidates, rows] }
}

async function learnDepth(
  searcher: Searcher,
  { queries, truth, distances, k }: HeldOut,
  places: Places,
  curve: RecallCurve,
  job: JobOptions
): Promise<Pick<RecallCurve, 'reranked' | 'loss'>> {
  const probing = probingFor(curve, thoroughRecall)
  const reranked: number[] = []
  const loss: number[] = []
  // The query itself is found, too.
  const asked = k + 1
  for (const depth of depths) {
    const request = { k: asked, probing, reranked: Math.ceil(depth * asked) }
    const answer = await searcher.searchBatch(queries, request, job)
    let within = 0
    let found = 0
    await eachRow(truth.length / k, job.signal, (query) => {
      const returned = new Set(answer.ids.subarray(query * asked, (query + 1) * asked))
      const farthest = answer.distances[(query + 1) * asked - 1] as number
      for (let place = query * k; place < (query + 1) * k; place++) {
        if (!isRead(places, place, probing.probability, probing.candidates)) continue
        within++
        // One that is as near is as good.
        if (returned.has(truth[place] as number) || (distances[place] as number) >= farthest) found++
      }
    })
    reranked.push(request.reranked / asked)
    loss.push(within === 0 ? 0 : 1 - found / within)
  }
  // More never loses more: what rises is noise.
  for (let i = loss.length - 2; i >= 0; i--) loss[i] = Math.max(loss[i] as number, loss[i + 1] as number)
  return { reranked, loss }
}

/** What to read to reach a recall, between the curve's points in proportion. */
export function probingFor({ recall, probability, candidates }: RecallCurve, wanted: number) {
  const above = recall.findIndex((one) => one >= wanted)
  const between = (values: readonly number[]): number => {
    if (above <= 0) return values.at(above) as number
    const [from, to] = [recall[above - 1], recall[above]] as [number, number]
    const [low, high] = [values[above - 1], values[above]] as [number, number]
    return low + ((wanted - from) / (to - from)) * (high - low)
  }
  return { probability: between(probability), candidates: Math.ceil(between(candidates)) }
}

/** Candidates to compare again, for each neighbor asked for, so that at most the share `allowed` is lost; 0 where the
 * scan is exact. Between what was measured in proportion: the more are compared the less another one brings, so that
 * what is lost there is below the straight line. */
export function depthFor({ reranked, loss }: RecallCurve, allowed: number): number {
  const enough = loss.findIndex((one) => one <= allowed)
  if (enough <= 0) return reranked.at(enough) ?? 0
  const [from, to] = [loss[enough - 1], loss[enough]] as [number, number]
  const [less, more] = [reranked[enough - 1], reranked[enough]] as [number, number]
  return less + ((from - allowed) / (from - to)) * (more - less)
}
