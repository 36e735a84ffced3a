/**
 * Every option: its default and its check. This is the only place where options get defaults and where arguments are
 * judged; whatever is behind it may trust them. All errors are ArgumentErrors that name the argument as the caller
 * wrote it and say what would be right.
 */
import { types } from 'node:util'
import type { BuildReport } from './build.js'
import type { KahipMode, KnnGraph, Metric, Probing, SimilarityGraph } from './engines/engine.js'
import { type EngineChoice, engineChoices } from './engines/select.js'
import { ArgumentError } from './errors.js'

// ---------------------------------------------------------------------------------------------- what users write

/** What a long-running call is doing: `done` of `total` in units of the stage's own; `total` is 1 until it is known. */
export interface Progress {
  stage: StageName
  done: number
  total: number
}

export type StageName =
  | 'prepare'
  | 'knn-graph'
  | 'similarity-graph'
  | 'partition'
  | 'classifier'
  | 'bins'
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
  /** Nearest neighbors of each vector in the graph, 1 to n - 1; default min(10, n - 1). */
  neighbors?: number | undefined
  /** 'auto' (default) picks the method by itself; today that is always 'exact'. */
  method?: 'auto' | 'exact' | undefined
}

export interface PartitionOptions {
  method?: 'kahip' | undefined
  /** KaHIP's preconfiguration, default 'fastsocial'. */
  mode?: KahipMode | undefined
  /** Every bin holds at most (1 + imbalance) * ceil(n / bins) vectors; 0 to 1, default 0.03. */
  imbalance?: number | undefined
}

export interface OptimizerOptions {
  type?: 'adam' | undefined
  /** Above 0, default 1e-3. */
  learningRate?: number | undefined
}

export interface ClassifierOptions {
  /** Widths of the hidden layers, 1 to 65536 each, at most 16 of them; default [512]. [] is a linear classifier. */
  hidden?: readonly number[] | undefined
  /** Passes over the vectors, 1 to 100000, default 10. */
  epochs?: number | undefined
  /** Vectors in a mini-batch, from 1; default 512. */
  batchSize?: number | undefined
  optimizer?: OptimizerOptions | undefined
  /** S: train on the histogram over the bins of a vector's S nearest neighbors and of itself; 0: on its own bin only.
   * 0 to the graph's neighbors; default min(10, the graph's neighbors). */
  softLabels?: number | undefined
  /** Share of the vectors that is held out to validate, 0 to 0.5, default 0.05. */
  validationFraction?: number | undefined
}

export interface BuildOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Bins to partition into, 2 to n; default: the power of two nearest to the square root of n. */
  bins?: number | undefined
  /** Default 'euclidean'. */
  metric?: Metric | undefined
  graph?: GraphOptions | undefined
  partition?: PartitionOptions | undefined
  classifier?: ClassifierOptions | undefined
  /** The same seed, options, engine and threads give the same index; 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

/** How many results, and which bins are read for them: either a fixed number of `probes`, or as many as it takes until
 * their probabilities add up to `mass`; not both. Default { mass: 0.95 }. */
export interface SearchOptions {
  /** Results, 1 to n, default min(10, n). */
  k?: number | undefined
  /** Bins to read, 1 to the number of bins. */
  probes?: number | undefined
  /** Probability to reach, above 0, at most 1. */
  mass?: number | undefined
}

export interface SearchBatchOptions extends SearchOptions, Omit<RunOptions, 'engine'> {}

export interface RouteOptions {
  /** Bins to return, 1 to the number of bins; default: all. */
  probes?: number | undefined
}

export interface EvaluateOptions extends Omit<RunOptions, 'engine'> {
  /** Neighbors to find, 1 to n, default min(10, n). */
  k?: number | undefined
  /** queries x w row numbers, w >= k, nearest first; default: found by exact search. */
  truth?: Int32Array | undefined
  /** Points of the curve: numbers of bins to read; default, when `mass` is not given either: 1, 2, 4 … at most 32. */
  probes?: readonly number[] | undefined
  /** Points of the curve: probabilities to reach. */
  mass?: readonly number[] | undefined
}

export interface SaveOptions {
  signal?: AbortSignal | undefined
  /** n words (or names) of the rows, kept in the file; default: the index's own. */
  words?: readonly string[] | undefined
}

export interface OpenOptions extends Omit<RunOptions, 'onProgress'> {}

export interface KnnGraphOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Neighbors of each vector, 1 to n - 1; default min(10, n - 1). */
  neighbors?: number | undefined
  /** Default 'euclidean'. */
  metric?: Metric | undefined
}

