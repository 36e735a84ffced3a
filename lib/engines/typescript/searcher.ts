/**
 * Searches an index without native code: the bins are chosen as the native engine chooses them, and all vectors in them
 * are compared exactly. That answers the scans by codes ('int8', 'pq4') as well: codes only make the comparison faster,
 * and what they miss is found here.
 */
import { largestId } from '../../checks/arrays.js'
import { ArgumentError } from '../../errors.js'
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
import { runInTurns, type Steps } from './turns.js'
import { type Distance, distanceTo, preparedRow } from './vectors.js'

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
    searchers.set(state, this)
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
    const multiplications = this.#multiplicationsOf(request.probing)
    return this.#withTeam(queries, multiplications, job, async (team, state, queries) => {
      const [count, { k }] = [this.#countOf(queries), request]
      const result = {
        ids: team.room(Int32Array, count * k),
        distances: team.room(Float32Array, count * k),
        candidates: team.room(Int32Array, count),
        probes: team.room(Int32Array, count)
      }
      await team.run(answerQueries, { state, queries, request, result }, Math.ceil(count / queriesOfPart))
      return {
        ids: await team.keep(result.ids),
        distances: await team.keep(result.distances),
        candidates: await team.keep(result.candidates),
        probes: await team.keep(result.probes)
      }
    })
  }

  /** By one thread, as nobody knows before how much it will find. */
  searchRadius(
    queries: Float32Array,
    request: RadiusRequest,
    argument: string,
    job: JobOptions
  ): Promise<RadiusBatchResult> {
    const multiplications = this.#multiplicationsOf(request.probing)
    return this.#withTeam(queries, multiplications, job, (team, state, queries) =>
      team.run(findWithin, { state, queries, request, argument }, 1)
    )
  }

  route(queries: Float32Array, probes: number, job: JobOptions): Promise<RouteBatchResult> {
    const { length } = this.#state.classifier.parameters
    return this.#withTeam(queries, length, job, async (team, state, queries) => {
      const count = this.#countOf(queries)
      const result = {
        bins: team.room(Int32Array, count * probes),
        probabilities: team.room(Float32Array, count * probes)
      }
      await team.run(routeQueries, { state, queries, probes, result }, Math.ceil(count / queriesOfPart))
      return { bins: await team.keep(result.bins), probabilities: await team.keep(result.probabilities) }
    })
  }

  /** Does what takes so many multiplications a query with what all threads see. */
  #withTeam<T>(
    queries: Float32Array,
    multiplications: number,
    job: JobOptions,
    body: (team: Team, state: SearchState, queries: Float32Array) => Promise<T>
  ): Promise<T> {
    const count = this.#countOf(queries)
    const work = { total: count, multiplications: count * multiplications - this.#state.vectors.length }
    return withTeam(this.#pool, job, work, async (team) => {
      if (team.threads > 1) this.#shared ??= await sharedState(team, this.#state)
      return body(team, this.#shared ?? this.#state, await team.share(queries))
    })
  }

  /** About how many a query takes: those of the router, and of the vectors that are read. */
  #multiplicationsOf(probing: Probing): number {
    const { classifier, bins, vectors } = this.#state
    const binCount = bins.offsets.length - 1
    const share = probing.probes ? probing.probes / binCount : 1 / 8
    return classifier.parameters.length + share * vectors.length
  }

  async searchTimed(queries: Float32Array, request: SearchRequest, job: JobOptions): Promise<TimedSearchResult> {
    const count = this.#countOf(queries)
    const result = { ...emptyBatch(count, request.k), seconds: new Float64Array(count) }
    await runInTurns(this.#answerTimed(queries, request, result), count, job)
    return result
  }

  *#answerTimed(queries: Float32Array, request: SearchRequest, result: TimedSearchResult): Steps<void> {
    for (let row = 0; row < result.seconds.length; row++) {
      const start = performance.now()
      this.answer(queries, row, 'queries', request, result)
      result.seconds[row] = (performance.now() - start) / 1000
      yield 1
    }
  }

  /** The memory goes with the index. */
  close(): void {
    this.#shared = undefined
  }

  #countOf(queries: Float32Array): number {
    return queries.length / this.#state.dimensions
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

  /** Writes the bins of a query to its row of `bins`, and their probabilities. */
  rank(queries: Float32Array, row: number, probes: number, { bins, probabilities }: RouteBatchResult): void {
    this.#choose(this.#prepared(queries, row, 'queries'), { probes }, 0)
    bins.set(this.#choice.bins.subarray(0, probes), row * probes)
    probabilities.set(this.#choice.probabilities.subarray(0, probes), row * probes)
  }

  /** All candidates of a query whose distance, as it is returned, is at most the radius. */
  matches(
    queries: Float32Array,
    row: number,
    argument: string,
    { radius, probing }: RadiusRequest,
    { candidates, probes }: Pick<RadiusBatchResult, 'candidates' | 'probes'>
  ): Matches {
    this.#compare(queries, row, argument, probing, 1)
    candidates[row] = this.#choice.candidates
    probes[row] = this.#choice.count
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

/** The searcher of each state that this thread has seen. */
const searchers = new WeakMap<SearchState, TypescriptSearcher>()

const searcherOf = (state: SearchState) => searchers.get(state) ?? new TypescriptSearcher(state)

/** What is done with every query. */
function* eachQuery(
  state: SearchState,
  queries: Float32Array,
  part: number,
  visit: (row: number) => void
): Steps<void> {
  const end = Math.min(queries.length / state.dimensions, (part + 1) * queriesOfPart)
  for (let row = part * queriesOfPart; row < end; row++) {
    visit(row)
    yield 1
  }
}

interface Asked {
  state: SearchState
  queries: Float32Array
}

/** A part are some queries. */
export const answerQueries: Task<Asked & { request: SearchRequest; result: SearchBatchResult }> = {
  name: 'answer-queries',
  begin({ state, queries, request, result }) {
    const searcher = searcherOf(state)
    return (part) => eachQuery(state, queries, part, (row) => searcher.answer(queries, row, 'queries', request, result))
  }
}

/** A part are some queries. */
export const routeQueries: Task<Asked & { probes: number; result: RouteBatchResult }> = {
  name: 'route-queries',
  begin({ state, queries, probes, result }) {
    const searcher = searcherOf(state)
    return (part) => eachQuery(state, queries, part, (row) => searcher.rank(queries, row, probes, result))
  }
}

/** All queries are one part. */
export const findWithin: Task<Asked & { request: RadiusRequest; argument: string }, RadiusBatchResult> = {
  name: 'find-within',
  begin({ state, queries, request, argument }) {
    const searcher = searcherOf(state)
    return function* () {
      const count = queries.length / state.dimensions
      const read = { candidates: new Int32Array(count), probes: new Int32Array(count) }
      const offsets = new Int32Array(count + 1)
      const found: Matches[] = []
      for (let row = 0; row < count; row++) {
        const matches = searcher.matches(queries, row, argument, request, read)
        found.push(matches)
        const total = (offsets[row] as number) + matches.ids.length
        if (total > largestId)
          throw new ArgumentError('radius', `holds more than ${largestId} results: ask for less at once`)
        offsets[row + 1] = total
        yield 1
      }
      return { offsets, ...(yield* joined(found, offsets)), ...read }
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
function* joined(found: Matches[], offsets: Int32Array): Steps<Matches> {
  const total = offsets[found.length] as number
  const all = { ids: new Int32Array(total), distances: new Float32Array(total) }
  for (const [row, { ids, distances }] of found.entries()) {
    all.ids.set(ids, offsets[row])
    all.distances.set(distances, offsets[row])
    yield 0
  }
  return all
}
