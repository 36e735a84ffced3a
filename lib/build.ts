/** The pipeline of Neural LSH (Dong, Indyk, Razenshteyn & Wagner, ICLR 2020): graph, partition, classifier, bins. */
import { choosePartition, partitionAs, withoutTrial } from './build/choose-partition.js'
import { calibrate, type MadeBins, makeBins } from './build/make-router.js'
import { type MeasuredStage, measureStages, type StageReport } from './build/measure-stages.js'
import { needsGraph, partitionPoints } from './build/partition-points.js'
import { divideGroups } from './build/two-levels.js'
import { type Choice, chooseGraphMethod, chooseScan } from './choices.js'
import type {
  Bins,
  Calibration,
  Engine,
  EpochReport,
  JobOptions,
  RecallCurve,
  Searcher,
  SearchState
} from './engines/engine.js'
import type { StageRunner } from './job.js'
import { assignmentOf, firstLevelOf, type IndexOptions } from './options.js'
import { type HeldOut, holdOut, learnRecall } from './stages/recall.js'

/** What happened in an epoch of the training. Without the seconds, which differ from run to run: the same seed is to
 * give the same index file. */
export type EpochSummary = Omit<EpochReport, 'seconds'>

export interface BuildReport {
  /** In the order in which they ran; empty in an index that was opened from a file, as the file does not keep it. */
  stages: StageReport[]
  /** What 'auto' stood for. */
  choices: readonly Choice[]
  /** KaHIP: weight of the similarity graph's edges between the bins (of two levels, the groups) that it made, whatever
   * was assigned later. */
  edgeCut?: number | undefined
  /** k-means: mean squared distance of a vector to its centroid; of two levels, to its group's. */
  meanSquaredError?: number | undefined
  /** Largest bin / mean bin. */
  balance: number
  history: EpochSummary[]
  /** The epoch whose weights the index has: the last one, or with early stopping the best. */
  bestEpoch: number
  /** The expected calibration error of the router's probabilities before and after a temperature was fitted; not there
   * where none was. */
  calibration?: Calibration | undefined
}

export interface BuiltIndex {
  state: SearchState
  searcher: Searcher
  curve: RecallCurve
  /** With 'auto' replaced by what it stood for. */
  options: IndexOptions
  report: BuildReport
}

/** Builds everything that a search needs from n x dimensions raw numbers. */
export async function buildIndex(
  engine: Engine,
  vectors: Float32Array,
  asked: IndexOptions,
  run: StageRunner
): Promise<BuiltIndex> {
  const { dimensions, metric } = asked
  const { stages, stage } = measureStages(run)
  const { prepared, areBytes } = await stage('prepare', async (job) => {
    const prepared = await engine.prepareVectors(vectors, dimensions, metric, 'vectors', job)
    return { prepared, areBytes: await engine.areBytes(prepared, { ...job, onProgress: undefined }) }
  })
  const rows = vectors.length / dimensions
  const partition =
    asked.partition.method === 'auto'
      ? (withoutTrial(rows) ??
        (await stage('partition-choice', (job) => choosePartition(engine, prepared, asked, job, buildQuietly(engine)))))
      : undefined
  const { options, choices } = choose(rows, areBytes, asked, partition)
  const { partitioned, made } = await partitionAndRank(engine, prepared, options, stage)
  const { edgeCut, meanSquaredError } = partitioned
  const { labels, ranking: trained } = made
  const { asks, classifier, calibration } = await stage('exact-search', async (job) => {
    const asks = await holdOut(engine, prepared, options, trained.heldOut, job)
    return { asks, ...(await calibrate(engine, options, trained, asks, labels, { ...job, onProgress: undefined })) }
  })
  const grouped = await stage('bins', async (job) => {
    const to = targetOf(prepared, vectors, areBytes)
    const bins = await engine.groupIntoBins(labels, options.bins, { from: prepared, to, dimensions }, job)
    return { bins, vectors: to }
  })
  const stored = { metric, dimensions, ...grouped }
  const scan = options.scan === 'auto' ? 'exact' : options.scan
  const codes =
    scan === 'pq4' ? await stage('codes', (job) => engine.encodeFourBits(stored, options.seed, job)) : undefined
  const state: SearchState = { ...stored, classifier, scan, codes }
  const { searcher, curve } = await stage('recall', (job) => openAndLearn(engine, state, asks, job))
  const balance = balanceOf(grouped.bins)
  const { bestEpoch } = trained
  const history = trained.history.map(({ seconds, ...epoch }) => epoch)
  const report = { stages, choices, edgeCut, balance, meanSquaredError, history, bestEpoch, calibration }
  return { state, searcher, curve, options, report }
}

/** In one level or in two. */
async function partitionAndRank(engine: Engine, vectors: Float32Array, options: IndexOptions, stage: MeasuredStage) {
  const first = firstLevelOf(options)
  const { neighbors, ...partitioned } = await partitionPoints(engine, vectors, first, stage)
  const groups = await makeBins(engine, vectors, first, { ...partitioned, neighbors }, stage)
  const made: MadeBins =
    options.groups === 1
      ? groups
      : await stage('second-level', (job) => divideGroups(engine, vectors, options, groups, job))
  return { partitioned, made }
}

/** An index in which nobody looks at the single stages. */
const buildQuietly = (engine: Engine) => (vectors: Float32Array, options: IndexOptions, job: JobOptions) =>
  buildIndex(engine, vectors, options, (_, work) => work(job))

/** Replaces 'auto', now that the vectors are known. */
function choose(
  rows: number,
  areBytes: boolean,
  asked: IndexOptions,
  partitioning: Choice<'kahip' | 'kmeans'> | undefined
) {
  const partition = partitioning ? partitionAs(asked.partition, partitioning.value) : asked.partition
  const options = { ...asked, partition }
  const { dimensions, graph, scan } = options
  const method = needsGraph(options) && graph.method === 'auto' ? chooseGraphMethod(rows, dimensions) : undefined
  const scanning = scan === 'auto' ? chooseScan(rows, dimensions, areBytes) : undefined
  const chosen = {
    graph: { ...graph, method: method?.value ?? graph.method },
    scan: scanning?.value ?? scan,
    assignment: assignmentOf(options)
  }
  return {
    options: { ...options, ...chosen },
    choices: [partitioning, method, scanning].filter((choice) => choice !== undefined)
  }
}

async function openAndLearn(engine: Engine, state: SearchState, asks: HeldOut, job: JobOptions) {
  const { onProgress: _, ...quiet } = job
  const searcher = await engine.openSearcher(state, quiet)
  try {
    return { searcher, curve: await learnRecall(searcher, state, asks, quiet) }
  } catch (error) {
    searcher.close()
    throw error
  }
}

/** Largest bin / mean bin. */
function balanceOf({ offsets, ids }: Bins): number {
  const largest = offsets.reduce((most, end, bin) => Math.max(most, end - (offsets[bin - 1] ?? 0)), 0)
  return (largest * (offsets.length - 1)) / ids.length
}

/** Where the reordered vectors go: the user's array is only read, an array of our own is reordered where it lies. */
function targetOf(prepared: Float32Array, vectors: Float32Array, areBytes: boolean) {
  if (areBytes) return new Uint8Array(vectors.length)
  return prepared === vectors ? new Float32Array(vectors.length) : (prepared as Float32Array<ArrayBuffer>)
}
