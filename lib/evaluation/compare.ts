import { type BuiltIndex, buildIndex } from '../build.js'
import type { Engine, JobOptions, Metric, Searcher } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { NeuralLSHError } from '../errors.js'
import { type JobControl, runJob } from '../job.js'
import type { Progress } from '../options.js'
import { SearchArguments } from '../search-arguments.js'
import { binOfEachPoint } from '../stages/bin-ranks.js'
import { packageVersion } from '../version.js'
import type { Comparison, MeasuredSpeed, MethodFailure, MethodResult } from './comparison.js'
import { type RankedTruth, rankTruth } from './curves.js'
import { type CurvePoint, firstColumns, measurePoint } from './evaluate.js'
import { neededCandidates } from './needed.js'
import { type CompareOptions, type Contestant, resolveComparison } from './options.js'
import { routerWork } from './router-work.js'
import { sampleRows } from './sampling.js'
import { verdictOf } from './verdict.js'

/** Speed is measured where so much is found. */
const speedAccuracies = [0.9, 0.95] as const
/** The fastest counts: the first one finds caches cold, and others may share the machine. */
const timedRuns = 3
/** From 0.01 to 1. */
const askedRecalls = [...Array.from({ length: 99 }, (_, i) => (i + 1) / 100), 0.995, 0.999, 1]
/** More points make no clearer map. */
const mostSampled = 1500

interface Task {
  engine: Engine
  vectors: Float32Array
  queries: Float32Array
  /** queries x k row numbers. */
  truth: Int32Array
  k: number
  sample: Int32Array
}

/**
 * Builds an index by each of the methods with each of the numbers of bins, and measures all of them on the same queries:
 * what they find against what they read (Dong et al. 2020, section 4), what their routers cost, how fast they are.
 *
 * @param vectors n x dimensions numbers, row after row; read in place until the promise settles.
 * @param queries q x dimensions numbers that are not among the vectors.
 * @throws ArgumentError when an argument is wrong, before anything is built.
 */
export async function compareMethods(
  vectors: Float32Array,
  queries: Float32Array,
  options: CompareOptions
): Promise<Comparison> {
  const resolved = resolveComparison(vectors, queries, options)
  const { run, dimensions, metric, k, seed, truth: given, contestants } = resolved
  const engine = await selectEngine(resolved.engine, resolved.device)
  const [rows, count] = [vectors.length / dimensions, queries.length / dimensions]
  const truth = await runJob(run, ({ stage, signal }) =>
    given
      ? firstColumns(given, count, k, rows, signal)
      : stage('exact-search', (job) => nearest(engine, vectors, queries, { dimensions, metric, k }, job))
  )
  const sample = sampleRows(rows, Math.min(mostSampled, rows), seed)
  const task = { engine, vectors, queries, truth, k, sample }
  const measured: Omit<MethodResult, 'needed'>[] = []
  const failures: MethodFailure[] = []
  for (const contestant of contestants) {
    const { method, index } = contestant
    const { bins } = index
    const onProgress = (progress: Progress) => run.onProgress?.({ ...progress, method, bins })
    try {
      measured.push(await runJob({ ...run, onProgress }, (control) => compete(task, contestant, control)))
    } catch (error) {
      const isLast = contestant === contestants.at(-1)
      if (!isOwnFault(error) || (isLast && measured.length === 0)) throw error
      failures.push({ method, bins, message: error.message })
    }
  }
  const results = measured.map((one) => ({ ...one, needed: neededCandidates(one, measured) }))
  return {
    version: packageVersion(),
    engine: engine.name,
    machine: engine.description,
    rows,
    dimensions,
    queries: count,
    metric,
    k,
    seed,
    threads: run.threads || engine.hardwareThreads,
    sample: Array.from(sample),
    results,
    failures,
    verdict: verdictOf(results)
  }
}

/** What one method cannot do with these data must not cost the figures of the others. */
const isOwnFault = (error: unknown): error is NeuralLSHError =>
  error instanceof NeuralLSHError && (error.code === 'ERR_NLSH_TRAINING' || error.code === 'ERR_NLSH_PARTITION')

