/** What an index answers, wherever it came from and whoever computes: nothing here needs Node.js. */
import { Closable } from './closable.js'
import type {
  Metric,
  RadiusBatchResult,
  RecallCurve,
  SearchBatchResult,
  Searcher,
  SearchResult,
  SearchState
} from './engines/engine.js'
import { runJob } from './job.js'
import type {
  RadiusBatchOptions,
  RadiusOptions,
  RouteOptions,
  SearchBatchOptions,
  SearchOptions
} from './option-types.js'
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

/** What an index holds. */
export interface Contents {
  searcher: Searcher
  state: SearchState
  curve: RecallCurve
}

/**
 * An index that is open: its searches, its routes and its vectors.
 *
 * Wrong arguments give an ArgumentError; asynchronous methods reject with it and never throw. An array that is passed
 * to an asynchronous method is read in place: do not change or transfer it until the promise settles.
 */
export class SearchableIndex {
  /** Number of vectors. */
  readonly size: number
  /** Numbers in a vector. */
  readonly dimensions: number
  /** Number of bins, the empty ones included. */
  readonly bins: number
  readonly metric: Metric
  /** The rows' words, when the file that the index was opened from holds them. */
  readonly words: readonly string[] | undefined

  readonly #arguments: SearchArguments
  readonly #contents: Closable<Contents>

  constructor(contents: Contents, words: readonly string[] | undefined) {
    const { state, curve } = contents
    this.#contents = new Closable(contents, ({ searcher }) => searcher.close())
    this.size = state.bins.ids.length
    this.dimensions = state.dimensions
    this.bins = state.bins.offsets.length - 1
    this.metric = state.metric
    this.words = words
    this.#arguments = new SearchArguments(this, curve)
  }

  protected get contents(): Closable<Contents> {
    return this.#contents
  }

  protected get arguments(): SearchArguments {
    return this.#arguments
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

  /** Lets go of the memory once the calls that are running have finished; later ones get a ClosedError. */
  close(): void {
    this.#contents.close()
  }
}
