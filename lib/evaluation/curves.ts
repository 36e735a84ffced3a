/** Accuracy against candidates for every number of bins and for every recall, from one ranking of the bins. */
import type { JobOptions, Probing, Searcher, SearchRequest, SearchState } from '../engines/engine.js'
import { eachRow } from '../rows.js'
import { binOfEachPoint, eachRanking } from '../stages/bin-ranks.js'
import type { ComparisonCurve, ComparisonPoint, ProbingType } from './comparison.js'
import { meanOf, quantile } from './evaluate.js'

/** What a user asks for, and the search that this means. */
export interface AskedSearch {
  asked: number
  request: SearchRequest
}

/** A curve, and the search of each of its points. */
export interface SearchableCurve extends ComparisonCurve {
  requests: SearchRequest[]
}

export interface RankedTruth {
  curves: SearchableCurve[]
  /** For each true neighbor (queries x k) the place of its bin in the query's ranking, from 0. */
  ranks: Int32Array<ArrayBuffer>
}

interface Tally extends AskedSearch {
  /** Vectors in the bins that are read, for each query. */
  candidates: Int32Array<ArrayBuffer>
  /** True neighbors among them, of all queries. */
  found: number
}

/**
 * Ranks the bins once for each query and tells from that what every search would read and find. As the engine does, it
 * reads further bins while there are fewer than k candidates. Takes 4 bytes a query and search.
 *
 * @param searches for each way of choosing bins, each reading what the one before reads, and more.
 * @param truth queries x k row numbers.
 */
export async function rankTruth(
  searcher: Pick<Searcher, 'route'>,
  state: SearchState,
  searches: Readonly<Record<ProbingType, readonly AskedSearch[]>>,
  queries: Float32Array,
  truth: Int32Array,
  k: number,
  job: JobOptions
): Promise<RankedTruth> {
  const { offsets } = state.bins
  const count = truth.length / k
  const byProbes = talliesOf(count, searches.probes)
  const byRecall = talliesOf(count, searches.recall)
  const binOf = await binOfEachPoint(state, job.signal)
  const rankOf = new Int32Array(offsets.length - 1)
  const read = new Int32Array(offsets.length)
  const ranks = new Int32Array(truth.length)
  await eachRanking(searcher, state, queries, job, (query, bins, probabilities) => {
    for (let rank = 0; rank < bins.length; rank++) {
      const bin = bins[rank] as number
      rankOf[bin] = rank
      read[rank + 1] = (read[rank] as number) + (offsets[bin + 1] as number) - (offsets[bin] as number)
    }
    for (let place = query * k; place < (query + 1) * k; place++)
      ranks[place] = rankOf[binOf[truth[place] as number] as number] as number
    const own = ranks.slice(query * k, (query + 1) * k).sort()
    for (const tallies of [byProbes, byRecall]) tally(tallies, query, { read, probabilities, ranks: own })
  })
  const total = truth.length
  const curves = [await curveOf('probes', byProbes, total, job), await curveOf('recall', byRecall, total, job)]
  return { curves, ranks }
}

const talliesOf = (queries: number, searches: readonly AskedSearch[]): Tally[] =>
  searches.map((search) => ({ ...search, candidates: new Int32Array(queries), found: 0 }))

/** One query's bins in their order. */
interface QueryRanking {
  /** Vectors in the bins before each rank. */
  read: Int32Array
  probabilities: Float32Array
  /** Of the k true neighbors' bins, ascending. */
  ranks: Int32Array
}

/** Each tally reads what the one before reads, and further bins: one walk over the ranking serves all. */
function tally(tallies: Tally[], query: number, { read, probabilities, ranks }: QueryRanking): void {
  let reach = 0
  let found = 0
  const { length } = probabilities
  for (const one of tallies) {
    const { k, probing } = one.request
    while (reach < length && ((read[reach] as number) < k || isRead(probing, reach, read, probabilities))) reach++
    while (found < ranks.length && (ranks[found] as number) < reach) found++
    one.candidates[query] = read[reach] as number
    one.found += found
  }
}

function isRead(probing: Probing, rank: number, read: Int32Array, probabilities: Float32Array): boolean {
  if (probing.probes !== undefined) return rank < probing.probes
  if (probing.probability === undefined) return false
  return (probabilities[rank] as number) >= probing.probability && (read[rank] as number) < probing.candidates
}

/** Up to the point where everything is found, without those that read what the one before does. */
async function curveOf(probing: ProbingType, tallies: Tally[], total: number, { signal }: JobOptions) {
  const whole = tallies.findIndex(({ found }) => found === total)
  const useful = whole < 0 ? tallies : tallies.slice(0, whole + 1)
  const points: ComparisonPoint[] = []
  const requests: SearchRequest[] = []
  await eachRow(useful.length, signal, (i) => {
    const { asked, request, candidates, found } = useful[i] as Tally
    const candidatesMean = meanOf(candidates)
    if (candidatesMean === points.at(-1)?.candidatesMean) return
    const candidatesQ95 = quantile(candidates.sort(), 0.95)
    points.push({ asked, accuracy: found / total, candidatesMean, candidatesQ95 })
    requests.push(request)
  })
  return { probing, points, requests }
}
