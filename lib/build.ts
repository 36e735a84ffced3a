/** The pipeline of Neural LSH (Dong, Indyk, Razenshteyn & Wagner, ICLR 2020): graph, partition, classifier, bins. */
import { type Choice, chooseGraphMethod, chooseScan } from './choices.js'
import type { Network } from './classifier/network.js'
import type {
  Calibration,
  Classifier,
  Engine,
  EpochReport,
  JobOptions,
  RecallCurve,
  Searcher,
  SearchState
} from './engines/engine.js'
import type { StageRunner } from './job.js'
import { type IndexOptions, type StageName, trainingOf } from './options.js'
import { eachRow } from './rows.js'
import { type HeldOut, holdOut, learnRecall } from './stages/recall.js'

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
  /** What 'auto' stood for. */
  choices: readonly Choice[]
  /** KaHIP: weight of the similarity graph's edges between bins. */
  edgeCut?: number | undefined
  /** k-means: mean squared distance of a vector to its centroid. */
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
  const { options, choices } = choose(vectors.length / dimensions, areBytes, asked)
  const partitioned = await partitionPoints(engine, prepared, options, stage)
  const { labels, edgeCut, balance, meanSquaredError } = partitioned
  const trained = await stage('classifier', (job) => makeRouter(engine, prepared, options, partitioned, job))
  const { asks, classifier, calibration } = await stage('exact-search', async (job) => {
    const asks = await holdOut(engine, prepared, options, trained.heldOut, job)
    return { asks, ...(await calibrate(engine, trained, asks, labels, { ...job, onProgress: undefined })) }
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
  const { bestEpoch } = trained
  const history = trained.history.map(({ seconds, ...epoch }) => epoch)
  const report = { stages, choices, edgeCut, balance, meanSquaredError, history, bestEpoch, calibration }
  return { state, searcher, curve, options, report }
}

/** Replaces 'auto', now that the vectors are known. */
function choose(rows: number, areBytes: boolean, options: IndexOptions) {
  const { dimensions, graph, scan } = options
  const method = needsGraph(options) && graph.method === 'auto' ? chooseGraphMethod(rows, dimensions) : undefined
  const scanning = scan === 'auto' ? chooseScan(rows, dimensions, areBytes) : undefined
  const chosen = { graph: { ...graph, method: method?.value ?? graph.method }, scan: scanning?.value ?? scan }
  return {
    options: { ...options, ...chosen },
    choices: [method, scanning].filter((choice) => choice !== undefined)
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

/** k-means makes its bins of the vectors alone; soft labels are made of neighbors. */
const needsGraph = ({ partition, router, classifier }: IndexOptions) =>
  partition.method === 'kahip' || (router === 'classifier' && classifier.softLabels > 0)

interface Partitioned {
  labels: Int32Array<ArrayBuffer>
  balance: number
  /** n x graph.neighbors; empty without a graph. */
  neighbors: Int32Array
  edgeCut?: number | undefined
  meanSquaredError?: number | undefined
  centroids?: Float32Array | undefined
}

/** The similarity graph lives in here only, so that its memory is free for the training. */
async function partitionPoints(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  stage: MeasuredStage
): Promise<Partitioned> {
  const { bins, seed, dimensions } = options
  const { method, iterations, ...kahip } = options.partition
  if (method === 'kmeans') {
    const neighbors = needsGraph(options)
      ? (await findNeighbors(engine, vectors, options, stage)).ids
      : new Int32Array(0)
    const found = await stage('partition', (job) => engine.kmeans(vectors, dimensions, { bins, iterations, seed }, job))
    return { ...found, neighbors }
  }
  const knn = await findNeighbors(engine, vectors, options, stage)
  const similarity = await stage('similarity-graph', (job) => engine.similarityGraph(knn, job))
  const { labels, edgeCut, balance } = await stage(
    'partition',
    (job) => engine.partition(similarity, { bins, seed, ...kahip }, job),
    ({ peakBytes }) => peakBytes
  )
  return { labels, edgeCut, balance, neighbors: knn.ids }
}

/** The distances of the k-NN graph are let go of at once. */
async function findNeighbors(engine: Engine, vectors: Float32Array, options: IndexOptions, stage: MeasuredStage) {
  const { dimensions, metric, graph, seed } = options
  const { neighbors } = graph
  const method = graph.method === 'auto' ? 'exact' : graph.method
  const { ids } = await stage('knn-graph', (job) =>
    engine.knnGraph(vectors, dimensions, metric, { neighbors, method, seed }, job)
  )
  return { neighbors, ids }
}

/** What ranks the bins, and the rows that it has not seen. */
interface Ranking {
  classifier: Classifier
  calibration: Calibration | undefined
  heldOut: Int32Array
  history: EpochReport[]
  bestEpoch: number
}

/** The network that ranks the bins: trained, or made of k-means' centroids. */
async function makeRouter(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  { labels, neighbors, centroids, meanSquaredError = 1 }: Partitioned,
  job: JobOptions
): Promise<Ranking> {
  const { dimensions, bins, graph, seed, router } = options
  const training = trainingOf(options)
  if (router === 'centroids' && centroids !== undefined) {
    const classifier = await centroidClassifier(training.network, centroids, meanSquaredError, job.signal)
    return { classifier, calibration: undefined, heldOut: new Int32Array(0), history: [], bestEpoch: 0 }
  }
  const neighborsPerRow = neighbors.length > 0 ? graph.neighbors : 0
  const request = { ...training, vectors, dimensions, labels, bins, neighbors, neighborsPerRow, seed }
  const {
    state: _,
    history,
    bestEpoch,
    calibration,
    heldOut,
    ...classifier
  } = await engine.trainClassifier(request, job)
  return { classifier, calibration, heldOut, history, bestEpoch }
}

/** The nearest centroid as a linear classifier: -|q - c|^2 is 2 <q, c> - |c|^2 and a term that all bins share. Measured
 * in mean squared distances, so that a temperature near 1 will fit. */
async function centroidClassifier(
  network: Network,
  centroids: Float32Array,
  meanSquaredError: number,
  signal: AbortSignal | undefined
): Promise<Classifier> {
  const dimensions = network.inputShape[0]
  const bins = centroids.length / dimensions
  const unit = 1 / (meanSquaredError || 1)
  const parameters = new Float32Array(centroids.length + bins)
  await eachRow(bins, signal, (bin) => {
    let squared = 0
    for (let i = bin * dimensions; i < (bin + 1) * dimensions; i++) {
      const value = centroids[i] as number
      parameters[i] = 2 * value * unit
      squared += value * value
    }
    parameters[centroids.length + bin] = -squared * unit
  })
  const mean = new Float32Array(dimensions)
  const input = { unitLength: false, mean, scale: mean.map(() => 1) }
  return { network, parameters, buffers: new Float32Array(0), input, temperature: 1 }
}

/** Gives a router that was not trained the temperature that fits where the neighbors of the held-out vectors are. */
async function calibrate(
  engine: Engine,
  { classifier, calibration, history }: Ranking,
  { queries, truth }: HeldOut,
  labels: Int32Array,
  job: JobOptions
) {
  if (history.length > 0) return { classifier, calibration }
  const neighborBins = truth.map((id) => labels[id] as number)
  const fitted = await engine.calibrateToNeighbors(classifier, queries, neighborBins, job)
  return { classifier: { ...classifier, temperature: fitted.temperature }, calibration: fitted }
}

/** Where the reordered vectors go: the user's array is only read, an array of our own is reordered where it lies. */
function targetOf(prepared: Float32Array, vectors: Float32Array, areBytes: boolean) {
  if (areBytes) return new Uint8Array(vectors.length)
  return prepared === vectors ? new Float32Array(vectors.length) : (prepared as Float32Array<ArrayBuffer>)
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
