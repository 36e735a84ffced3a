/**
 * Every option: its default and its check (the classifier's are in classifier/options.ts, what a search asks for is judged
 * in search-arguments.ts). Only there do options get defaults and are arguments judged; whatever is behind them may trust
 * them. All errors are ArgumentErrors that name the argument as the caller wrote it and say what would be right.
 */

import { hasRule, networkOf, type RuleMethod, ruleMethods } from './baselines/rules.js'
import { checkArray, checkEntries, checkLength, checkMatrix, checkVectors, largestId } from './checks/arrays.js'
import {
  asRecord,
  describe,
  Field,
  integer,
  isIntegerWithin,
  isNumber,
  Optional,
  oneOf,
  optional,
  type Resolved,
  read,
  real
} from './checks/fields.js'
import { checkGraphSize, checkKnnGraph, checkSimilarityGraph } from './checks/graphs.js'
import { checkStart } from './checks/starting-point.js'
import { chooseGraphMethod } from './choices.js'
import { checkChildren, type Network } from './classifier/network.js'
import {
  type ClassifierOptions,
  type ClassifierSettings,
  checkTraining,
  classifierTable,
  completeClassifier,
  type Task,
  trainingSettings
} from './classifier/options.js'
import type {
  GraphMethod,
  KahipMode,
  KnnGraph,
  Metric,
  ScanType,
  SimilarityGraph,
  StartingPoint
} from './engines/engine.js'
import { type EngineChoice, engineChoices } from './engines/select.js'
import { ArgumentError } from './errors.js'
import { type Method, method, withMethod } from './methods.js'

// ---------------------------------------------------------------------------------------------- what users write

/** What a long-running call is doing: `done` of `total` in units of the stage's own; `total` is 1 until it is known. */
export interface Progress {
  stage: StageName
  done: number
  total: number
}

export type StageName =
  | 'prepare'
  | 'partition-choice'
  | 'knn-graph'
  | 'similarity-graph'
  | 'partition'
  | 'assignment'
  | 'classifier'
  | 'second-level'
  | 'bins'
  | 'codes'
  | 'recall'
  | 'exact-search'
  | 'search'

/** How a long-running call is run; accepted by all of them. */
export interface RunOptions {
  /** Who computes: 'auto' (default) takes the first engine that works. */
  engine?: EngineChoice | undefined
  /** Threads to use, 0 to 1024; 0 (default): all cores. */
  threads?: number | undefined
  /** Aborting rejects with the signal's reason within a second and frees the memory. */
  signal?: AbortSignal | undefined
  /** Called now and then, and at the start and the end of each stage. An error that it throws stops the call. */
  onProgress?: ((progress: Progress) => void) | undefined
}

export interface GraphOptions {
  /** Nearest neighbors of each vector in the graph that is partitioned, 1 to n - 1; default: the square root of n, but from
   * 10 to 50, and 20 beyond 250,000 vectors. */
  neighbors?: number | undefined
  /** 'exact' compares all pairs, 'approximate' those that meet in one of many random leaves; 'auto' (default) takes exact where
   * that is a matter of seconds, and says so in the report. */
  method?: GraphMethod | 'auto' | undefined
}

/** Who makes the bins. */
export interface PartitionOptions {
  /** 'auto' (default) tries 'kahip' and 'kmeans' in bins of the same bounded size on a sample, takes what needs fewer
   * candidates and says so in the report; where one of KaHIP's own options is given, it is 'kahip'.
   * 'kahip' partitions the k-NN graph into bins of bounded size; 'regression-lsh' cuts it in two again and again,
   * with a regression that learns each cut (2^b bins); the others need no graph. The bins of 'kmeans', 'itq' (2^b) and
   * 'cross-polytope' (an even number) have the sizes that they have, the leaves of 'pca-tree', 'rp-tree' and 'kd-tree'
   * are equally large. */
  method?: PartitionMethod | 'auto' | undefined
  /** KaHIP's preconfiguration, default 'fastsocial'. */
  mode?: KahipMode | undefined
  /** KaHIP: every bin holds at most (1 + imbalance) * ceil(n / bins) vectors; 0 to 1, default 0.03. */
  imbalance?: number | undefined
  /** KaHIP: partitions with so many seeds, of which the one with the least cut is kept; 1 to 100, default 1. */
  seeds?: number | undefined
  /** k-means: rounds over its sample; ITQ: rotations; 1 to 1000, default 10 and 50. */
  iterations?: number | undefined
  /** k-means: a bin holds at most so many times the mean, 1 to 1000; default: any number. */
  largest?: number | undefined
}

