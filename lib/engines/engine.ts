/**
 * What an engine computes. An engine is who computes, a stage is what is computed: no stage knows which engine runs it.
 * Arguments arrive checked (lib/options.ts and the stages judge them); arrays are read in place and must not be
 * changed, transferred or detached until the promise settles.
 */
import type { Network } from '../classifier/network.js'
import type {
  EarlyStopping,
  Initialization,
  InputType,
  Loss,
  Optimizer,
  Regularization,
  Schedule,
  TrainingPrecision
} from '../classifier/training.js'

/** Squared Euclidean distance, cosine distance 1 - cos, or negated inner product: smaller is nearer in all three. */
export type Metric = 'euclidean' | 'cosine' | 'inner-product'

/** KaHIP's six preconfigurations; the social ones are made for graphs with hubs, such as k-NN graphs. */
export type KahipMode = 'fast' | 'eco' | 'strong' | 'fastsocial' | 'ecosocial' | 'strongsocial'

export interface JobOptions {
  /** Threads to use; 0: all cores. */
  threads: number
  /** Aborting rejects with the signal's reason; the computation stops within a second and its memory is freed. */
  signal?: AbortSignal | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** exact: all pairs; approximate: those that share one of many overlapping random leaves. */
export type GraphMethod = 'exact' | 'approximate'

/** How far a GPU rounds the factors of the matrix products that propose neighbors; the neighbors are the same with any. */
export type GraphPrecision = 'fp32' | 'tf32' | 'bf16' | 'fp16'

/** n x neighbors, nearest first, self excluded, ties by smaller id. */
export interface KnnGraph {
  neighbors: number
  /** n x neighbors row numbers. */
  ids: Int32Array<ArrayBuffer>
  /** n x neighbors distances in the metric. */
  distances: Float32Array<ArrayBuffer>
}

/** Compressed sparse rows, every undirected edge in both directions; vertex weights are all 1. */
export interface SimilarityGraph {
  /** n + 1 */
  xadj: Int32Array<ArrayBuffer>
  /** 2 x edges */
  adjncy: Int32Array<ArrayBuffer>
  /** 2 x edges: 2 where each is the other's neighbor, 1 where only one is. */
  adjcwgt: Int32Array<ArrayBuffer>
}

export interface Partition {
  bins: number
  /** n labels in [0, bins); a bin may come out empty. */
  labels: Int32Array<ArrayBuffer>
  /** Weight of the edges between bins, recomputed from the labels. */
  edgeCut: number
  /** Largest bin / mean bin. */
  balance: number
  /** Memory that the partitioner took beyond what the process had, in bytes. */
  peakBytes: number
}

/** Lloyd's algorithm (1982), for which a bin may be given only so much room. */
export interface Kmeans {
  bins: number
  /** n labels: the nearest centroid, ties to the smaller bin; where bins are bounded, a near one. */
  labels: Int32Array<ArrayBuffer>
  /** bins x dimensions */
  centroids: Float32Array<ArrayBuffer>
  /** Largest bin / mean bin. */
  balance: number
  /** Mean squared distance of a vector to its centroid. */
  meanSquaredError: number
}

/** Partitions that need neither a graph nor a training: see lib/methods.ts. */
export type ProjectionMethod = 'itq' | 'cross-polytope' | 'pca-tree' | 'rp-tree' | 'kd-tree'

/** A partition by projections of the vectors, which rank a query's bins as well (lib/baselines/rules.ts). */
export interface ProjectionPartition {
  bins: number
  /** n labels in [0, bins). */
  labels: Int32Array<ArrayBuffer>
  /** Largest bin / mean bin. */
  balance: number
  /** projections x dimensions */
  weights: Float32Array<ArrayBuffer>
  /** projections */
  biases: Float32Array<ArrayBuffer>
  /** ITQ: the quantisation loss |B - VR|^2 / n after each iteration; empty otherwise. */
  losses: Float64Array<ArrayBuffer>
}

export interface EpochReport {
  /** From 1, over all trainings that go on from each other. */
  epoch: number
  /** Of the epoch's last step. */
  learningRate: number
  trainingLoss: number
  trainingAccuracy: number
  /** After the epoch; NaN when nothing is held out. */
  validationLoss: number
  validationAccuracy: number
  /** Acc@k of the held-out rows: the share of their neighbors in the graph that lie in the monitored number of most
   * probable bins; NaN without neighbors. */
  neighborAccuracy: number
  seconds: number
}

/** The network is fed with (x - mean) * scale, x brought to unit length before if `unitLength`. */
export interface InputTransform {
  unitLength: boolean
  /** d */
  mean: Float32Array<ArrayBuffer>
  /** d */
  scale: Float32Array<ArrayBuffer>
}

/** What turns a vector into bins' probabilities: softmax(network(input(x)) / temperature). */
export interface Classifier {
  network: Network
  /** Flat, layer by layer, in PyTorch's layouts: linear [out, in] and [out]; conv2d [out, in, kernel, kernel] and [out];
   * batch norm [channels] twice. */
  parameters: Float32Array<ArrayBuffer>
  /** Flat: running mean [channels] and running variance [channels] of each batch norm. */
  buffers: Float32Array<ArrayBuffer>
  input: InputTransform
  temperature: number
}

/** What a training needs, besides the classifier, to go on as if it had never stopped. */
export interface TrainingState {
  /** Trained so far. */
  epochs: number
  /** Steps of the optimizer so far. */
  steps: number
  /** The optimizer's running values, slot after slot, each as long as the parameters. */
  slots: Float32Array<ArrayBuffer>
  /** Of the last epoch, where the classifier's may be those of an earlier, better one. */
  parameters: Float32Array<ArrayBuffer>
  buffers: Float32Array<ArrayBuffer>
  /** What reduce-on-plateau has seen. */
  plateau: { lowestLoss: number; staleEpochs: number; factor: number }
  /** What early stopping has seen; bestEpoch 0: nothing yet. */
  bestValue: number
  bestEpoch: number
}

export interface Calibration {
  temperature: number
  /** Expected calibration error on the held-out rows at temperature 1, and at this one. */
  errorBefore: number
  errorAfter: number
}

export interface TrainedClassifier extends Classifier {
  /** The rows that were held out of the training. */
  heldOut: Int32Array<ArrayBuffer>
  history: EpochReport[]
  /** The epoch whose weights these are. */
  bestEpoch: number
  /** What the temperature was fitted to; not there without held-out rows. */
  calibration?: Calibration | undefined
  /** For `initial` of a training that goes on. */
  state: TrainingState
}

/** Where a training starts: weights, and to go on exactly, the buffers, the input transform and the state as well. */
export interface StartingPoint {
  parameters: Float32Array
  buffers?: Float32Array | undefined
  input?: InputTransform | undefined
  state?: TrainingState | undefined
}

export interface TrainingRequest {
  vectors: Float32Array
  dimensions: number
  labels: Int32Array
  bins: number
  /** n x neighborsPerRow, for soft labels and neighborAccuracy; may be empty when softLabels is 0. */
  neighbors: Int32Array
  neighborsPerRow: number
  /** S: the target is the histogram over the bins of the S nearest neighbors and the point itself; 0: the own bin only. */
  softLabels: number
  network: Network
  initialization: Initialization
  input: InputType
  loss: Loss
  optimizer: Optimizer
  schedule: Schedule
  regularization: Regularization
  epochs: number
  batchSize: number
  validationFraction: number
  /** The rows to hold out, each once; where it is left out, the share `validationFraction`, drawn by the seed. */
  heldOut?: Int32Array | undefined
  earlyStopping?: EarlyStopping | undefined
  /** Bins in which neighborAccuracy looks for neighbors. */
  monitoredProbes: number
  calibrate: boolean
  /** How far the factors of matrix products may be rounded. */
  precision: TrainingPrecision
  /** A device's to heed: what a CPU computes repeats itself. */
  deterministic: boolean
  seed: number
  initial?: StartingPoint | undefined
}

/** Points grouped by bin: bin b holds rows offsets[b] .. offsets[b + 1] of the reordered vectors. */
export interface Bins {
  /** bins + 1 */
  offsets: Int32Array<ArrayBuffer>
  /** n: the original row number of each reordered row; ascending inside a bin. */
  ids: Int32Array<ArrayBuffer>
}

/** `to` has the size of `from` and may be the same array, whose rows are then moved in place; bytes where all numbers
 * are integers in 0 .. 255. */
export interface Reordering {
  from: Float32Array
  to: Float32Array | Uint8Array
  dimensions: number
}

/** How the vectors of a bin are compared: as they are, or by codes of a byte a number, or of four bits for every two
 * numbers (product quantisation), the nearest by which are compared again exactly. */
export type ScanType = 'exact' | 'int8' | 'pq4'

/** Of the scan 'pq4': a vector minus its bin's mean, its numbers in another order, cut into parts of two each. */
export interface FourBitCodes {
  /** n x ceil(parts / 2), in the bins' order: part 2i is the lower half of byte i. */
  codes: Uint8Array<ArrayBuffer>
  /** parts x 16 x 2 */
  codebooks: Float32Array<ArrayBuffer>
  /** bins x dimensions */
  means: Float32Array<ArrayBuffer>
  /** The place in the vector of each number: 0 to dimensions - 1 in the order of the parts. */
  columns: Int32Array<ArrayBuffer>
}

/** What held-out vectors say of the search, asked for their 10 nearest: which bins to read for a recall, and the share of
 * it that is lost where only so many candidates are compared again exactly. Arrays of two tables. */
export interface RecallCurve {
  /** Rising to 1. */
  recall: readonly number[]
  /** Bins of at least this probability are read, */
  probability: readonly number[]
  /** until they hold so many vectors. */
  candidates: readonly number[]
  /** Candidates compared again for each result that is asked for, rising; empty where the scan is exact, or where it was so
   * when this was learned: how many there are to be is then the engine's own choice. */
  reranked: readonly number[]
  /** Falling. */
  loss: readonly number[]
}

/** Everything that answering a query needs: what an index file holds. The engine keeps references, not copies. */
export interface SearchState {
  metric: Metric
  dimensions: number
  classifier: Classifier
  bins: Bins
  /** n x dimensions in the bins' order; unit rows for cosine; bytes where all numbers are integers in 0 .. 255. */
  vectors: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>
  scan: ScanType
  /** There with the scan 'pq4'; those of 'int8' the engine makes itself. */
  codes?: FourBitCodes | undefined
}

/** The most probable bins are read: a fixed number of `probes`; or until their probabilities add up to `mass`; or those
 * of at least a `probability`, until they hold so many `candidates`. In each case further bins are read while there are
 * fewer than k candidates, so that k results always come back. */
export type Probing =
  | { probes: number; mass?: undefined; probability?: undefined }
  | { mass: number; probes?: undefined; probability?: undefined }
  | { probability: number; candidates: number; probes?: undefined; mass?: undefined }

/** One search: k results from the bins that the probing chooses. */
export interface SearchRequest {
  k: number
  probing: Probing
  /** Where the scan is by codes: so many of the nearest are compared again exactly; 0: the engine's own choice. */
  reranked: number
}

export interface SearchResult {
  /** k row numbers of the array that was given to build, nearest first, ties by smaller number. */
  ids: Int32Array<ArrayBuffer>
  /** k distances: squared Euclidean, 1 - cosine, or negated inner product. */
  distances: Float32Array<ArrayBuffer>
  /** Vectors that were compared with the query. */
  candidates: number
  /** Bins that were read. */
  probes: number
}

export interface SearchBatchResult {
  /** queries x k, nearest first, ties by smaller id. */
  ids: Int32Array<ArrayBuffer>
  /** queries x k */
  distances: Float32Array<ArrayBuffer>
  /** queries: vectors compared. */
  candidates: Int32Array<ArrayBuffer>
  /** queries: bins read. */
  probes: Int32Array<ArrayBuffer>
}

export interface TimedSearchResult extends SearchBatchResult {
  /** queries */
  seconds: Float64Array<ArrayBuffer>
}

/** All candidates within a radius, in the metric's distance. */
export interface RadiusRequest {
  radius: number
  probing: Probing
}

export interface RadiusBatchResult {
  /** queries + 1: query i found ids[offsets[i]] to ids[offsets[i + 1] - 1], at these distances. */
  offsets: Int32Array<ArrayBuffer>
  /** Row numbers of the array that was given to build, for each query nearest first, ties by smaller number. */
  ids: Int32Array<ArrayBuffer>
  distances: Float32Array<ArrayBuffer>
  /** queries: vectors compared. */
  candidates: Int32Array<ArrayBuffer>
  /** queries: bins read. */
  probes: Int32Array<ArrayBuffer>
}

export interface RouteBatchResult {
  /** queries x probes, most probable first. */
  bins: Int32Array<ArrayBuffer>
  /** queries x probes */
  probabilities: Float32Array<ArrayBuffer>
}

/** An opened index. Queries are as the user gave them (for cosine the engine normalises them itself); a query that is
 * not finite, or for cosine all zeros, gives an ArgumentError naming `query` or `queries`. */
export interface Searcher {
  /** Whether the index's codes decide which candidates are compared exactly: not where all of them are. */
  readonly usesCodes: boolean
  searchSync(query: Float32Array, request: SearchRequest): SearchResult
  search(query: Float32Array, request: SearchRequest): Promise<SearchResult>
  searchBatch(queries: Float32Array, request: SearchRequest, job: JobOptions): Promise<SearchBatchResult>
  /** As searchBatch, query by query on one thread, with the seconds that each took. */
  searchTimed(queries: Float32Array, request: SearchRequest, job: JobOptions): Promise<TimedSearchResult>
  /** Every candidate whose distance, as it is returned, is at most the radius; `argument` names the queries in errors. */
  searchRadius(
    queries: Float32Array,
    request: RadiusRequest,
    argument: string,
    job: JobOptions
  ): Promise<RadiusBatchResult>
  route(queries: Float32Array, probes: number, job: JobOptions): Promise<RouteBatchResult>
  /** Lets go of the memory; running searches finish first. */
  close(): void
}

export interface Engine {
  readonly name: 'native' | 'typescript' | 'cuda'
  /** For people: kernels, threads, version. */
  readonly description: string
  readonly hardwareThreads: number

