import { type BuildReport, buildIndex } from './build.js'
import { readBuildReport, readRecallCurve } from './checks/build-report.js'
import { Closable } from './closable.js'
import type {
  Engine,
  Metric,
  RadiusBatchResult,
  RecallCurve,
  SearchBatchResult,
  Searcher,
  SearchResult,
  SearchState
} from './engines/engine.js'
import { selectEngine } from './engines/select.js'
import { ArgumentError, FileError } from './errors.js'
import { type Evaluation, evaluate } from './evaluation/evaluate.js'
import { readIndexFile, writeIndexFile } from './formats/index-file.js'
import { runJob } from './job.js'
import {
  type BuildOptions,
  checkPath,
  type EvaluateOptions,
  type IndexOptions,
  type OpenOptions,
  type RadiusBatchOptions,
  type RadiusOptions,
  type RouteOptions,
  resolveBuild,
  resolveIndexOptions,
  resolveOpen,
  resolveSave,
  routerOf,
  type SaveOptions,
  type SearchBatchOptions,
  type SearchOptions
} from './options.js'
import { SearchArguments } from './search-arguments.js'

/** One row a query. */
export interface BatchResult extends SearchBatchResult {
  /** Results of each query. */
  k: number
}

export interface Route {
  /** Bins, most probable first. */
  bins: Int32Array<ArrayBuffer>
  /** What the classifier thinks of each of them; over all bins they add up to 1. */
  probabilities: Float32Array<ArrayBuffer>
}

/** As many results as there are. */
export interface RadiusResult {
  /** Row numbers of the array that was given to build, nearest first, ties by smaller number. */
  ids: Int32Array<ArrayBuffer>
  /** Squared Euclidean, 1 - cosine, or negated inner product: none above the radius. */
  distances: Float32Array<ArrayBuffer>
  /** Vectors that were compared with the query. */
  candidates: number
  /** Bins that were read. */
  probes: number
}

interface Contents {
  engine: Engine
  searcher: Searcher
  state: SearchState
  curve: RecallCurve
}

/**
 * An approximate nearest-neighbor index that learned how to partition its vectors (Dong, Indyk, Razenshteyn & Wagner,
 * "Learning Space Partitions for Nearest Neighbor Search", ICLR 2020).
 *
 * Wrong arguments give an ArgumentError; asynchronous methods reject with it and never throw. An array that is passed
 * to an asynchronous method is read in place: do not change or transfer it until the promise settles.
 */
export class NeuralLSH {
  /** Number of vectors. */
  readonly size: number
  /** Numbers in a vector. */
  readonly dimensions: number
  /** Number of bins, the empty ones included. */
  readonly bins: number
  readonly metric: Metric
  /** Name of the engine that computes. */
  readonly engine: Engine['name']
  /** How the index was built: every option with its value. */
  readonly options: IndexOptions
  /** What happened when it was built. */
  readonly report: BuildReport
  /** The rows' words, when the file that the index was opened from holds them. */
  readonly words: readonly string[] | undefined

  readonly #arguments: SearchArguments
  readonly #contents: Closable<Contents>

  private constructor(contents: Contents, options: IndexOptions, report: BuildReport, words?: readonly string[]) {
    const { engine, state, curve } = contents
    this.#contents = new Closable(contents, ({ searcher }) => searcher.close())
    this.size = state.bins.ids.length
    this.dimensions = state.dimensions
    this.bins = state.bins.offsets.length - 1
    this.metric = state.metric
    this.engine = engine.name
    this.options = options
    this.report = report
    this.words = words
    this.#arguments = new SearchArguments(this, curve)
  }

  /**
   * Builds an index of n vectors: the k-NN graph, its partition into bins, the classifier that finds a query's bins.
   *
   * @param vectors n x dimensions finite numbers, row after row, n >= 2; read in place until the promise settles.
   */
  static async build(vectors: Float32Array, options: BuildOptions): Promise<NeuralLSH> {
    const { engine: choice, run, index } = resolveBuild(vectors, options)
    const engine = selectEngine(choice)
    return runJob(run, async ({ stage }) => {
      const { options, report, ...built } = await buildIndex(engine, vectors, index, stage)
      return new NeuralLSH({ engine, ...built }, options, report)
    })
  }

  /** Opens a file that `save` wrote; rejects with FileError when it is not one, is damaged, or cannot be read. */
  static async open(path: string, options?: OpenOptions): Promise<NeuralLSH> {
    checkPath(path)
    const { engine: choice, ...run } = resolveOpen(options)
    const engine = selectEngine(choice)
    return runJob({ ...run, onProgress: undefined }, async ({ threads, signal }) => {
      const { state, description, words } = await readIndexFile(path, { signal })
      try {
        const searcher = await engine.openSearcher(state, { threads, signal })
        const index = resolveIndexOptions(description.options, state.bins.ids.length)
        checkAgreement(index, state)
        const report = readBuildReport(description.report)
        const curve = readRecallCurve(description.curve)
        return new NeuralLSH({ engine, searcher, state, curve }, index, report, words)
      } catch (error) {
        throw error instanceof ArgumentError ? new FileError(path, error.message, undefined, { cause: error }) : error
      }
    })
  }