export type PartitionMethod = 'kahip' | 'kmeans' | RuleMethod

/** Who ranks the bins for a query: the trained network, the distance to the bins' centroids, or a partition's own rule:
 * the margins to a tree's hyperplanes or to ITQ's bits, the corners of a cross-polytope. */
export type RouterType = 'classifier' | 'centroids' | 'own'

/** Who has the last word on a vector's bin: the partition; or the trained router, which puts every vector where it would
 * look for it first; or 'router-bounded', the same in bins of at most (1 + partition.imbalance) * ceil(n / bins) vectors,
 * on which the router is then trained again. */
export type Assignment = 'partition' | 'router' | 'router-bounded'

export interface BuildOptions extends RunOptions {
  /** What the other options are where they are not given; default 'neural-lsh'. See the README's table. */
  method?: Method | undefined
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Bins to partition into, 2 to n; default: the power of two nearest to the square root of n. */
  bins?: number | undefined
  /** Above 1, two levels: the vectors are partitioned into so many groups, and each group into bins / groups bins, with a
   * network of its own that is only asked where the first one finds the group probable. Must divide `bins` and leave at
   * least 2 of them to a group; 'auto': the divisor nearest to their square root; default 1. Not with a partition that
   * ranks its bins by itself. */
  groups?: number | 'auto' | undefined
  /** Default 'euclidean'. */
  metric?: Metric | undefined
  graph?: GraphOptions | undefined
  partition?: PartitionOptions | undefined
  /** Who ranks the bins for a query, default 'classifier'; the others train nothing. */
  router?: RouterType | undefined
  classifier?: ClassifierOptions | undefined
  /** Who has the last word on a vector's bin; 'auto' (default): 'router-bounded' for the partition 'kahip' with a trained
   * router, else 'partition'. */
  assignment?: Assignment | 'auto' | undefined
  /** How a bin's vectors are compared with a query: 'exact', or by codes ('int8', 'pq4') with the nearest compared again
   * exactly. 'auto' (default) picks by the vectors' kind and size. */
  scan?: ScanType | 'auto' | undefined
  /** The same seed, options, engine and threads give the same index; 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

/** How many results, and which bins are read for them: as many as it takes to find the share `recall` of the true
 * neighbors, or a fixed number of `probes`, or as many as it takes until their probabilities add up to `mass`; one of
 * them. Default { recall: 0.95 }. */
export interface SearchOptions {
  /** Results, 1 to n, default min(10, n). */
  k?: number | undefined
  /** Bins to read, 1 to the number of bins. */
  probes?: number | undefined
  /** Probability to reach, above 0, at most 1. */
  mass?: number | undefined
  /** Share of the true 10 nearest to find on average, above 0, at most 1; what it takes the index has learned from
   * vectors that its classifier was not trained on. */
  recall?: number | undefined
}

/** What an ensemble is doing: as in Progress. */
export interface EnsembleProgress extends Progress {
  /** The partition that is built or asked, from 0; not there where all are asked together, at the end of a build. */
  partition?: number | undefined
}

export interface EnsembleBuildOptions extends BuildOptions {
  /** Indexes to build, each with a partition of its own; 2 to 16, default 2. */
  partitions?: number | undefined
  /** Number i is built with seed + i; 0 to 2^31 - partitions, default 1. */
  seed?: number | undefined
  onProgress?: ((progress: EnsembleProgress) => void) | undefined
}

export interface SearchBatchOptions extends SearchOptions, Omit<RunOptions, 'engine'> {}

export interface EnsembleBatchOptions extends SearchBatchOptions {
  onProgress?: ((progress: EnsembleProgress) => void) | undefined
}

/** How near, and which bins are read: as in SearchOptions, until they hold at least one vector. */
export interface RadiusOptions extends Omit<SearchOptions, 'k'> {
  /** The largest distance that counts, in the metric's own distance as searches return it: SQUARED Euclidean for
   * 'euclidean' (for all within 5, say 25), 1 - cosine, or negated inner product. What is exactly as far is found, too.
   * A finite number, from 0 but for 'inner-product'. */
  radius: number
  /** As in SearchOptions, that is learned for the 10 nearest, and here only a guide: the farther the radius reaches beyond
   * them, the smaller is the share that is found. */
  recall?: number | undefined
}

export interface RadiusBatchOptions extends RadiusOptions, Omit<RunOptions, 'engine'> {}

export interface RouteOptions {
  /** Bins to return, 1 to the number of bins; default: all. */
  probes?: number | undefined
}

export interface EvaluateOptions extends Omit<RunOptions, 'engine'> {
  /** Neighbors to find, 1 to n, default min(10, n). */
  k?: number | undefined
  /** queries x w row numbers, w >= k, nearest first; default: found by exact search. */
  truth?: Int32Array | undefined
  /** Points of the curve: numbers of bins to read; default, when none of the three is given: 1, 2, 4 … at most 32. */
  probes?: readonly number[] | undefined
  /** Points of the curve: probabilities to reach. */
  mass?: readonly number[] | undefined
  /** Points of the curve: shares of the true neighbors to find. */
  recall?: readonly number[] | undefined
}

export interface SaveOptions {
  signal?: AbortSignal | undefined
  /** n words (or names) of the rows, kept in the file; default: the index's own. */
  words?: readonly string[] | undefined
}

export type EnsembleSaveOptions = Pick<SaveOptions, 'signal'>

export interface OpenOptions extends Omit<RunOptions, 'onProgress'> {}

export interface KnnGraphOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Neighbors of each vector, 1 to n - 1; default min(10, n - 1). */
  neighbors?: number | undefined
  /** Default 'euclidean'. */
  metric?: Metric | undefined
  /** As in GraphOptions; default 'exact'. */
  method?: GraphMethod | 'auto' | undefined
  /** Of the approximate method; 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface PartitionGraphOptions extends RunOptions {
  /** Bins to partition into, 2 to n. */
  bins: number
  /** KaHIP's preconfiguration, default 'fastsocial'. */
  mode?: KahipMode | undefined
  /** Every bin holds at most (1 + imbalance) * ceil(n / bins) vectors; 0 to 1, default 0.03. */
  imbalance?: number | undefined
  /** Partitions with so many seeds, of which the one with the least cut is kept; 1 to 100, default 1. */
  seeds?: number | undefined
  /** 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface KmeansOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Centroids, 1 to n. */
  bins: number
  /** Rounds over the sample, 1 to 1000, default 10. */
  iterations?: number | undefined
  /** A bin holds at most so many times the mean, rounded down, and at least the mean rounded up; 1 to 1000, default: any
   * number. A vector then goes to a bin with room whose centroid is near. */
  largest?: number | undefined
  /** 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface TrainClassifierOptions extends RunOptions, ClassifierOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** n labels in [0, bins). */
  labels: Int32Array
  /** Outputs of the network, from 2. */
  bins: number
  /** The neighbors of each vector; needed for soft labels. */
  neighbors?: KnnGraph | undefined
  /** Where to start: what an earlier call returned, to go on with it exactly, or only weights, flat as in
   * `Classifier.parameters`. Default: weights drawn from the seed. */
  initial?: StartingPoint | undefined
  /** 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface ExactSearchOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Default 'euclidean'. */
  metric?: Metric | undefined
  /** Results for each query, 1 to n, default min(10, n). */
  k?: number | undefined
}