/** The k nearest vectors of each query, by comparing with all of them. */
async function nearest(
  engine: Engine,
  vectors: Float32Array,
  queries: Float32Array,
  { dimensions, metric, k }: { dimensions: number; metric: Metric; k: number },
  job: JobOptions
): Promise<Int32Array> {
  const quiet = { ...job, onProgress: undefined }
  const points = await engine.prepareVectors(vectors, dimensions, metric, 'vectors', quiet)
  const asked = await engine.prepareVectors(queries, dimensions, metric, 'queries', quiet)
  return (await engine.exactSearch(points, asked, dimensions, metric, k, job)).ids
}

/** Builds one index, measures it and lets go of it. */
async function compete(task: Task, { method, index }: Contestant, { stage }: JobControl) {
  const built = await buildIndex(task.engine, task.vectors, index, stage)
  try {
    const measured = await stage('search', (job) => measure(task, built, job))
    const { report, options } = built
    const { stages, balance, edgeCut, history } = report
    const known = { balance, ...(edgeCut !== undefined && { edgeCut }), stages, history, options }
    return { method, bins: index.bins, ...measured, ...known }
  } finally {
    built.searcher.close()
  }
}

async function measure({ queries, truth, k, sample }: Task, built: BuiltIndex, job: JobOptions) {
  const { state, searcher } = built
  const { offsets } = state.bins
  const ranked = await rankTruth(searcher, state, searchesOf(built, queries, k), queries, truth, k, job)
  const binOf = await binOfEachPoint(state, job.signal)
  return {
    curves: ranked.curves.map(({ probing, points }) => ({ probing, points })),
    speeds: await measureSpeeds(searcher, ranked, queries, truth, job),
    routerDistances: (await routerWork(searcher, state, queries, job)) / state.dimensions,
    binSizes: Array.from(offsets.subarray(1), (end, bin) => end - (offsets[bin] as number)),
    sampleBins: Array.from(sample, (row) => binOf[row] as number)
  }
}

/** Every search that is measured: with every number of bins, and for many recalls. */
function searchesOf({ state, curve }: BuiltIndex, queries: Float32Array, k: number) {
  const { dimensions, metric, bins } = state
  const shape = { size: bins.ids.length, dimensions, bins: bins.offsets.length - 1, metric }
  const judged = new SearchArguments(shape, curve)
  const { request } = judged.forBatch(queries, { k, probes: 1 })
  return {
    probes: Array.from({ length: shape.bins }, (_, i) => ({
      asked: i + 1,
      request: { ...request, probing: { probes: i + 1 } }
    })),
    recall: askedRecalls.map((recall) => ({ asked: recall, request: judged.forBatch(queries, { k, recall }).request }))
  }
}

/** Where each curve first reaches the accuracies, searched for on one thread. */
async function measureSpeeds(
  searcher: Searcher,
  { curves, ranks }: RankedTruth,
  queries: Float32Array,
  truth: Int32Array,
  { signal }: JobOptions
): Promise<MeasuredSpeed[]> {
  const job = { threads: 1, signal }
  const speeds: MeasuredSpeed[] = []
  for (const wantedAccuracy of speedAccuracies) {
    for (const { probing, points, requests } of curves) {
      const first = points.findIndex(({ accuracy }) => accuracy >= wantedAccuracy)
      const [point, request] = [points[first], requests[first]]
      // A recall that is asked for need not be reached.
      if (point === undefined || request === undefined) continue
      const asked = probing === 'probes' ? { probes: point.asked } : { askedRecall: point.asked }
      const runs: CurvePoint[] = []
      while (runs.length < timedRuns)
        runs.push(await measurePoint(searcher, queries, truth, ranks, { asked, request }, job))
      const fastest = runs.reduce((a, b) => (b.queriesPerSecond > a.queriesPerSecond ? b : a))
      speeds.push({ probing, wantedAccuracy, ...fastest })
    }
  }
  return speeds
}