  /** Checks the vectors and returns what the other functions want: unit rows for cosine, the array itself otherwise.
   * Rejects with ArgumentError naming `argument` and the row when a value is NaN or infinite, too large for float
   * arithmetic or, for cosine, a row is all zeros. */
  prepareVectors(
    vectors: Float32Array,
    dimensions: number,
    metric: Metric,
    argument: string,
    job: JobOptions
  ): Promise<Float32Array>
  /** The k-NN graph (prepared vectors). `precision` is for a GPU. */
  knnGraph(
    vectors: Float32Array,
    dimensions: number,
    metric: Metric,
    options: { neighbors: number; method: GraphMethod; precision?: GraphPrecision | undefined; seed: number },
    job: JobOptions
  ): Promise<KnnGraph>
  /** The exact k nearest rows of `vectors` for each query (both prepared): ground truth. */
  exactSearch(
    vectors: Float32Array,
    queries: Float32Array,
    dimensions: number,
    metric: Metric,
    k: number,
    job: JobOptions
  ): Promise<{ ids: Int32Array<ArrayBuffer>; distances: Float32Array<ArrayBuffer> }>
  similarityGraph(knn: Pick<KnnGraph, 'neighbors' | 'ids'>, job: JobOptions): Promise<SimilarityGraph>
  partition(
    graph: SimilarityGraph,
    options: { bins: number; mode: KahipMode; imbalance: number; seed: number; seeds: number },
    job: JobOptions
  ): Promise<Partition>
  /** k-means of prepared vectors. `largest`: a bin holds at most so many times the mean. */
  kmeans(
    vectors: Float32Array,
    dimensions: number,
    options: { bins: number; iterations: number; seed: number; largest?: number | undefined },
    job: JobOptions
  ): Promise<Kmeans>
  /** Bins by projections of prepared vectors: ITQ, cross-polytope LSH, trees of hyperplanes. */
  projectionPartition(
    vectors: Float32Array,
    dimensions: number,
    options: { method: ProjectionMethod; bins: number; iterations: number; seed: number },
    job: JobOptions
  ): Promise<ProjectionPartition>
  trainClassifier(request: TrainingRequest, job: JobOptions): Promise<TrainedClassifier>
  /** Groups rows by label; with `rows`, those of `from` (n x dimensions) are written to `to` in the bins' order. */
  groupIntoBins(labels: Int32Array, bins: number, rows: Reordering | undefined, job: JobOptions): Promise<Bins>
  /** Fits a temperature to the bins of the queries' neighbors (queries x k), whatever the classifier's own is. */
  calibrateToNeighbors(
    classifier: Classifier,
    queries: Float32Array,
    neighborBins: Int32Array,
    job: JobOptions
  ): Promise<Calibration>
  /** For each prepared vector the bin that the classifier finds most probable, of those that hold fewer than `largest`
   * already; the surest vectors choose first. bins x largest is at least n. */
  assignToBins(
    classifier: Classifier,
    vectors: Float32Array,
    largest: number,
    job: JobOptions
  ): Promise<Int32Array<ArrayBuffer>>
  /** Whether all numbers are integers in 0 .. 255. */
  areBytes(vectors: Float32Array, job: JobOptions): Promise<boolean>
  /** Learns the codes of the vectors of a state. */
  encodeFourBits(
    state: Pick<SearchState, 'metric' | 'dimensions' | 'bins' | 'vectors'>,
    seed: number,
    job: JobOptions
  ): Promise<FourBitCodes>
  /** Checks the state (offsets, ids a permutation, finite numbers; ArgumentError otherwise) and takes hold of it. */
  openSearcher(state: SearchState, job: JobOptions): Promise<Searcher>
}