// ---------------------------------------------------------------------------------------------------- the tables

export const isMass = (value: unknown) => isNumber(value) && value > 0 && value <= 1

const metrics = ['euclidean', 'cosine', 'inner-product'] as const
const modes = ['fast', 'eco', 'strong', 'fastsocial', 'ecosocial', 'strongsocial'] as const

const dimensions = integer(1, 65536)
const metric = oneOf<Metric>(metrics, 'euclidean')
export const seed = integer(0, largestId, 1)
const threads = integer(0, 1024, 0)
const signal = optional<AbortSignal>('an AbortSignal', (value) => value instanceof AbortSignal)
const onProgress = optional<(progress: Progress) => void>('a function', (value) => typeof value === 'function')
export const searchRun = { threads, signal, onProgress }
const run = { engine: oneOf<EngineChoice>(engineChoices, 'auto'), ...searchRun }

const neighbors = (rows: number, fallback = 10) =>
  integer(1, rows - 1, Math.min(fallback, rows - 1), 'one less than the number of vectors')

const bins = (rows: number, fallback?: number) => integer(2, rows, fallback, 'the number of vectors')
/** By default the power of two nearest to the square root of n. */
export const binsOf = (rows: number) => bins(rows, Math.max(2, 2 ** Math.round(Math.log2(rows) / 2)))