export interface PartitionGraphOptions extends RunOptions {
  /** Bins to partition into, 2 to n. */
  bins: number
  /** KaHIP's preconfiguration, default 'fastsocial'. */
  mode?: KahipMode | undefined
  /** Every bin holds at most (1 + imbalance) * ceil(n / bins) vectors; 0 to 1, default 0.03. */
  imbalance?: number | undefined
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
  /** Weights to start from, flat as in `Classifier.parameters`; default: drawn from the seed. */
  initialParameters?: Float32Array | undefined
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

// -------------------------------------------------------------------------------------------- tables, and reading

/** One option: what is right, how that is told from what is wrong, and what holds when nothing is said. */
class Field<T> {
  constructor(
    private readonly expected: string,
    private readonly accepts: (value: unknown) => boolean,
    private readonly fallback?: T
  ) {}

  read(value: unknown, name: string): T {
    if (value === undefined && this.fallback !== undefined) return this.fallback
    if (value === undefined) throw new ArgumentError(name, `is required: ${this.expected}`)
    if (!this.accepts(value)) throw new ArgumentError(name, `must be ${this.expected}, but is ${describe(value)}`)
    return (Array.isArray(value) ? Object.freeze([...value]) : value) as T
  }
}

class OptionalField<T> extends Field<T | undefined> {
  override read(value: unknown, name: string): T | undefined {
    return value === undefined ? undefined : super.read(value, name)
  }
}

interface Table {
  readonly [name: string]: Field<unknown> | Table
}

type Resolved<T extends Table> = {
  -readonly [K in keyof T]: T[K] extends Field<infer V> ? V : T[K] extends Table ? Resolved<T[K]> : never
}

const isNumber = (value: unknown): value is number => typeof value === 'number'

const isIntegerWithin = (low: number, high: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= low && (value as number) <= high

const isMass = (value: unknown) => isNumber(value) && value > 0 && value <= 1

const integer = (low: number, high: number, fallback?: number, why = '') =>
  new Field<number>(`an integer from ${low} to ${high}${why && ` (${why})`}`, isIntegerWithin(low, high), fallback)

const real = (low: number, high: number, fallback: number) =>
  new Field<number>(
    `a number from ${low} to ${high}`,
    (value) => isNumber(value) && value >= low && value <= high,
    fallback
  )

const oneOf = <T extends string>(names: readonly T[], fallback: T) =>
  new Field<T>(names.map((name) => `'${name}'`).join(' or '), (value) => names.includes(value as T), fallback)

const optional = <T>(expected: string, accepts: (value: unknown) => boolean) => new OptionalField<T>(expected, accepts)

const listOf = (expected: string, accepts: (value: unknown) => boolean) =>
  optional<readonly number[]>(expected, (value) => Array.isArray(value) && value.length > 0 && value.every(accepts))

const largestId = 2 ** 31 - 1
const metrics = ['euclidean', 'cosine', 'inner-product'] as const
const modes = ['fast', 'eco', 'strong', 'fastsocial', 'ecosocial', 'strongsocial'] as const

const dimensions = integer(1, 65536)
const metric = oneOf<Metric>(metrics, 'euclidean')
const seed = integer(0, largestId, 1)
const threads = integer(0, 1024, 0)
const signal = optional<AbortSignal>('an AbortSignal', (value) => value instanceof AbortSignal)
const onProgress = optional<(progress: Progress) => void>('a function', (value) => typeof value === 'function')
const searchRun = { threads, signal, onProgress }
const run = { engine: oneOf<EngineChoice>(engineChoices, 'auto'), ...searchRun }

const neighbors = (rows: number) => integer(1, rows - 1, Math.min(10, rows - 1), 'one less than the number of vectors')

const bins = (rows: number, fallback?: number) => integer(2, rows, fallback, 'the number of vectors')

const partition = {
  mode: oneOf<KahipMode>(modes, 'fastsocial'),
  imbalance: real(0, 1, 0.03)
}

const classifier = (neighborsPerRow: number) => ({
  hidden: new Field<readonly number[]>(
    'an array of at most 16 integers from 1 to 65536',
    (value) => Array.isArray(value) && value.length <= 16 && value.every(isIntegerWithin(1, 65536)),
    [512]
  ),
  epochs: integer(1, 100_000, 10),
  batchSize: integer(1, largestId, 512),
  optimizer: {
    type: oneOf(['adam'] as const, 'adam'),
    learningRate: new Field<number>(
      'a finite number above 0',
      (value) => isNumber(value) && value > 0 && Number.isFinite(value),
      1e-3
    )
  },
  softLabels: integer(0, neighborsPerRow, Math.min(10, neighborsPerRow), 'the neighbors of each vector in the graph'),
  validationFraction: real(0, 0.5, 0.05)
})

const results = (rows: number) => integer(1, rows, Math.min(10, rows), 'the number of vectors')

/** Reads `values` by `table`: every option is there afterwards, and nothing else. */
function read<T extends Table>(table: T, values: unknown, prefix = ''): Resolved<T> {
  const given = asRecord(values, prefix.slice(0, -1) || 'options')
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(table, key)) throw unknownOption(prefix, key, Object.keys(table))
  }
  const entries = Object.entries(table).map(([key, entry]) => [
    key,
    entry instanceof Field ? entry.read(given[key], prefix + key) : read(entry, given[key], `${prefix}${key}.`)
  ])
  return Object.fromEntries(entries) as Resolved<T>
}

