/** The pipeline of Neural LSH (Dong, Indyk, Razenshteyn & Wagner, ICLR 2020): graph, partition, classifier, bins. */
import type {
  Calibration,
  Engine,
  EpochReport,
  JobOptions,
  Partition,
  SearchState,
  SimilarityGraph
} from './engines/engine.js'
import type { StageRunner } from './job.js'
import { type IndexOptions, type StageName, trainingOf } from './options.js'

/** What a stage of a build took. */
export interface StageReport {
  name: StageName
  seconds: number
  /** Most memory that the process (and the partitioner, which has its own) held while the stage ran, in bytes. */
  peakBytes: number
}

/** What happened in an epoch of the training. Without the seconds, which differ from run to run: the same seed is to
 * give the same index file. */
export type EpochSummary = Omit<EpochReport, 'seconds'>

export interface BuildReport {
  /** In the order in which they ran; empty in an index that was opened from a file, as the file does not keep it. */
  stages: StageReport[]
  /** Weight of the similarity graph's edges between bins. */
  edgeCut: number
  /** Largest bin / mean bin. */
  balance: number
  history: EpochSummary[]
  /** The epoch whose weights the index has: the last one, or with early stopping the best. */
  bestEpoch: number
  /** The expected calibration error of the router's probabilities before and after a temperature was fitted; not there
   * where none was. */
  calibration?: Calibration | undefined
}

/** Builds everything that a search needs from n x dimensions raw numbers. */
export async function buildState(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  run: StageRunner
): Promise<{ state: SearchState; report: BuildReport }> {
  const { dimensions, metric, bins } = options
  const { stages, stage } = measureStages(run)
  const prepared = await stage('prepare', (job) => engine.prepareVectors(vectors, dimensions, metric, 'vectors', job))
  const { labels, edgeCut, balance, neighbors } = await partitionPoints(engine, prepared, options, stage)
  const request = {
    ...trainingOf(options),
    vectors: prepared,
    dimensions,
    labels,
    bins,
    neighbors,
    neighborsPerRow: options.graph.neighbors,
    seed: options.seed
  }
  const trained = await stage('classifier', (job) => engine.trainClassifier(request, job))
  const { history, bestEpoch, calibration, state: _, ...classifier } = trained
  // The user's array is only read; an array of our own is reordered where it lies.
  const ordered = prepared === vectors ? new Float32Array(vectors.length) : (prepared as Float32Array<ArrayBuffer>)
  const grouped = await stage('bins', (job) =>
    engine.groupIntoBins(labels, bins, { from: prepared, to: ordered, dimensions }, job)
  )
  return {
    state: { metric, dimensions, classifier, bins: grouped, vectors: ordered },
    report: { stages, edgeCut, balance, history: history.map(({ seconds, ...epoch }) => epoch), bestEpoch, calibration }
  }
}

/** The similarity graph lives in here only, so that their memory is free for the training. */
async function partitionPoints(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  stage: MeasuredStage
): Promise<Partition & { neighbors: Int32Array }> {
  const { similarity, neighbors } = await connectPoints(engine, vectors, options, stage)
  const { bins, seed } = options
  const { mode, imbalance } = options.partition
  const result = await stage(
    'partition',
    (job) => engine.partition(similarity, { bins, mode, imbalance, seed }, job),
    ({ peakBytes }) => peakBytes
  )
  return { ...result, neighbors }
}

/** The distances of the k-NN graph live in here only. */
async function connectPoints(
  engine: Engine,
  vectors: Float32Array,
  { dimensions, metric, graph }: IndexOptions,
  stage: MeasuredStage
): Promise<{ similarity: SimilarityGraph; neighbors: Int32Array }> {
  const knn = await stage('knn-graph', (job) => engine.knnGraph(vectors, dimensions, metric, graph.neighbors, job))
  const similarity = await stage('similarity-graph', (job) => engine.similarityGraph(knn, job))
  return { similarity, neighbors: knn.ids }
}

/** `otherBytes`: what a stage held outside this process. */
type MeasuredStage = <T>(
  name: StageName,
  work: (job: JobOptions) => Promise<T>,
  otherBytes?: (result: T) => number
) => Promise<T>

/** Wraps `run` so that each stage leaves a report in `stages`. */
function measureStages(run: StageRunner): { stages: StageReport[]; stage: MeasuredStage } {
  const stages: StageReport[] = []
  const stage: MeasuredStage = async (name, work, otherBytes = () => 0) => {
    const memory = sampleMemory()
    const start = performance.now()
    try {
      const result = await run(name, work)
      const seconds = (performance.now() - start) / 1000
      stages.push({ name, seconds, peakBytes: memory.peakBytes() + otherBytes(result) })
      return result
    } finally {
      memory.stop()
    }
  }
  return { stages, stage }
}

/** Looks at the resident memory of the process every 10 ms, without keeping the process alive. */
function sampleMemory() {
  let peak = 0
  const peakBytes = () => {
    peak = Math.max(peak, process.memoryUsage.rss())
    return peak
  }
  const timer = setInterval(peakBytes, 10).unref()
  peakBytes()
  return { peakBytes, stop: () => clearInterval(timer) }
}