const groupsOf = (rows: number) =>
  new Field<number | 'auto'>(
    `an integer from 1 to ${rows} (the number of vectors) or 'auto'`,
    (value) => value === 'auto' || isIntegerWithin(1, rows)(value),
    1
  )

/** The divisor of the bins nearest to their square root; 1 where it would leave a group a single bin. */
function evenGroups(bins: number): number {
  const divisors = Array.from({ length: bins - 1 }, (_, i) => i + 1).filter((divisor) => bins % divisor === 0)
  return divisors.reduce((a, b) => (Math.abs(b * b - bins) < Math.abs(a * a - bins) && bins >= 2 * b ? b : a), 1)
}

const kahip = {
  mode: oneOf<KahipMode>(modes, 'fastsocial'),
  imbalance: real(0, 1, 0.03),
  seeds: integer(1, 100, 1)
}
const [kmeansRounds, itqRotations] = [10, 50]
const iterations = integer(1, 1000, kmeansRounds)
const largest = new Optional(real(1, 1000))
const partitionMethods: readonly (PartitionMethod | 'auto')[] = ['kahip', 'kmeans', ...ruleMethods, 'auto']
const partition = {
  method: oneOf<PartitionMethod | 'auto'>(partitionMethods, 'auto'),
  ...kahip,
  iterations: new Optional(integer(1, 1000)),
  largest
}

export const results = (rows: number) => integer(1, rows, Math.min(10, rows), 'the number of vectors')

// ----------------------------------------------------------------------------------------------- one reader a call

/** How a long-running call is run, resolved. */
export type Run = Resolved<typeof searchRun>

const graphMethod = (fallback: GraphMethod | 'auto') =>
  oneOf<GraphMethod | 'auto'>(['auto', 'exact', 'approximate'], fallback)

/** More neighbors make a better partition (docs/what-helps.md) as long as they are few beside all vectors, and take KaHIP
 * minutes where these are many. */
const graphNeighbors = (rows: number) => (rows > 250_000 ? 20 : Math.min(50, Math.max(10, Math.floor(Math.sqrt(rows)))))

const graphTable = (rows: number) => ({
  neighbors: neighbors(rows, graphNeighbors(rows)),
  method: graphMethod('auto')
})

/** What decides which index is built, for n = `rows`. */
const indexTable = (rows: number, task: Task) => ({
  method,
  dimensions,
  bins: binsOf(rows),
  groups: groupsOf(rows),
  metric,
  graph: graphTable(rows),
  partition,
  router: oneOf<RouterType>(['classifier', 'centroids', 'own'], 'classifier'),
  assignment: oneOf<Assignment | 'auto'>(['auto', 'partition', 'router', 'router-bounded'], 'auto'),
  classifier: classifierTable(task),
  scan: oneOf<ScanType | 'auto'>(['auto', 'exact', 'int8', 'pq4'], 'auto'),
  seed
})

