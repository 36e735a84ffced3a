/**
 * Every option: its default and its check (the classifier's are in classifier/options.ts, what all searches share in
 * search-options.ts, what a search asks for is judged in search-arguments.ts). Only there do options get defaults and are arguments judged; whatever is behind them may trust
 * them. All errors are ArgumentErrors that name the argument as the caller wrote it and say what would be right.
 */

import { hasRule, networkOf, ruleMethods } from './baselines/rules.js'
import { checkArray, checkEntries, checkLength, checkMatrix, checkVectors, largestId } from './checks/arrays.js'
import {
  asRecord,
  describe,
  Field,
  integer,
  isIntegerWithin,
  Optional,
  oneOf,
  type Resolved,
  read,
  real
} from './checks/fields.js'
import { checkGraphSize, checkKnnGraph, checkSimilarityGraph } from './checks/graphs.js'
import { checkStart } from './checks/starting-point.js'
import { chooseGraphMethod } from './choices.js'
import { checkChildren, type Network } from './classifier/network.js'
import {
  type ClassifierSettings,
  checkTraining,
  classifierTable,
  completeClassifier,
  type Task,
  trainingSettings
} from './classifier/options.js'
import type {
  GraphMethod,
  GraphPrecision,
  KahipMode,
  KnnGraph,
  Metric,
  ScanType,
  SimilarityGraph
} from './engines/engine.js'
import { type EngineChoice, engineChoices } from './engines/select.js'
import { ArgumentError } from './errors.js'
import { method, withMethod } from './methods.js'
import type {
  Assignment,
  BuildOptions,
  EnsembleBuildOptions,
  EnsembleSaveOptions,
  ExactSearchOptions,
  KmeansOptions,
  KnnGraphOptions,
  OpenOptions,
  PartitionGraphOptions,
  PartitionMethod,
  RouterType,
  RunOptions,
  SaveOptions,
  TrainClassifierOptions
} from './option-types.js'
import { results, searchRun } from './search-options.js'

export type * from './option-types.js'

// ---------------------------------------------------------------------------------------------------- the tables

const metrics = ['euclidean', 'cosine', 'inner-product'] as const
const modes = ['fast', 'eco', 'strong', 'fastsocial', 'ecosocial', 'strongsocial'] as const

const dimensions = integer(1, 65536)
const metric = oneOf<Metric>(metrics, 'euclidean')
export const seed = integer(0, largestId, 1)
const { signal } = searchRun
const computer = { engine: oneOf<EngineChoice>(engineChoices, 'auto'), device: integer(0, 255, 0) }
const run = { ...computer, ...searchRun }

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

// ----------------------------------------------------------------------------------------------- one reader a call

const graphMethod = (fallback: GraphMethod | 'auto') =>
  oneOf<GraphMethod | 'auto'>(['auto', 'exact', 'approximate'], fallback)

const graphPrecision = oneOf<GraphPrecision>(['fp32', 'tf32', 'bf16', 'fp16'], 'fp16')

/** More neighbors make a better partition (docs/what-helps.md) as long as they are few beside all vectors, and take KaHIP
 * minutes where these are many. */
const graphNeighbors = (rows: number) => (rows > 250_000 ? 20 : Math.min(50, Math.max(10, Math.floor(Math.sqrt(rows)))))

const graphTable = (rows: number) => ({
  neighbors: neighbors(rows, graphNeighbors(rows)),
  method: graphMethod('auto'),
  precision: graphPrecision
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
  const { engine, device, threads, signal, onProgress, ...given } = read({ ...indexTable(rows, task), ...run }, asked)
  const index = completeIndex(given, task)
  if (!isTrained(index) && options.classifier !== undefined)
    throw new ArgumentError('classifier', `cannot be given together with router '${index.router}', which trains none`)
  if (index.router !== 'classifier' && assignmentOf(index) !== 'partition')
    throw new ArgumentError('assignment', `must be 'partition' with router '${index.router}', which is not trained`)
  checkGroups(index)
  checkGraphSize(rows, index.classifier.softLabels, 'classifier.softLabels')
  checkTraining(index.classifier, task, rows, classifierPrefix)
  routerOf(index)
  return { engine, device, run: { threads, signal, onProgress }, index }
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
  const graph = { neighbors: neighbors(rows), method: graphMethod('exact'), precision: graphPrecision }
  const table = { dimensions, metric, ...graph, seed, ...run }
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
  const { engine, device, threads, signal, onProgress, dimensions, bins, seed, ...classifier } = resolved
  const settings = completeClassifier(classifier, task, '')
  checkTraining(settings, task, rows, '')
  const training = trainingSettings(settings, bins, '')
  const start = initial === undefined ? undefined : checkStart(initial, training.network, dimensions, 'initial')
  return {
    engine,
    device,
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
  const { threads, signal } = run
  return read({ ...computer, threads, signal }, options)
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
