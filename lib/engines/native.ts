import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ruleOf } from '../baselines/rules.js'
import type { Network } from '../classifier/network.js'
import type {
  Initialization,
  Loss,
  Optimizer,
  Regularization,
  Schedule,
  TrainingPrecision
} from '../classifier/training.js'
import { ArgumentError, ClosedError, DeviceError, EngineError, type ErrorCode, NeuralLSHError } from '../errors.js'
import type {
  Bins,
  Calibration,
  Engine,
  FourBitCodes,
  JobOptions,
  Kmeans,
  KnnGraph,
  Metric,
  Partition,
  Probing,
  ProjectionPartition,
  RadiusBatchResult,
  RouteBatchResult,
  SearchBatchResult,
  Searcher,
  SearchRequest,
  SearchState,
  SimilarityGraph,
  TimedSearchResult,
  TrainedClassifier,
  TrainingRequest
} from './engine.js'
import { Results, SearchQueue } from './native-search.js'

/** A job of the addon: the promise settles when the work has really ended. */
interface NativeJob<T> {
  promise: Promise<T>
  cancel(): void
}

interface NativeJobOptions {
  threads: number
  onProgress?: (done: number, total: number) => void
}

export type NativeStage<T> = (request: object, options: NativeJobOptions) => NativeJob<T>

/** A single search, told one by one, as there is little time: 0 for what does not count. */
type SingleSearch = [
  query: Float32Array,
  k: number,
  reranked: number,
  probes: number,
  mass: number,
  probability: number,
  candidates: number
]

export interface NativeSearcher {
  /** Where searchSync writes from now on; `visited` gets the numbers of candidates and of probes. */
  setResults(ids: Int32Array, distances: Float32Array, visited: Int32Array): void
  searchSync(...search: SingleSearch): void
  search(...search: [...SingleSearch, queue: NativeSearchQueue, slot: number]): void
  searchBatch: NativeStage<SearchBatchResult>
  searchTimed: NativeStage<TimedSearchResult>
  searchRadius: NativeStage<Omit<RadiusBatchResult, keyof GatheredMatches> & { matches: Matches }>
  route: NativeStage<RouteBatchResult>
  close(): void
}

/** Standing threads for single searches; each search under way has a slot, which says where its results go. */
export interface NativeSearchQueue {
  setSlot(slot: number, ids: Int32Array, distances: Float32Array, visited: Int32Array): void
  /** What went wrong with the slot's last search. */
  takeError(slot: number): unknown
}

/** An index that was laid out for searching; only to be handed back. */
type Handle = { readonly opened: unique symbol }

/** What lies within a radius, before there are arrays for it; only to be handed back, once. */
type Matches = { readonly matches: unique symbol }
type GatheredMatches = Pick<RadiusBatchResult, 'offsets' | 'ids' | 'distances'>

/** The CUDA library, and an index in a device's memory; only to be handed back. */
type CudaLibrary = { readonly library: unique symbol }
type CudaHandle = { readonly onDevice: unique symbol }

export interface CudaDevice {
  name: string
  /** As 9.0. */
  computeCapability: string
  multiprocessors: number
  totalBytes: number
  freeBytes: number
}

export interface OpenedCuda {
  library: CudaLibrary
  path: string
  /** As their makers count them: CUDA 13000 is 13.0, cuBLAS 130002 is 13.0.2, cuDNN 91300 is 9.13.0. */
  versions: { driver: number; runtime: number; cublas: number; cudnn: number }
  /** How many there are. */
  devices: number
  /** The one that was asked for, if it is there. */
  device?: CudaDevice
}

/** Searches that run end before the memory is freed. */
export interface NativeCudaIndex {
  search: NativeStage<SearchBatchResult>
  /** Bytes of the device that it takes. */
  readonly bytes: number
  close(): void
}

type TrainingSet = Pick<
  TrainingRequest,
  'vectors' | 'dimensions' | 'labels' | 'bins' | 'neighbors' | 'neighborsPerRow' | 'softLabels'