  /** The k nearest vectors among the candidates in the query's most probable bins. `query`: dimensions numbers. */
  async search(query: Float32Array, options?: SearchOptions): Promise<SearchResult> {
    const request = this.#arguments.forSearch(query, options)
    return this.#contents.use(({ searcher }) => searcher.search(query, request))
  }

  /** As `search`, at once, on the calling thread. */
  searchSync(query: Float32Array, options?: SearchOptions): SearchResult {
    return this.#contents.get().searcher.searchSync(query, this.#arguments.forSearch(query, options))
  }

  /** As `search`, for q x dimensions numbers, row after row; on all threads. */
  async searchBatch(queries: Float32Array, options?: SearchBatchOptions): Promise<BatchResult> {
    const { request, run } = this.#arguments.forBatch(queries, options)
    const result = await this.#contents.use(({ searcher }) =>
      runJob(run, ({ stage }) => stage('search', (job) => searcher.searchBatch(queries, request, job)))
    )
    return { k: request.k, ...result }
  }

  /** All vectors within `radius` of the query among the candidates in its most probable bins. The radius is in the
   * metric's own distance, which for 'euclidean' is the SQUARED Euclidean distance. */
  async searchRadius(query: Float32Array, options: RadiusOptions): Promise<RadiusResult> {
    const request = this.#arguments.forRadius(query, options)
    const found = await this.#contents.use(({ searcher }) =>
      searcher.searchRadius(query, request, 'query', { threads: 1 })
    )
    const { ids, distances, candidates, probes } = found
    return { ids, distances, candidates: candidates[0] as number, probes: probes[0] as number }
  }

  /** As `searchRadius`, for q x dimensions numbers, row after row; on all threads. */
  async searchRadiusBatch(queries: Float32Array, options: RadiusBatchOptions): Promise<RadiusBatchResult> {
    const { request, run } = this.#arguments.forRadiusBatch(queries, options)
    return this.#contents.use(({ searcher }) =>
      runJob(run, ({ stage }) => stage('search', (job) => searcher.searchRadius(queries, request, 'queries', job)))
    )
  }

  /** The bins where the query's neighbors most probably are: what a sharded system needs to know. */
  async route(query: Float32Array, options?: RouteOptions): Promise<Route> {
    const { probes } = this.#arguments.forRoute(query, options)
    return this.#contents.use(({ searcher }) => searcher.route(query, probes, { threads: 1 }))
  }

  /** A copy of the vector in row `id` of the array that was given to build; of unit length for cosine. */
  vector(id: number): Float32Array<ArrayBuffer> {
    this.#arguments.checkId(id)
    const { bins, vectors } = this.#contents.get().state
    const start = bins.ids.indexOf(id) * this.dimensions
    return Float32Array.from(vectors.subarray(start, start + this.dimensions))
  }

  /** Measures accuracy, recall, candidates and speed over q x dimensions query numbers, for several probings. */
  async evaluate(queries: Float32Array, options?: EvaluateOptions): Promise<Evaluation> {
    const { request, run } = this.#arguments.forEvaluate(queries, options)
    return this.#contents.use((contents) =>
      runJob(run, ({ threads, signal, onProgress }) =>
        evaluate(contents, queries, { ...request, threads, signal, onProgress })
      )
    )
  }

  /** Writes the index to a file, which appears whole or not at all. The same index gives the same bytes. */
  async save(path: string, options?: SaveOptions): Promise<void> {
    const { signal, words = this.words } = resolveSave(path, options, this.size)
    const { stages, ...report } = this.report
    return this.#contents.use(({ state, curve }) => {
      const description = { options: this.options, report, curve }
      return runJob({ threads: 0, signal, onProgress: undefined }, (job) =>
        writeIndexFile(path, { state, description, words }, { signal: job.signal })
      )
    })
  }

  /** Lets go of the memory once the calls that are running have finished; later ones get a ClosedError. */
  close(): void {
    this.#contents.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** What a file says of the index must be what the index is. */
function checkAgreement(options: IndexOptions, state: SearchState): void {
  const found = { metric: state.metric, dimensions: state.dimensions, bins: state.bins.offsets.length - 1 }
  for (const name of Object.keys(found) as (keyof typeof found)[]) {
    if (options[name] === found[name]) continue
    throw new ArgumentError(`options.${name}`, `the options say ${options[name]}, but the index has ${found[name]}`)
  }
  if (JSON.stringify(routerOf(options)) === JSON.stringify(state.classifier.network)) return
  throw new ArgumentError('options.classifier', 'the options describe another network than the index has')
}