function asRecord(values: unknown, name: string): Record<string, unknown> {
  if (values === undefined) return {}
  if (typeof values !== 'object' || values === null || Array.isArray(values) || ArrayBuffer.isView(values)) {
    throw new ArgumentError(name, `must be an object, but is ${describe(values)}`)
  }
  return values as Record<string, unknown>
}

function unknownOption(prefix: string, key: string, known: string[]): ArgumentError {
  const meant = closest(key, known)
  const help = meant === undefined ? `there are ${known.join(', ')}` : `did you mean ${prefix}${meant}?`
  return new ArgumentError(prefix + key, `is not an option; ${help}`)
}

/** The name that `word` is most likely a misspelling of, if any: at most a third of its letters differ. */
export function closest(word: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => ({ name, distance: editDistance(word.toLowerCase(), name.toLowerCase()) }))
  const best = distances.sort((a, b) => a.distance - b.distance)[0]
  return best && best.distance <= Math.ceil(word.length / 3) ? best.name : undefined
}

/** Levenshtein's distance, one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 0; j < b.length; ++j) {
      const [diagonal, above, left] = [row[j], row[j + 1], next[j]] as [number, number, number]
      next.push(Math.min(above + 1, left + 1, diagonal + (letter === b[j] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] as number
}

/** A value in a few words, for messages. */
function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (Array.isArray(value))
    return value.length > 8 ? `an array of ${value.length}` : `[${value.map(describe).join(', ')}]`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) {
    const name: unknown = value.constructor?.name
    return name === undefined || name === 'Object' ? 'an object' : `of type ${String(name)}`
  }
  return typeof value === 'bigint' ? `${value}n` : String(value)
}

// ------------------------------------------------------------------------------------------------ arrays of numbers

type ArrayKind = 'Float32Array' | 'Int32Array'

const isOfKind = { Float32Array: types.isFloat32Array, Int32Array: types.isInt32Array }

/** Judges an array that native code will read in place while JavaScript goes on: it must not move or shrink. */
function checkArray(value: unknown, name: string, kind: ArrayKind): void {
  if (!isOfKind[kind](value)) {
    throw new ArgumentError(name, `must be a ${kind}, but is ${describeArray(value)}: ${conversion(value, kind)}`)
  }
  const { buffer } = value
  if (types.isSharedArrayBuffer(buffer)) {
    throw new ArgumentError(
      name,
      `must not lie in a SharedArrayBuffer, where others can change it meanwhile: pass a copy, new ${kind}(${name})`
    )
  }
  if (isDetached(buffer)) {
    throw new ArgumentError(
      name,
      'its buffer is detached (it was transferred): pass an array that still holds its numbers'
    )
  }
  if ((buffer as ArrayBuffer & { resizable?: boolean }).resizable === true) {
    throw new ArgumentError(name, `must not lie in a resizable ArrayBuffer: pass a copy, new ${kind}(${name})`)
  }
}

/** `ArrayBuffer.prototype.detached` came with node 22; no view can be put on a detached buffer in any version. */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

function describeArray(value: unknown): string {
  if (Buffer.isBuffer(value)) return 'a Buffer'
  if (!Array.isArray(value)) return describe(value)
  return Array.isArray(value[0]) || ArrayBuffer.isView(value[0])
    ? 'an array of arrays'
    : `an array of ${value.length} values`
}