>

/** Of the rows with these numbers; the seed is the mini-batch's (native/cpu/classifier/trainer.h). */
export interface BackendPassRequest extends TrainingSet {
  network: Network
  loss: Loss
  parameters: Float32Array
  buffers: Float32Array
  rows: Int32Array
  seed: bigint
}

/** The outputs are those in use, all else is of training. */
export interface BackendPass {
  outputs: Float32Array
  loss: number
  gradient: Float32Array
  buffers: Float32Array
}

/** What native/addon exports. */
export interface Addon {
  kernels: string
  hardwareThreads: number
  prepareVectors: NativeStage<{ vectors: Float32Array }>
  knnGraph: NativeStage<Pick<KnnGraph, 'ids' | 'distances'>>
  exactSearch: NativeStage<{ ids: Int32Array<ArrayBuffer>; distances: Float32Array<ArrayBuffer> }>
  similarityGraph: NativeStage<SimilarityGraph>
  partition: NativeStage<Omit<Partition, 'bins'>>
  trainClassifier: NativeStage<Omit<TrainedClassifier, 'network'>>
  groupIntoBins: NativeStage<Bins>
  kmeans: NativeStage<Omit<Kmeans, 'bins'>>
  projectionPartition: NativeStage<Omit<ProjectionPartition, 'bins'>>
  areBytes: NativeStage<{ areBytes: boolean }>
  assignToBins: NativeStage<{ labels: Int32Array<ArrayBuffer> }>
  calibrateToNeighbors: NativeStage<Calibration>
  encodeFourBits: NativeStage<FourBitCodes>
  openIndex: NativeStage<{ handle: Handle }>
  gatherMatches: NativeStage<GatheredMatches>
  openCuda: NativeStage<OpenedCuda>
  cudaFindNeighbors: NativeStage<Pick<KnnGraph, 'ids' | 'distances'>>
  cudaTrainClassifier: NativeStage<Omit<TrainedClassifier, 'network'>>
  openCudaIndex: NativeStage<{ handle: CudaHandle }>
  CudaIndex: new (handle: CudaHandle) => NativeCudaIndex
  Searcher: new (handle: Handle) => NativeSearcher
  /** `onFinished` is called when searches have ended: the first `count` entries of `finished` are their slots, or
   * ~slot where there is an error to take. */
  SearchQueue: new (
    finished: Int32Array,
    onFinished: (count: number) => void
  ) => NativeSearchQueue
  // The classifier's parts one by one, at once: what the tests hold against references.
  networkPass<Reals extends Float32Array | Float64Array>(request: {
    network: Network
    parameters: Reals
    buffers: Reals
    inputs: Reals
    /** rows x outputs shares; or `labels`, one a row. */
    targets?: Reals
    labels?: Int32Array
    loss: Loss
    seed: number
    training: boolean
    /** Of large matrix products in training, as of a training; default 'fp32'. */
    precision?: TrainingPrecision
  }): { outputs: Reals; loss: number; gradient: Reals; inputGradient: Reals; buffers: Reals }
  /** A mini-batch as it goes through in a training: networkPass in floats. */
  backendPass(request: BackendPassRequest): BackendPass
  cudaBackendPass(request: BackendPassRequest & { library: CudaLibrary; device: number }): BackendPass
  optimizerSteps<Reals extends Float32Array | Float64Array>(request: {
    optimizer: Optimizer
    regularization: Regularization
    parameters: Reals
    /** steps x parameters */
    gradients: Reals
    learningRates: Float64Array
  }): { parameters: Reals }
  scheduleFactors(request: { schedule: Schedule; stepsPerEpoch: number; losses: Float64Array }): Float64Array
  initialParameters(request: { network: Network; initialization: Initialization; seed: number }): {
    parameters: Float32Array
    buffers: Float32Array
  }
  calibrate(request: { logits: Float32Array; shares: Float32Array; bins: number }): Calibration
}

