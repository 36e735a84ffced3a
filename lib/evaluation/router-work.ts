/** What choosing the bins costs. */
import { childOf, multiplyAdds, shapesOf } from '../classifier/network.js'
import type { JobOptions, Searcher, SearchState } from '../engines/engine.js'
import { eachRanking } from '../stages/bin-ranks.js'

/** Of two levels, the networks of the second are asked until no more of the probability is left, as the engine does. */
const leftOut = 0.002

/** Multiply-adds of the router for one of the queries, on average. */
export async function routerWork(
  searcher: Pick<Searcher, 'route'>,
  state: SearchState,
  queries: Float32Array,
  job: JobOptions
): Promise<number> {
  const { network } = state.classifier
  const child = childOf(network)
  if (child === undefined) return multiplyAdds(network)
  const [groups = 1] = shapesOf(network).at(-1) ?? []
  const each = (state.bins.offsets.length - 1) / groups
  let asked = 0
  await eachRanking(searcher, state, queries, job, (_, bins, probabilities) => {
    const shares = new Float64Array(groups)
    for (const [rank, bin] of bins.entries()) {
      const group = Math.floor(bin / each)
      shares[group] = (shares[group] as number) + (probabilities[rank] as number)
    }
    let left = 1
    for (const share of shares.sort().reverse()) {
      if (left <= leftOut) break
      left -= share
      asked++
    }
  })
  return multiplyAdds(network) + (asked / (queries.length / state.dimensions)) * multiplyAdds(child)
}
