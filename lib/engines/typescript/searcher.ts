/**
 * Searches an index without native code: the bins are chosen as the native engine chooses them, and all vectors in them
 * are compared exactly. That answers the scans by codes ('int8', 'pq4') as well: codes only make the comparison faster,
 * and what they miss is found here.
 */
import { largestId } from '../../checks/arrays.js'
import { ArgumentError } from '../../errors.js'
import { eachRow } from '../../rows.js'
import { nextTurn } from '../../turn.js'
import type {
  JobOptions,
  Probing,
  RadiusBatchResult,
  RadiusRequest,
  RouteBatchResult,
  SearchBatchResult,
  Searcher,
  SearchRequest,
  SearchResult,
  SearchState,
  TimedSearchResult
} from '../engine.js'
import { BinChoice } from './bin-choice.js'
import { Ranking } from './ranking.js'
import { createRouter, type Router } from './router.js'
import { alone, type Pool, type Task, type Team, withTeam } from './team.js'
import { type Distance, distanceTo, preparedRow } from './vectors.js'

/** Queries between two reports, and that a thread takes at once. */
const reportEvery = 64
const queriesOfPart = 16

export class TypescriptSearcher implements Searcher {
  readonly usesCodes = false
  readonly #state: SearchState
  readonly #router: Router
  readonly #choice: BinChoice
  /** The candidates of one query. */
  readonly #nearest = new Ranking()
  readonly #distance: Distance
  readonly #pool: Pool
  /** What threads search: made when they first do, and kept. */
  #shared: SearchState | undefined

  constructor(state: SearchState, pool: Pool = alone) {
    this.#state = state
    this.#pool = pool
    this.#router = createRouter(state.classifier)
    this.#choice = new BinChoice(state.bins)
    this.#distance = distanceTo(state.vectors, state)
  }

  searchSync(query: Float32Array, request: SearchRequest): SearchResult {
    const result = emptyBatch(1, request.k)
    this.answer(query, 0, 'query', request, result)
    const { ids, distances, candidates, probes } = result
    return { ids, distances, candidates: candidates[0] as number, probes: probes[0] as number }
  }

  /** There is no other thread, but the event loop turns before each search. */
  async search(query: Float32Array, request: SearchRequest): Promise<SearchResult> {
    await nextTurn()
    return this.searchSync(query, request)
  }

  /** Where it is worth it, on threads, for which the vectors and the router are then in memory once more. */
  searchBatch(queries: Float32Array, request: SearchRequest, job: JobOptions): Promise<SearchBatchResult> {
    const count = this.#countOf(queries)
    const work = {
      total: count,
      multiplications: count * this.#multiplicationsOf(request) - this.#state.vectors.length
    }
    return withTeam(this.#pool, job, work, (team) => this.#answerAll(team, queries, request))
  }

  async #answerAll(team: Team, given: Float32Array, request: SearchRequest): Promise<SearchBatchResult> {
    const [count, { k }] = [this.#countOf(given), request]
    const queries = await team.share(given)
    const result = {
      ids: team.room(Int32Array, count * k),
      distances: team.room(Float32Array, count * k),
      candidates: team.room(Int32Array, count),
      probes: team.room(Int32Array, count)
    }
    if (team.threads > 1) this.#shared ??= await sharedState(team, this.#state)
    const state = this.#shared ?? this.#state
    await team.run(answerQueries, { state, queries, request, result }, Math.ceil(count / queriesOfPart))
    return {
      ids: await team.keep(result.ids),
      distances: await team.keep(result.distances),
      candidates: await team.keep(result.candidates),
      probes: await team.keep(result.probes)
    }
  }

  /** About how many a query takes: those of the router, and of the vectors that are read. */
  #multiplicationsOf({ probing }: SearchRequest): number {
    const { classifier, bins, vectors } = this.#state
    const binCount = bins.offsets.length - 1
    const share = probing.probes ? probing.probes / binCount : 1 / 8
    return classifier.parameters.length + share * vectors.length
  }

  async searchTimed(queries: Float32Array, request: SearchRequest, job: JobOptions): Promise<TimedSearchResult> {
    const result = emptyBatch(this.#countOf(queries), request.k)
    const seconds = new Float64Array(this.#countOf(queries))
    await this.#eachQuery(queries, job, (row) => {
      const start = performance.now()
      this.answer(queries, row, 'queries', request, result)
      seconds[row] = (performance.now() - start) / 1000
    })
    return { ...result, seconds }
  }

