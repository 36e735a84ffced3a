/** Where the router's ranking of the bins puts the true neighbors of queries. */

import type { JobOptions, Searcher, SearchState } from '../engines/engine.js'
import { eachRow } from '../rows.js'

/** queries x k each, for the bin of each true neighbor. */
export interface BinRanks {
  /** Its place in the ranking, from 0. */
  ranks: Int32Array<ArrayBuffer>
  /** The probability of all bins before it: it is read if that is below the mass to reach. */
  before: Float32Array<ArrayBuffer>
}

/** Bounds the memory of one call of route: queries x bins. */
const largestRoute = 2 ** 20

/** @param truth queries x k original ids. */
export async function rankBins(
  searcher: Pick<Searcher, 'route'>,
  state: SearchState,
  queries: Float32Array,
  truth: Int32Array,
  k: number,
  job: JobOptions
): Promise<BinRanks> {
  const { dimensions, bins } = state
  const binCount = bins.offsets.length - 1
  const binOf = await binOfEachPoint(state, job.signal)
  const rankOf = new Int32Array(binCount)
  const massBefore = new Float32Array(binCount)
  const result = { ranks: new Int32Array(truth.length), before: new Float32Array(truth.length) }
  const step = Math.max(1, Math.floor(largestRoute / binCount))
  const count = queries.length / dimensions
  for (let start = 0; start < count; start += step) {
    const slice = queries.subarray(start * dimensions, (start + step) * dimensions)
    const routes = await searcher.route(slice, binCount, job)
    await eachRow(slice.length / dimensions, job.signal, (row) => {
      let mass = 0
      for (let rank = 0; rank < binCount; rank++) {
        const place = row * binCount + rank
        const bin = routes.bins[place] as number
        rankOf[bin] = rank
        massBefore[bin] = mass
        mass += routes.probabilities[place] as number
      }
      const end = (start + row + 1) * k
      for (let place = end - k; place < end; place++) {
        const bin = binOf[truth[place] as number] as number
        result.ranks[place] = rankOf[bin] as number
        result.before[place] = massBefore[bin] as number
      }
    })
  }
  return result
}

/** The bin of every original id. */
async function binOfEachPoint({ bins }: SearchState, signal: AbortSignal | undefined) {
  const binOf = new Int32Array(bins.ids.length)
  await eachRow(bins.offsets.length - 1, signal, (bin) => {
    const end = bins.offsets[bin + 1] as number
    for (let row = bins.offsets[bin] as number; row < end; row++) binOf[bins.ids[row] as number] = bin
  })
  return binOf
}