/** The package's own folder: lib/engines and dist/engines lie equally deep. In a bundle there may be none to ask for. */
export const packageFolder = () => dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Loads the binary: build/Release of a source build, else the prebuilt one for this platform. Throws EngineError. */
export function loadAddon(): Addon {
  try {
    const load = createRequire(import.meta.url)('node-gyp-build') as (folder: string) => Addon
    return load(packageFolder())
  } catch (cause) {
    throw new EngineError(
      `the native engine cannot be loaded on ${process.platform}-${process.arch}: no prebuilt binary fits and none was built at ` +
        'install. Install a C++20 compiler, CMake 3.19 or newer and make or ninja, then run `npm rebuild neural-lsh`. ' +
        `(${firstLine(cause)})`,
      { cause }
    )
  }
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0] ?? ''
}

/** The errors of the addon carry a code and, where one is to blame, an argument. */
function typed(error: unknown, signal?: AbortSignal): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const code = error.code
  if (code === 'ERR_NLSH_CANCELLED') return signal?.aborted ? signal.reason : error
  if (code === 'ERR_NLSH_CLOSED') return new ClosedError()
  if (code === 'ERR_NLSH_ENGINE') return new EngineError(error.message, { cause: error })
  if (code === 'ERR_NLSH_DEVICE') return new DeviceError(error.message, false, { cause: error })
  if (code === 'ERR_NLSH_DEVICE_MEMORY') return new DeviceError(error.message, true, { cause: error })
  if (code === 'ERR_NLSH_ARGUMENT') {
    const argument = 'argument' in error ? String(error.argument) : 'argument'
    return new ArgumentError(argument, error.message, { cause: error })
  }
  if (typeof code === 'string' && code.startsWith('ERR_NLSH_')) {
    return new NeuralLSHError(code as ErrorCode, error.message, { cause: error })
  }
  return error
}