type ReadIndexOptions = Resolved<ReturnType<typeof indexTable>>

/** Every build option but how the build is run: what an index file keeps. */
export type IndexOptions = Omit<ReadIndexOptions, 'classifier' | 'partition' | 'groups'> & {
  groups: number
  classifier: ClassifierSettings
  partition: ReadIndexOptions['partition'] & { iterations: number }
}

const classifierPrefix = 'classifier.'

/** Resolves what decides which index is built, for n = `rows`. */
export function resolveIndexOptions(options: unknown, rows: number): IndexOptions {
  const task = readTask(options, rows)
  return completeIndex(read(indexTable(rows, task), options), task)
}

export function resolveBuild(vectors: Float32Array, options: BuildOptions) {
  const rows = checkVectors(vectors, readDimensions(options))
  const asked = withPartition(withMethod(options))
  const task = readTask(asked, rows)
  const { engine, threads, signal, onProgress, ...given } = read({ ...indexTable(rows, task), ...run }, asked)
  const index = completeIndex(given, task)
  if (!isTrained(index) && options.classifier !== undefined)
    throw new ArgumentError('classifier', `cannot be given together with router '${index.router}', which trains none`)
  if (index.router !== 'classifier' && assignmentOf(index) !== 'partition')
    throw new ArgumentError('assignment', `must be 'partition' with router '${index.router}', which is not trained`)
  checkGroups(index)
  checkGraphSize(rows, index.classifier.softLabels, 'classifier.softLabels')
  checkTraining(index.classifier, task, rows, classifierPrefix)
  routerOf(index)
  return { engine, run: { threads, signal, onProgress }, index }
}

/** Who asks for something that only KaHIP has, asks for KaHIP. */
function withPartition(options: Record<string, unknown>): Record<string, unknown> {
  const partition = asRecord(options.partition, 'partition')
  const { method, mode, seeds } = partition
  if (method !== undefined || (mode === undefined && seeds === undefined)) return options
  return { ...options, partition: { ...partition, method: 'kahip' } }
}

function checkGroups({ bins, groups, partition, router }: IndexOptions): void {
  if (groups === 1) return
  if (bins % groups > 0 || bins < 2 * groups)
    throw new ArgumentError('groups', `must divide the ${bins} bins into at least 2 for each group, but is ${groups}`)
  if (hasRule(partition.method) || router === 'own')
    throw new ArgumentError('groups', `must be 1 with partition.method '${partition.method}', which ranks its own bins`)
}

const mostPartitions = 16
export const partitionCount = (fallback?: number) => integer(2, mostPartitions, fallback)

export function resolveEnsembleBuild(vectors: Float32Array, options: EnsembleBuildOptions) {
  const { partitions: count, seed: first, ...rest } = asRecord(options, 'options') as unknown as EnsembleBuildOptions
  const partitions = partitionCount(2).read(count, 'partitions')
  const last = largestId - (partitions - 1)
  const seed = integer(0, last, 1, `partition i of ${partitions} is built with seed + i`).read(first, 'seed')
  const each = { ...rest, seed }
  return { partitions, each, ...resolveBuild(vectors, each) }
}

/** What the classifier's options are judged against must be known before they are read. */
function readTask(options: unknown, rows: number): Task {
  const { bins, graph } = asRecord(options, 'options')
  const { neighbors } = read(graphTable(rows), graph, 'graph.')
  checkGraphSize(rows, neighbors, 'graph.neighbors')
  return {
    dimensions: readDimensions(options),
    bins: binsOf(rows).read(bins, 'bins'),
    neighborsPerRow: neighbors,
    mostSoftLabels: rows - 1
  }
}