function conversion(value: unknown, kind: ArrayKind): string {
  if (Buffer.isBuffer(value)) return `new ${kind}(b.buffer, b.byteOffset, b.byteLength / 4) is a view of the Buffer b`
  if (Array.isArray(value) && typeof value[0] === 'object')
    return `${kind}.from(rows.flatMap((row) => [...row])), row after row`
  return `${kind}.from(values) makes one`
}

/** Judges a matrix, row after row in a Float32Array; returns its number of rows. */
function checkMatrix(value: unknown, columns: number, name: string): number {
  checkArray(value, name, 'Float32Array')
  const { length } = value as Float32Array
  if (length === 0 || length % columns !== 0) {
    throw new ArgumentError(name, `its length must be a positive multiple of dimensions = ${columns}, but is ${length}`)
  }
  const rows = length / columns
  if (rows > largestId) throw new ArgumentError(name, `must have at most ${largestId} rows, but has ${rows}`)
  return rows
}

function checkVectors(value: unknown, columns: number): number {
  const rows = checkMatrix(value, columns, 'vectors')
  if (rows < 2) throw new ArgumentError('vectors', 'must have at least 2 rows, but has 1')
  return rows
}

function checkLength(array: { length: number }, expected: number, name: string, formula: string): void {
  if (array.length !== expected) {
    throw new ArgumentError(name, `its length must be ${formula} = ${expected}, but is ${array.length}`)
  }
}

/** Results are addressed with 31 bits. */
function checkEntries(entries: number, name: string, formula: string): void {
  if (entries > largestId)
    throw new ArgumentError(name, `${formula} must be below 2^31, but is ${entries}: use less of either`)
}

/** A graph stores each of n x neighbors edges in both directions and KaHIP counts them with 31 bits. */
function checkGraphSize(rows: number, neighborsPerRow: number, name: string): void {
  if (2 * rows * neighborsPerRow > largestId) {
    const most = Math.floor(largestId / (2 * rows))
    throw new ArgumentError(name, `2 x vectors x neighbors must be below 2^31: at most ${most} for ${rows} vectors`)
  }
}

// ----------------------------------------------------------------------------------------------- one reader a call

/** How a long-running call is run, resolved. */
export type Run = Resolved<typeof searchRun>

const graphTable = (rows: number) => ({
  neighbors: neighbors(rows),
  method: oneOf<'auto' | 'exact'>(['auto', 'exact'], 'auto')
})

/** What decides which index is built, for n = `rows`. */
const indexTable = (rows: number, neighborsPerRow: number) => ({
  dimensions,
  bins: bins(rows, Math.max(2, 2 ** Math.round(Math.log2(rows) / 2))),
  metric,
  graph: graphTable(rows),
  partition: { method: oneOf<'kahip'>(['kahip'], 'kahip'), ...partition },
  classifier: classifier(neighborsPerRow),
  seed
})

/** Every build option but how the build is run: what an index file keeps. `graph.method` is the one that was taken. */
export type IndexOptions = Resolved<ReturnType<typeof indexTable>>

/** Resolves what decides which index is built, for n = `rows`. */
export function resolveIndexOptions(options: unknown, rows: number): IndexOptions {
  const { neighbors } = read(graphTable(rows), asRecord(options, 'options').graph, 'graph.')
  checkGraphSize(rows, neighbors, 'graph.neighbors')
  return takeMethod(read(indexTable(rows, neighbors), options))
}

export function resolveBuild(vectors: Float32Array, options: BuildOptions) {
  const rows = checkVectors(vectors, readDimensions(options))
  const { neighbors } = read(graphTable(rows), asRecord(options, 'options').graph, 'graph.')
  checkGraphSize(rows, neighbors, 'graph.neighbors')
  const { engine, threads, signal, onProgress, ...index } = read({ ...indexTable(rows, neighbors), ...run }, options)
  return { engine, run: { threads, signal, onProgress }, index: takeMethod(index) }
}

/** 'auto' is 'exact' today. */
const takeMethod = (options: IndexOptions): IndexOptions => ({
  ...options,
  graph: { ...options.graph, method: 'exact' }
})

/** The number of rows can only be known once the number of columns is. */
const readDimensions = (options: unknown) => dimensions.read(asRecord(options, 'options').dimensions, 'dimensions')

export function resolveKnnGraph(vectors: Float32Array, options: KnnGraphOptions) {
  const rows = checkVectors(vectors, readDimensions(options))
  const resolved = read({ dimensions, neighbors: neighbors(rows), metric, ...run }, options)
  checkGraphSize(rows, resolved.neighbors, 'neighbors')
  return resolved
}