/** Runs a stage: the signal cancels it, what the user's progress callback throws cancels it too and is what rejects. */
export async function run<T>(stage: NativeStage<T>, request: object, job: JobOptions): Promise<T> {
  const { signal, onProgress } = job
  signal?.throwIfAborted()
  let thrown: { error: unknown } | undefined
  const report = (done: number, total: number) => {
    try {
      if (!thrown && !signal?.aborted) onProgress?.(done, total)
    } catch (error) {
      thrown = { error }
      cancel()
    }
  }
  let running: NativeJob<T> | undefined
  const cancel = () => running?.cancel()
  try {
    running = stage(request, onProgress ? { threads: job.threads, onProgress: report } : { threads: job.threads })
    signal?.addEventListener('abort', cancel, { once: true })
    const result = await running.promise
    if (thrown) throw thrown.error
    return result
  } catch (error) {
    throw thrown ? thrown.error : typed(error, signal)
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}

function flatten(probing: Probing): [probes: number, mass: number, probability: number, candidates: number] {
  return probing.probability === undefined
    ? [probing.probes ?? 0, probing.mass ?? 0, 0, 0]
    : [0, 0, probing.probability, probing.candidates]
}

function createSearcher(addon: Addon, handle: Handle, queue: SearchQueue, usesCodes: boolean): Searcher {
  const searcher = new addon.Searcher(handle)
  const results = new Results((...arrays) => searcher.setResults(...arrays))
  const spread = ({ probing, ...request }: SearchRequest) => ({ ...request, ...probing })
  return {
    usesCodes,
    searchSync(query, { k, probing, reranked }) {
      results.reserve(k)
      try {
        searcher.searchSync(query, k, reranked, ...flatten(probing))
      } catch (error) {
        throw typed(error)
      }
      return results.take(k)
    },
    async search(query, { k, probing, reranked }) {
      try {
        return await queue.search(k, (native, slot) =>
          searcher.search(query, k, reranked, ...flatten(probing), native, slot)
        )
      } catch (error) {
        throw typed(error)
      }
    },
    searchBatch: (queries, request, job) =>
      run((request, options) => searcher.searchBatch(request, options), { queries, ...spread(request) }, job),
    searchTimed: (queries, request, job) =>
      run((request, options) => searcher.searchTimed(request, options), { queries, ...spread(request) }, job),
    async searchRadius(queries, { radius, probing }, argument, job) {
      const asked = { queries, argument, radius, ...probing }
      const { matches, ...visited } = await run(
        (request, options) => searcher.searchRadius(request, options),
        asked,
        job
      )
      return { ...(await run(addon.gatherMatches, { matches }, { ...job, onProgress: undefined })), ...visited }
    },
    route: (queries, probes, job) =>
      run((request, options) => searcher.route(request, options), { queries, probes }, job),
    close: () => searcher.close()
  }
}

/** What the addon knows of bins, without another object in between. */
const flatBins = ({
  metric,
  dimensions,
  bins,
  vectors
}: Pick<SearchState, 'metric' | 'dimensions' | 'bins' | 'vectors'>) => ({
  metric,
  dimensions,
  vectors,
  ...bins
})

/** The CPU engine of the addon. Throws EngineError, with the reason and the cure, when no binary loads. */
export function createNativeEngine(): Engine {
  const addon = loadAddon()
  const queue = new SearchQueue((finished, onFinished) => new addon.SearchQueue(finished, onFinished))
  return {
    name: 'native',
    description: `native (${addon.kernels} kernels, ${addon.hardwareThreads} threads)`,
    hardwareThreads: addon.hardwareThreads,
    async prepareVectors(vectors, dimensions, metric, argument, job) {
      return (await run(addon.prepareVectors, { vectors, dimensions, metric, argument }, job)).vectors
    },
    async knnGraph(vectors, dimensions, metric, options, job) {
      const found = await run(addon.knnGraph, { vectors, dimensions, metric, ...options }, job)
      return { neighbors: options.neighbors, ...found }
    },
    exactSearch: (vectors, queries, dimensions, metric: Metric, k, job) =>
      run(addon.exactSearch, { vectors, queries, dimensions, metric, k }, job),
    similarityGraph: (knn, job) => run(addon.similarityGraph, { ids: knn.ids, neighbors: knn.neighbors }, job),
    async partition(graph, options, job) {
      return { bins: options.bins, ...(await run(addon.partition, { ...graph, ...options }, job)) }
    },
    async kmeans(vectors, dimensions, options, job) {
      return { bins: options.bins, ...(await run(addon.kmeans, { vectors, dimensions, ...options }, job)) }
    },
    async projectionPartition(vectors, dimensions, options, job) {
      const request = { vectors, dimensions, ...options, ...ruleOf(options.method, options.bins, dimensions) }
      return { bins: options.bins, ...(await run(addon.projectionPartition, request, job)) }
    },
    async trainClassifier(request, job) {
      return { network: request.network, ...(await run(addon.trainClassifier, request, job)) }
    },
    groupIntoBins: (labels, bins, rows, job) => run(addon.groupIntoBins, { labels, bins, ...rows }, job),
    calibrateToNeighbors: (classifier, queries, neighborBins, job) =>
      run(addon.calibrateToNeighbors, { classifier, queries, neighborBins }, job),
    async assignToBins(classifier, vectors, largest, job) {
      return (await run(addon.assignToBins, { classifier, vectors, largest }, job)).labels
    },
    async areBytes(vectors, job) {
      return (await run(addon.areBytes, { vectors }, job)).areBytes
    },
    encodeFourBits: (state, seed, job) => run(addon.encodeFourBits, { ...flatBins(state), seed }, job),
    async openSearcher(state: SearchState, job) {
      const { classifier, scan, codes } = state
      const { handle } = await run(addon.openIndex, { ...flatBins(state), classifier, scan, codes }, job)
      return createSearcher(addon, handle, queue, scan !== 'exact')
    }
  }
}
