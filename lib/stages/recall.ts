/**
 * What held-out vectors say of an index's searches: which probability mass finds which share of the true neighbors, and
 * how many of the candidates that the codes put first must be compared again exactly.
 */

import type { Engine, JobOptions, RecallCurve, Searcher, SearchState } from '../engines/engine.js'
import { eachRow, gatherRows } from '../rows.js'
import { rankBins } from './bin-ranks.js'

/** Neighbors that the curve speaks of. */
export const curveNeighbors = 10
/** Held-out vectors that are asked: the recall's standard error is then below half a percent. */
const mostQueries = 2000
const fewestQueries = 100
/** Between these shares of the neighbors, in steps, the mass is kept. */
const shares = [...steps(0.02, 0.9, 0.02), ...steps(0.9, 0.99, 0.005), ...steps(0.99, 0.999, 0.001), 1]
/** Candidates that are compared again, in neighbors asked for. */
const depths = [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]
/** How many of the bins are read while the depths are measured: as many as a thorough search reads. */
const thoroughRecall = 0.98

function steps(from: number, to: number, by: number) {
  return Array.from({ length: Math.round((to - from) / by) }, (_, i) => from + i * by)
}

/** Vectors with their true neighbors. */
export interface HeldOut {
  /** queries x dimensions, prepared. */
  queries: Float32Array<ArrayBuffer>
  /** queries x k original ids, the query itself left out. */
  truth: Int32Array<ArrayBuffer>
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
  const { ids } = await engine.exactSearch(vectors, queries, dimensions, metric, k + 1, job)
  const truth = new Int32Array(rows.length * k)
  for (const [i, row] of rows.entries()) {
    const others = ids.subarray(i * (k + 1), (i + 1) * (k + 1)).filter((id) => id !== row)
    truth.set(others.subarray(0, k), i * k)
  }
  return { queries, truth, k }
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
  { queries, truth, k }: HeldOut,
  job: JobOptions
): Promise<RecallCurve> {
  const { before } = await rankBins(searcher, state, queries, truth, k, job)
  const sorted = Float32Array.from(before).sort()
  // The mass that finds a share of the neighbors: just above what stands before the bin of the last of them.
  const mass = shares.map((share) => Math.min(1, massBefore(sorted, share) + 1e-6))
  const curve = { mass, recall: shares, reranked: [], loss: [] }
  return state.codes ? { ...curve, ...(await learnDepth(searcher, { queries, truth, k }, before, curve, job)) } : curve
}

const massBefore = (sorted: Float32Array, share: number) =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] as number

async function learnDepth(
  searcher: Searcher,
  { queries, truth, k }: HeldOut,
  before: Float32Array,
  curve: RecallCurve,
  job: JobOptions
): Promise<Pick<RecallCurve, 'reranked' | 'loss'>> {
  const mass = massFor(curve, thoroughRecall)
  const reranked: number[] = []
  const loss: number[] = []
  // The query itself is found, too.
  const asked = k + 1
  for (const depth of depths) {
    const request = { k: asked, probing: { mass }, reranked: Math.ceil(depth * asked) }
    const { ids } = await searcher.searchBatch(queries, request, job)
    let within = 0
    let found = 0
    await eachRow(truth.length / k, job.signal, (query) => {
      const returned = new Set(ids.subarray(query * asked, (query + 1) * asked))
      for (let place = query * k; place < (query + 1) * k; place++) {
        if ((before[place] as number) >= mass) continue
        within++
        if (returned.has(truth[place] as number)) found++
      }
    })
    reranked.push(request.reranked / asked)
    loss.push(within === 0 ? 0 : 1 - found / within)
  }
  // More never loses more: what rises is noise.
  for (let i = loss.length - 2; i >= 0; i--) loss[i] = Math.max(loss[i] as number, loss[i + 1] as number)
  return { reranked, loss }
}

/** The mass that reaches a recall, between the curve's points in proportion. */
export function massFor({ mass, recall }: RecallCurve, wanted: number): number {
  const above = recall.findIndex((one) => one >= wanted)
  if (above <= 0) return above < 0 ? 1 : (mass[0] as number)
  const [x0, x1] = [recall[above - 1], recall[above]] as [number, number]
  const [y0, y1] = [mass[above - 1], mass[above]] as [number, number]
  return y0 + ((wanted - x0) / (x1 - x0)) * (y1 - y0)
}

/** Candidates to compare again, for each neighbor asked for, so that at most the share `loss` is lost; 0 where the scan
 * is exact. */
export function depthFor({ reranked, loss }: RecallCurve, allowed: number): number {
  return reranked[loss.findIndex((one) => one <= allowed)] ?? reranked.at(-1) ?? 0
}