  async searchRadius(
    queries: Float32Array,
    { radius, probing }: RadiusRequest,
    argument: string,
    job: JobOptions
  ): Promise<RadiusBatchResult> {
    const count = this.#countOf(queries)
    const [candidates, probes] = [new Int32Array(count), new Int32Array(count)]
    const offsets = new Int32Array(count + 1)
    const found: Matches[] = []
    await this.#eachQuery(queries, job, (row) => {
      this.#compare(queries, row, argument, probing, 1)
      candidates[row] = this.#choice.candidates
      probes[row] = this.#choice.count
      const matches = this.#takeWithin(radius)
      found.push(matches)
      const total = (offsets[row] as number) + matches.ids.length
      if (total > largestId)
        throw new ArgumentError('radius', `holds more than ${largestId} results: ask for less at once`)
      offsets[row + 1] = total
    })
    return { offsets, ...(await joined(found, offsets, job.signal)), candidates, probes }
  }

  async route(queries: Float32Array, probes: number, job: JobOptions): Promise<RouteBatchResult> {
    const count = this.#countOf(queries)
    const bins = new Int32Array(count * probes)
    const probabilities = new Float32Array(count * probes)
    await this.#eachQuery(queries, job, (row) => {
      this.#choose(this.#prepared(queries, row, 'queries'), { probes }, 0)
      bins.set(this.#choice.bins.subarray(0, probes), row * probes)
      probabilities.set(this.#choice.probabilities.subarray(0, probes), row * probes)
    })
    return { bins, probabilities }
  }

  /** The memory goes with the index. */
  close(): void {
    this.#shared = undefined
  }

  #countOf(queries: Float32Array): number {
    return queries.length / this.#state.dimensions
  }

  async #eachQuery(queries: Float32Array, { signal, onProgress }: JobOptions, visit: (row: number) => void) {
    signal?.throwIfAborted()
    const count = this.#countOf(queries)
    await eachRow(count, signal, (row) => {
      visit(row)
      const done = row + 1
      if (done % reportEvery === 0 || done === count) onProgress?.(done, count)
    })
  }

  #prepared(queries: Float32Array, row: number, argument: string): Float32Array {
    return preparedRow(queries, row, this.#state.dimensions, this.#state.metric, argument)
  }

  #choose(query: Float32Array, probing: Probing, fewest: number): void {
    this.#choice.choose(this.#router(query), probing, fewest)
  }

  /** Ranks the vectors in the bins of a query, of which there are at least `fewest`. */
  #compare(queries: Float32Array, row: number, argument: string, probing: Probing, fewest: number): void {
    const query = this.#prepared(queries, row, argument)
    this.#choose(query, probing, fewest)
    const { bins, count, candidates } = this.#choice
    this.#nearest.reserve(candidates)
    const numbers = new Float64Array(query)
    let place = 0
    for (let rank = 0; rank < count; rank++) place = this.#compareBin(numbers, bins[rank] as number, place)
    this.#nearest.start(place)
  }

  #compareBin(query: Float64Array, bin: number, place: number): number {
    const { offsets, ids } = this.#state.bins
    const { keys, ids: ranked } = this.#nearest
    const end = offsets[bin + 1] as number
    for (let row = offsets[bin] as number; row < end; row++, place++) {
      keys[place] = this.#distance(query, row)
      ranked[place] = ids[row] as number
    }
    return place
  }

  /** Writes the k nearest of a query to its row of `result`. */
  answer(
    queries: Float32Array,
    row: number,
    argument: string,
    { k, probing }: SearchRequest,
    { ids, distances, candidates, probes }: SearchBatchResult
  ): void {
    this.#compare(queries, row, argument, probing, k)
    candidates[row] = this.#choice.candidates
    probes[row] = this.#choice.count
    const nearest = this.#nearest
    for (let place = row * k; place < (row + 1) * k; place++) {
      const at = nearest.next()
      ids[place] = nearest.ids[at] as number
      distances[place] = nearest.keys[at] as number
    }
  }

  /** All whose distance, as it is returned, is at most the radius. */
  #takeWithin(radius: number): Matches {
    const nearest = this.#nearest
    const end = nearest.size
    while (nearest.size > 0 && Math.fround(nearest.keys[0] as number) <= radius) nearest.next()
    return {
      ids: nearest.ids.slice(nearest.size, end).reverse(),
      distances: Float32Array.from(nearest.keys.subarray(nearest.size, end)).reverse()
    }
  }
}

/** Copies of what a search reads. */
async function sharedState(team: Team, state: SearchState): Promise<SearchState> {
  const { bins, classifier } = state
  const { parameters, buffers, input } = classifier
  return {
    ...state,
    codes: undefined,
    vectors: await team.shareForLong(state.vectors),
    bins: { offsets: await team.shareForLong(bins.offsets), ids: await team.shareForLong(bins.ids) },
    classifier: {
      ...classifier,
      parameters: await team.shareForLong(parameters),
      buffers: await team.shareForLong(buffers),
      input: { ...input, mean: await team.shareForLong(input.mean), scale: await team.shareForLong(input.scale) }
    }
  }
}

interface Batch {
  state: SearchState
  queries: Float32Array
  request: SearchRequest
  result: SearchBatchResult
}

export const answerQueries: Task<Batch> = {
  name: 'answer-queries',
  begin({ state, queries, request, result }) {
    const searcher = new TypescriptSearcher(state)
    const count = queries.length / state.dimensions
    return function* (part) {
      const end = Math.min(count, (part + 1) * queriesOfPart)
      for (let row = part * queriesOfPart; row < end; row++) {
        searcher.answer(queries, row, 'queries', request, result)
        yield 1
      }
    }
  }
}

const emptyBatch = (queries: number, k: number): SearchBatchResult => ({
  ids: new Int32Array(queries * k),
  distances: new Float32Array(queries * k),
  candidates: new Int32Array(queries),
  probes: new Int32Array(queries)
})

type Matches = Pick<RadiusBatchResult, 'ids' | 'distances'>

/** What each query found, one after the other. */
async function joined(found: Matches[], offsets: Int32Array, signal: AbortSignal | undefined): Promise<Matches> {
  const total = offsets[found.length] as number
  const all = { ids: new Int32Array(total), distances: new Float32Array(total) }
  await eachRow(found.length, signal, (row) => {
    const { ids, distances } = found[row] as Matches
    all.ids.set(ids, offsets[row])
    all.distances.set(distances, offsets[row])
  })
  return all
}
