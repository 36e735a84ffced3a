/** Where the router's ranking of the bins puts the true neighbors of queries. */
import type { JobOptions, Searcher, SearchState } from '../engines/engine.js'
import { eachRow } from '../rows.js'

/** Bounds the memory of one call of route: queries x bins. */
const largestRoute = 2 ** 20

/** Calls `visit` for each query with all bins, most probable first, and their probabilities. */
export async function eachRanking(
  searcher: Pick<Searcher, 'route'>,
  { dimensions, bins }: Pick<SearchState, 'dimensions' | 'bins'>,
  queries: Float32Array,
  job: JobOptions,
  visit: (query: number, bins: Int32Array, probabilities: Float32Array) => void
): Promise<void> {
  const binCount = bins.offsets.length - 1
  const step = Math.max(1, Math.floor(largestRoute / binCount))
  const count = queries.length / dimensions
  for (let start = 0; start < count; start += step) {
    const slice = queries.subarray(start * dimensions, (start + step) * dimensions)
    const routes = await searcher.route(slice, binCount, job)
    await eachRow(slice.length / dimensions, job.signal, (row) => {
      const [begin, end] = [row * binCount, (row + 1) * binCount]
      visit(start + row, routes.bins.subarray(begin, end), routes.probabilities.subarray(begin, end))
    })
  }
}

/** For each true neighbor (queries x k original ids) the place of its bin in that query's ranking, from 0. */
export async function rankBins(
  searcher: Pick<Searcher, 'route'>,
  state: SearchState,
  queries: Float32Array,
  truth: Int32Array,
  k: number,
  job: JobOptions
): Promise<Int32Array> {
  const binOf = await binOfEachPoint(state, job.signal)
  const rankOf = new Int32Array(state.bins.offsets.length - 1)
  const ranks = new Int32Array(truth.length)
  await eachRanking(searcher, state, queries, job, (query, bins) => {
    for (let rank = 0; rank < bins.length; rank++) rankOf[bins[rank] as number] = rank
    for (let place = query * k; place < (query + 1) * k; place++)
      ranks[place] = rankOf[binOf[truth[place] as number] as number] as number
  })
  return ranks
}

/** The bin of every original id. */
export async function binOfEachPoint({ bins }: Pick<SearchState, 'bins'>, signal: AbortSignal | undefined) {
  const binOf = new Int32Array(bins.ids.length)
  await eachRow(bins.offsets.length - 1, signal, (bin) => {
    const end = bins.offsets[bin + 1] as number
    for (let row = bins.offsets[bin] as number; row < end; row++) binOf[bins.ids[row] as number] = bin
  })
  return binOf
}
