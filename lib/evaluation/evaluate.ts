import type { JobOptions, Searcher, SearchRequest, SearchState } from '../engines/engine.js'
import { ArgumentError } from '../errors.js'
import { eachRow } from '../rows.js'
import { rankBins } from '../stages/bin-ranks.js'
import { routerWork } from './router-work.js'
import { exactTruth, type TruthEngine } from './truth.js'

/** What is measured. */
export interface EvaluationSubject {
  searcher: Pick<Searcher, 'route' | 'searchBatch'>
  engine: TruthEngine
  state: SearchState
}

export interface EvaluationRequest {
  /** Nearest neighbors that are asked for and judged. */
  k: number
  /** queries x w original ids, w >= k, nearest first; computed exactly when left out. */
  truth?: Int32Array | undefined
  /** One point of the curve each. */
  points: readonly EvaluationPoint[]
  /** Threads of the timed searches and of the exact truth; 0: all cores. */
  threads: number
  signal?: AbortSignal | undefined
  onProgress?: ((progress: { stage: 'exact-search' | 'search'; done: number; total: number }) => void) | undefined
}

/** What was asked for: a number of bins, bins until their probabilities add up to `mass`, or a recall. */
export interface AskedPoint {
  probes?: number | undefined
  mass?: number | undefined
  askedRecall?: number | undefined
}

export interface EvaluationPoint {
  asked: AskedPoint
  request: SearchRequest
}

export interface CurvePoint extends AskedPoint {
  /** Acc@k: share of the true k nearest that are among the candidates. */
  accuracy: number
  /** Share of the true k nearest that are among the k results. */
  recall: number
  /** Vectors compared per query. */
  candidatesMean: number
  candidatesMedian: number
  candidatesQ95: number
  /** Of searchBatch, all queries in one call. */
  queriesPerSecond: number
}

export interface Evaluation {
  k: number
  queries: number
  curve: CurvePoint[]
  /** The router's multiply-adds for one query / dimensions: what it costs, counted in distance computations. */
  routerDistances: number
}

/**
 * Measures accuracy, recall, candidates and speed of an index (Dong et al. 2020, section 4) over queries x dimensions
 * numbers. Rejects with ArgumentError when a truth id is not one of the index.
 */
export async function evaluate(
  subject: EvaluationSubject,
  queries: Float32Array,
  request: EvaluationRequest
): Promise<Evaluation> {
  const { dimensions } = subject.state
  const { k, signal, threads, onProgress } = request
  const job = { signal, threads }
  const count = queries.length / dimensions
  const truth = request.truth
    ? await firstColumns(request.truth, count, k, subject.state.bins.ids.length, signal)
    : await exactTruth(subject.engine, subject.state, queries, k, {
        ...job,
        onProgress: (done, total) => onProgress?.({ stage: 'exact-search', done, total })
      })
  const ranks = await rankBins(subject.searcher, subject.state, queries, truth, k, job)
  const { points } = request
  const curve: CurvePoint[] = []
  for (const point of points) {
    onProgress?.({ stage: 'search', done: curve.length, total: points.length })
    curve.push(await measurePoint(subject.searcher, queries, truth, ranks, point, job))
  }
  onProgress?.({ stage: 'search', done: curve.length, total: points.length })
  const work = await routerWork(subject.searcher, subject.state, queries, job)
  return { k, queries: count, curve, routerDistances: work / dimensions }
}

/** The first k of the w true neighbors of each query, checked. */
export async function firstColumns(
  truth: Int32Array,
  queries: number,
  k: number,
  size: number,
  signal: AbortSignal | undefined
) {
  const width = truth.length / queries
  const first = new Int32Array(queries * k)
  await eachRow(queries, signal, (query) => {
    const ids = truth.subarray(query * width, query * width + k)
    const stranger = ids.find((id) => id < 0 || id >= size)
    if (stranger !== undefined) {
      const range = `ids must be row numbers of the indexed vectors, 0 to ${size - 1}`
      throw new ArgumentError('truth', `row ${query} names the neighbor ${stranger}, but ${range}`)
    }
    first.set(ids, query * k)
  })
  return first
}

/** Searches for all queries with one probing; `ranks` as in `rankBins`. */
export async function measurePoint(
  searcher: EvaluationSubject['searcher'],
  queries: Float32Array,
  truth: Int32Array,
  ranks: Int32Array,
  { asked, request }: EvaluationPoint,
  job: JobOptions
): Promise<CurvePoint> {
  const { k } = request
  const { result, callsPerSecond } = await timed(() => searcher.searchBatch(queries, request, job))
  const { ids, candidates, probes } = result
  let probed = 0
  let returned = 0
  await eachRow(probes.length, job.signal, (query) => {
    const reach = probes[query] as number
    const found = new Set(ids.subarray(query * k, (query + 1) * k))
    for (let place = query * k; place < (query + 1) * k; place++) {
      if ((ranks[place] as number) < reach) probed++
      if (found.has(truth[place] as number)) returned++
    }
  })
  const sorted = candidates.slice().sort()
  return {
    ...asked,
    accuracy: probed / truth.length,
    recall: returned / truth.length,
    candidatesMean: meanOf(candidates),
    candidatesMedian: quantile(sorted, 0.5),
    candidatesQ95: quantile(sorted, 0.95),
    queriesPerSecond: callsPerSecond * probes.length
  }
}

/** Calls again until a twentieth of a second has gone by: one call of a small batch is too short to time. */
async function timed<T>(call: () => Promise<T>) {
  const start = performance.now()
  for (let calls = 1; ; calls++) {
    const result = await call()
    const seconds = (performance.now() - start) / 1000
    if (seconds >= 0.05) return { result, callsPerSecond: calls / seconds }
  }
}

export const meanOf = (values: Int32Array) => values.reduce((sum, one) => sum + one, 0) / values.length

/** Linear interpolation between the order statistics, as numpy.quantile does by default. */
export function quantile(sorted: Int32Array, share: number) {
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)] as number
  const above = sorted[Math.ceil(position)] as number
  return below + (above - below) * (position % 1)
}