/** Who has the last word where that is left to us. */
export const assignmentOf = ({
  assignment,
  partition,
  router
}: Pick<ReadIndexOptions, 'assignment' | 'partition' | 'router'>) => {
  if (assignment !== 'auto') return assignment
  return router === 'classifier' && partition.method === 'kahip' ? 'router-bounded' : 'partition'
}

/** Whether anything is trained: the router, or the regressions of a tree. */
export const isTrained = ({ partition, router }: Pick<ReadIndexOptions, 'partition' | 'router'>) =>
  router === 'classifier' || (router === 'own' && partition.method === 'regression-lsh')

/** Routers that train nothing see the vectors as they are, and are calibrated only. */
const untrained = { hidden: [], input: 'none', softLabels: 0 }

function completeIndex(options: ReadIndexOptions, task: Task): IndexOptions {
  const { partition } = options
  const classifier = isTrained(options) ? options.classifier : read(classifierTable(task), untrained, classifierPrefix)
  const rounds = partition.iterations ?? (partition.method === 'itq' ? itqRotations : kmeansRounds)
  return {
    ...options,
    groups: options.groups === 'auto' ? evenGroups(options.bins) : options.groups,
    partition: { ...partition, iterations: rounds },
    classifier: completeClassifier(classifier, task, classifierPrefix)
  }
}

/** What an engine is told of an index's classifier: its network and how that is trained. */
export const trainingOf = ({ classifier, bins }: IndexOptions) => trainingSettings(classifier, bins, classifierPrefix)

/** The options of the first of two levels, whose bins are the groups. Those of one level are their own. */
export function firstLevelOf(options: IndexOptions): IndexOptions {
  const { groups, classifier } = options
  if (groups === 1) return options
  const monitoredProbes = Math.min(classifier.monitoredProbes, groups)
  return { ...options, bins: groups, groups: 1, classifier: { ...classifier, monitoredProbes } }
}

/** The network that ranks an index's bins. Throws ArgumentError where there can be none. */
export function routerOf(index: IndexOptions): Network {
  const { method } = index.partition
  if (hasRule(method)) {
    const own = networkOf(method, index.bins, index.dimensions)
    if (index.router === 'own') return own
  } else if (index.router === 'own') {
    const right = ruleMethods.map((one) => `'${one}'`).join(' or ')
    throw new ArgumentError('router', `'own' needs a partition.method that ranks bins by itself: ${right}`)
  }
  if (index.groups === 1 || index.router !== 'classifier') return trainingOf(index).network
  const [first, second] = [index.groups, index.bins / index.groups].map(
    (bins) => trainingOf({ ...index, bins }).network
  )
  const network = { ...(first as Network), children: (second as Network).layers }
  checkChildren(network, 'groups')
  return network
}

/** The number of rows can only be known once the number of columns is. */
export const readDimensions = (options: unknown) =>
  dimensions.read(asRecord(options, 'options').dimensions, 'dimensions')

export function resolveKnnGraph(vectors: Float32Array, options: KnnGraphOptions) {
  const rows = checkVectors(vectors, readDimensions(options))
  const table = { dimensions, neighbors: neighbors(rows), metric, method: graphMethod('exact'), seed, ...run }
  const { method, ...resolved } = read(table, options)
  checkGraphSize(rows, resolved.neighbors, 'neighbors')
  const chosen = method === 'auto' ? chooseGraphMethod(rows, resolved.dimensions).value : method
  return { ...resolved, method: chosen }
}

export function resolveSimilarityGraph(knnGraph: KnnGraph, options: RunOptions) {
  checkGraphSize(checkKnnGraph(knnGraph, 'knnGraph'), knnGraph.neighbors, 'knnGraph')
  return read(run, options)
}

export function resolvePartitionGraph(graph: SimilarityGraph, options: PartitionGraphOptions) {
  const rows = checkSimilarityGraph(graph)
  return read({ bins: bins(rows), ...kahip, seed, ...run }, options)
}