export function resolveSimilarityGraph(knnGraph: KnnGraph, options: RunOptions) {
  checkGraphSize(checkKnnGraph(knnGraph, 'knnGraph'), knnGraph.neighbors, 'knnGraph')
  return read(run, options)
}

export function resolvePartitionGraph(graph: SimilarityGraph, options: PartitionGraphOptions) {
  const rows = checkSimilarityGraph(graph)
  return read({ bins: bins(rows), ...partition, seed, ...run }, options)
}

export function resolveTrainClassifier(vectors: Float32Array, options: TrainClassifierOptions) {
  const rows = checkMatrix(vectors, readDimensions(options), 'vectors')
  const { labels, neighbors, initialParameters, ...rest } = asRecord(
    options,
    'options'
  ) as unknown as TrainClassifierOptions
  checkArray(labels, 'labels', 'Int32Array')
  checkLength(labels, rows, 'labels', 'the number of vectors')
  if (neighbors !== undefined && checkKnnGraph(neighbors, 'neighbors') !== rows) {
    throw new ArgumentError('neighbors', `must have one row for each of the ${rows} vectors`)
  }
  if (neighbors === undefined && rest.softLabels)
    throw new ArgumentError('softLabels', 'above 0 needs the option neighbors')
  const outputs = integer(2, largestId)
  const table = { dimensions, bins: outputs, ...classifier(neighbors?.neighbors ?? 0), seed, ...run }
  const resolved = read(table, rest)
  if (initialParameters !== undefined) {
    const widths = [resolved.dimensions, ...resolved.hidden, resolved.bins]
    checkArray(initialParameters, 'initialParameters', 'Float32Array')
    checkLength(initialParameters, parameterCount(widths), 'initialParameters', 'the number of weights and biases')
  }
  return { ...resolved, labels, neighbors, initialParameters }
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

/** What a query and its options are judged against. */
export interface Shape {
  size: number
  dimensions: number
  bins: number
  metric: Metric
}

const searchTable = ({ size, bins }: Shape) => ({
  k: results(size),
  probes: optional<number>(`an integer from 1 to ${bins} (the number of bins)`, isIntegerWithin(1, bins)),
  mass: optional<number>('a number above 0, at most 1', isMass)
})

/** The options of an index's searches, with the tables made once: a search is too short for that. */
export class SearchArguments {
  private readonly search
  private readonly batch
  private readonly routing
  private readonly evaluation

  constructor(private readonly shape: Shape) {
    const { size, bins } = shape
    this.search = searchTable(shape)
    this.batch = { ...this.search, ...searchRun }
    this.routing = { probes: integer(1, bins, bins, 'the number of bins') }
    this.evaluation = {
      k: results(size),
      probes: listOf(`an array of integers from 1 to ${bins} (the number of bins)`, isIntegerWithin(1, bins)),
      mass: listOf('an array of numbers above 0, at most 1', isMass),
      ...searchRun
    }
  }

  forSearch(query: Float32Array, options: SearchOptions | undefined) {
    this.checkQuery(query)
    const { k, probes, mass } = read(this.search, options)
    return { k, probing: toProbing(probes, mass) }
  }

  forBatch(queries: Float32Array, options: SearchBatchOptions | undefined) {
    const count = checkMatrix(queries, this.shape.dimensions, 'queries')
    const { k, probes, mass, ...run } = read(this.batch, options)
    checkEntries(count * k, 'k', 'queries x k')
    return { k, probing: toProbing(probes, mass), run }
  }

  forRoute(query: Float32Array, options: RouteOptions | undefined) {
    this.checkQuery(query)
    return read(this.routing, options)
  }

  forEvaluate(queries: Float32Array, options: EvaluateOptions | undefined) {
    const count = checkMatrix(queries, this.shape.dimensions, 'queries')
    const { truth, ...rest } = asRecord(options, 'options') as EvaluateOptions
    const { k, probes, mass, ...run } = read(this.evaluation, rest)
    checkEntries(count * k, 'k', 'queries x k')
    if (truth !== undefined) checkTruth(truth, count, k)
    const points = probes ?? (mass ? [] : [1, 2, 4, 8, 16, 32].filter((one) => one <= this.shape.bins))
    return { request: { k, truth, probes: points, mass: mass ?? [] }, run }
  }

  checkId(id: number): void {
    integer(0, this.shape.size - 1).read(id, 'id')
  }

  private checkQuery(query: Float32Array): void {
    const { dimensions, metric } = this.shape
    checkArray(query, 'query', 'Float32Array')
    checkLength(query, dimensions, 'query', "the index's dimensions")
    const wrong = query.findIndex((value) => !Number.isFinite(value))
    if (wrong >= 0)
      throw new ArgumentError('query', `its numbers must be finite, but number ${wrong} is ${query[wrong]}`)
    if (metric === 'cosine' && query.every((value) => value === 0)) {
      throw new ArgumentError('query', 'must not be all zeros: the cosine of a vector without a direction is undefined')
    }
  }
}

function toProbing(probes: number | undefined, mass: number | undefined): Probing {
  if (probes === undefined) return { mass: mass ?? 0.95 }
  if (mass !== undefined) throw new ArgumentError('mass', 'cannot be given together with probes: choose one of them')
  return { probes }
}

function checkTruth(truth: unknown, queries: number, k: number): void {
  checkArray(truth, 'truth', 'Int32Array')
  const { length } = truth as Int32Array
  if (length % queries !== 0 || length < queries * k) {
    const right = `a row of at least k = ${k} ids for each of the ${queries} queries`
    throw new ArgumentError('truth', `must hold ${right}, but its length is ${length}`)
  }
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

export function checkPath(path: unknown): void {
  if (typeof path !== 'string' || path === '') {
    throw new ArgumentError('path', `must be the path of a file, but is ${describe(path)}`)
  }
}

/** Judges what an index file says of how the index was built, and brings back what JSON has no word for. */
export function readBuildReport(report: unknown): BuildReport {
  const { edgeCut, balance, history } = read(reportTable, report, 'report.')
  const epochs = history.map((epoch, i) => read(epochTable, epoch, `report.history[${i}].`))
  return {
    stages: [],
    edgeCut,
    balance,
    history: epochs.map((epoch) => ({
      ...epoch,
      validationLoss: epoch.validationLoss ?? Number.NaN,
      validationAccuracy: epoch.validationAccuracy ?? Number.NaN
    }))
  }
}

const figure = new Field<number>('a number', Number.isFinite)
const figureOrNull = new Field<number | null>('a number or null', (value) => value === null || Number.isFinite(value))
const reportTable = {
  edgeCut: figure,
  balance: figure,
  history: new Field<readonly unknown[]>('an array', Array.isArray)
}
const epochTable = {
  epoch: figure,
  trainingLoss: figure,
  trainingAccuracy: figure,
  validationLoss: figureOrNull,
  validationAccuracy: figureOrNull
}

/** Judges the shape of a k-NN graph (the engine judges its ids); returns its number of rows. */
function checkKnnGraph(graph: KnnGraph, name: string): number {
  const { neighbors, ids, distances } = asRecord(graph ?? null, name)
  integer(1, largestId).read(neighbors, `${name}.neighbors`)
  checkArray(ids, `${name}.ids`, 'Int32Array')
  checkArray(distances, `${name}.distances`, 'Float32Array')
  const { length } = ids as Int32Array
  if (length === 0 || length % (neighbors as number) !== 0) {
    throw new ArgumentError(
      `${name}.ids`,
      `its length must be a positive multiple of neighbors = ${neighbors}, but is ${length}`
    )
  }
  checkLength(distances as Float32Array, length, `${name}.distances`, "the ids' length")
  return length / (neighbors as number)
}

/** Judges the shape of a similarity graph (the engine judges its edges); returns its number of points. */
function checkSimilarityGraph(graph: SimilarityGraph): number {
  const { xadj, adjncy, adjcwgt } = asRecord(graph ?? null, 'graph') as Partial<SimilarityGraph>
  checkArray(xadj, 'xadj', 'Int32Array')
  checkArray(adjncy, 'adjncy', 'Int32Array')
  checkArray(adjcwgt, 'adjcwgt', 'Int32Array')
  const rows = (xadj as Int32Array).length - 1
  if (rows < 2)
    throw new ArgumentError('xadj', `its length must be the number of points + 1, at least 3, but is ${rows + 1}`)
  checkLength(adjcwgt as Int32Array, (adjncy as Int32Array).length, 'adjcwgt', "adjncy's length")
  return rows
}

/** Multiply-adds of one pass through a network with these widths. */
export const multiplyAdds = (widths: readonly number[]) =>
  widths.slice(1).reduce((sum, width, layer) => sum + width * (widths[layer] as number), 0)

/** Weights and biases of a network with these widths. */
const parameterCount = (widths: readonly number[]) =>
  widths.slice(1).reduce((sum, width) => sum + width, multiplyAdds(widths))