export function resolveKmeans(vectors: Float32Array, options: KmeansOptions) {
  const rows = checkVectors(vectors, readDimensions(options))
  return read(
    { dimensions, bins: integer(1, rows, undefined, 'the number of vectors'), iterations, largest, seed, ...run },
    options
  )
}

const outputs = integer(2, largestId)

const trainingTable = (task: Task) => ({ dimensions, bins: outputs, ...classifierTable(task), seed, ...run })

export function resolveTrainClassifier(vectors: Float32Array, options: TrainClassifierOptions) {
  const rows = checkMatrix(vectors, readDimensions(options), 'vectors')
  const { labels, neighbors, initial, ...rest } = asRecord(options, 'options') as unknown as TrainClassifierOptions
  checkArray(labels, 'labels', 'Int32Array')
  checkLength(labels, rows, 'labels', 'the number of vectors')
  if (neighbors !== undefined && checkKnnGraph(neighbors, 'neighbors') !== rows) {
    throw new ArgumentError('neighbors', `must have one row for each of the ${rows} vectors`)
  }
  if (neighbors === undefined && rest.softLabels)
    throw new ArgumentError('softLabels', 'above 0 needs the option neighbors')
  const task = {
    dimensions: rest.dimensions,
    bins: outputs.read(rest.bins, 'bins'),
    neighborsPerRow: neighbors?.neighbors ?? 0
  }
  const resolved = read(trainingTable(task), rest)
  const { engine, threads, signal, onProgress, dimensions, bins, seed, ...classifier } = resolved
  const settings = completeClassifier(classifier, task, '')
  checkTraining(settings, task, rows, '')
  const training = trainingSettings(settings, bins, '')
  const start = initial === undefined ? undefined : checkStart(initial, training.network, dimensions, 'initial')
  return {
    engine,
    run: { threads, signal, onProgress },
    request: { ...training, dimensions, bins, labels, seed, initial: start },
    neighbors
  }
}

export function resolveGroupIntoBins(labels: Int32Array, bins: number, options: RunOptions) {
  checkArray(labels, 'labels', 'Int32Array')
  if (labels.length === 0) throw new ArgumentError('labels', 'must not be empty')
  integer(1, largestId - 1).read(bins, 'bins')
  return read(run, options)
}

export function resolveExactSearch(vectors: Float32Array, queries: Float32Array, options: ExactSearchOptions) {
  const columns = readDimensions(options)
  const rows = checkMatrix(vectors, columns, 'vectors')
  const resolved = read({ dimensions, metric, k: results(rows), ...run }, options)
  checkEntries(checkMatrix(queries, columns, 'queries') * resolved.k, 'k', 'queries x k')
  return resolved
}

export function resolveOpen(options: OpenOptions | undefined) {
  const { engine, threads, signal } = run
  return read({ engine, threads, signal }, options)
}

export function resolveSave(path: string, options: SaveOptions | undefined, rows: number) {
  checkPath(path)
  const { words, ...rest } = asRecord(options, 'options') as SaveOptions
  if (words !== undefined) {
    if (!Array.isArray(words))
      throw new ArgumentError('words', `must be an array of ${rows} strings, but is ${describe(words)}`)
    checkLength(words, rows, 'words', 'the number of vectors')
    const wrong = words.findIndex((word) => typeof word !== 'string')
    if (wrong >= 0)
      throw new ArgumentError('words', `must be strings, but number ${wrong} is ${describe(words[wrong])}`)
  }
  return { ...read({ signal }, rest), words }
}

export function resolveEnsembleSave(folder: string, options: EnsembleSaveOptions | undefined) {
  checkFolder(folder)
  return read({ signal }, options)
}

export const checkPath = (path: unknown) => checkName(path, 'path', 'a file')
export const checkFolder = (path: unknown) => checkName(path, 'folder', 'a folder')

function checkName(path: unknown, argument: string, what: string): void {
  if (typeof path !== 'string' || path === '')
    throw new ArgumentError(argument, `must be the path of ${what}, but is ${describe(path)}`)
}
