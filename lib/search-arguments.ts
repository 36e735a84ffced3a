/** What a search, batch, route or evaluation of an index is asked for, judged and put into the engine's words. */
import { checkArray, checkEntries, checkLength, checkMatrix } from './checks/arrays.js'
import { asRecord, Field, integer, isIntegerWithin, isPositive, listOf, optional, read } from './checks/fields.js'
import type { Metric, RadiusRequest, RecallCurve, SearchRequest } from './engines/engine.js'
import { ArgumentError } from './errors.js'
import type { AskedPoint, EvaluationPoint } from './evaluation/evaluate.js'
import type {
  EvaluateOptions,
  RadiusBatchOptions,
  RadiusOptions,
  RouteOptions,
  SearchBatchOptions,
  SearchOptions
} from './option-types.js'
import { isMass, results, searchRun } from './search-options.js'
import { depthFor, probingFor } from './stages/recall.js'

/** What a query and its options are judged against. */
export interface Shape {
  size: number
  dimensions: number
  bins: number
  metric: Metric
}

const share = optional<number>('a number above 0, at most 1', isMass)

const probingTable = ({ bins }: Shape) => ({
  probes: optional<number>(`an integer from 1 to ${bins} (the number of bins)`, isIntegerWithin(1, bins)),
  mass: share,
  recall: share
})

/** Euclidean and cosine distances are never negative. */
const radiusOf = ({ metric }: Shape) =>
  metric === 'inner-product'
    ? new Field<number>('a finite number', Number.isFinite)
    : new Field<number>('a finite number from 0', (value) => value === 0 || isPositive(value))

/** What a search asks for, besides k. */
type Asked = Pick<SearchOptions, 'probes' | 'mass' | 'recall'>

/** Of the neighbors that the bins hold, a scan by codes may lose this share unless a recall is asked for; of the
 * neighbors that a recall leaves out, it may be to blame for a tenth. */
const allowedLoss = { otherwise: 0.004, ofRecall: 0.1 }

/** The options of an index's searches, with the tables made once: a search is too short for that. */
export class SearchArguments {
  /** Most searches ask for what the one before asked for, and reading that takes a tenth as long as answering. */
  private last: { options: SearchOptions; request: SearchRequest } | undefined
  private readonly search
  private readonly batch
  private readonly radius
  private readonly radiusBatch
  private readonly routing
  private readonly evaluation

  constructor(
    private readonly shape: Shape,
    private readonly curve: RecallCurve
  ) {
    const { size, bins } = shape
    this.search = { k: results(size), ...probingTable(shape) }
    this.batch = { ...this.search, ...searchRun }
    this.radius = { radius: radiusOf(shape), ...probingTable(shape) }
    this.radiusBatch = { ...this.radius, ...searchRun }
    this.routing = { probes: integer(1, bins, bins, 'the number of bins') }
    this.evaluation = {
      k: results(size),
      probes: listOf(`an array of integers from 1 to ${bins} (the number of bins)`, isIntegerWithin(1, bins)),
      mass: listOf('an array of numbers above 0, at most 1', isMass),
      recall: listOf('an array of numbers above 0, at most 1', isMass),
      ...searchRun
    }
  }

  forSearch(query: Float32Array, options: SearchOptions | undefined): SearchRequest {
    this.checkQuery(query)
    if (this.last && isSame(this.last.options, options)) return this.last.request
    const { k, ...asked } = read(this.search, options)
    this.last = { options: { ...options }, request: this.toRequest(k, asked) }
    return this.last.request
  }

  forBatch(queries: Float32Array, options: SearchBatchOptions | undefined) {
    const count = checkMatrix(queries, this.shape.dimensions, 'queries')
    const { k, probes, mass, recall, ...run } = read(this.batch, options)
    checkEntries(count * k, 'k', 'queries x k')
    return { request: this.toRequest(k, { probes, mass, recall }), run }
  }

  forRadius(query: Float32Array, options: RadiusOptions): RadiusRequest {
    this.checkQuery(query)
    const { radius, ...asked } = read(this.radius, options)
    return { radius, probing: this.toRequest(1, asked).probing }
  }

  forRadiusBatch(queries: Float32Array, options: RadiusBatchOptions) {
    checkMatrix(queries, this.shape.dimensions, 'queries')
    const { radius, probes, mass, recall, ...run } = read(this.radiusBatch, options)
    return { request: { radius, probing: this.toRequest(1, { probes, mass, recall }).probing }, run }
  }

  forRoute(query: Float32Array, options: RouteOptions | undefined) {
    this.checkQuery(query)
    return read(this.routing, options)
  }

  forEvaluate(queries: Float32Array, options: EvaluateOptions | undefined) {
    const count = checkMatrix(queries, this.shape.dimensions, 'queries')
    const { truth, ...rest } = asRecord(options, 'options') as EvaluateOptions
    const { k, probes, mass, recall, ...run } = read(this.evaluation, rest)
    checkEntries(count * k, 'k', 'queries x k')
    if (truth !== undefined) checkTruth(truth, count, k)
    const usual = [1, 2, 4, 8, 16, 32].filter((one) => one <= this.shape.bins)
    const point = (asked: AskedPoint, wanted: Asked): EvaluationPoint => ({ asked, request: this.toRequest(k, wanted) })
    const points = [
      ...(probes ?? (mass || recall ? [] : usual)).map((probes) => point({ probes }, { probes })),
      ...(mass ?? []).map((mass) => point({ mass }, { mass })),
      ...(recall ?? []).map((recall) => point({ askedRecall: recall }, { recall }))
    ]
    return { request: { k, truth, points }, run }
  }

  checkId(id: number): void {
    integer(0, this.shape.size - 1).read(id, 'id')
  }

  private checkQuery(query: Float32Array): void {
    checkArray(query, 'query', 'Float32Array')
    checkLength(query, this.shape.dimensions, 'query', "the index's dimensions")
  }

  /** The one of the three that is asked for, in what the engine understands. */
  private toRequest(k: number, { probes, mass, recall }: Asked): SearchRequest {
    checkAlone({ probes, mass, recall })
    if (probes !== undefined) return { k, probing: { probes }, reranked: this.reranked(k, allowedLoss.otherwise) }
    if (mass !== undefined) return { k, probing: { mass }, reranked: this.reranked(k, allowedLoss.otherwise) }
    const wanted = recall ?? defaultRecall
    const lost = (1 - wanted) * allowedLoss.ofRecall
    // What the codes lose, further bins must bring.
    const probing = probingFor(this.curve, Math.min(1, wanted / (1 - lost)))
    return { k, probing, reranked: this.reranked(k, lost) }
  }

  private reranked(k: number, loss: number): number {
    return Math.min(this.shape.size, Math.ceil(k * depthFor(this.curve, loss)))
  }
}

/** Whether both say the same, as far as can be told at once. */
function isSame(known: SearchOptions, options: SearchOptions | undefined): boolean {
  if (options === undefined) return Object.keys(known).length === 0
  if (Object.getPrototypeOf(options ?? 0) !== Object.prototype) return false
  for (const name in options) if (!Object.hasOwn(known, name)) return false
  const { k, probes, mass, recall } = options
  return k === known.k && probes === known.probes && mass === known.mass && recall === known.recall
}

const defaultRecall = 0.95

/** The recall that a search is asked for; undefined where it is asked for probes or a mass instead. */
export function readRecall(options: SearchOptions): number | undefined {
  const { probes, mass } = options
  const recall = share.read(options.recall, 'recall')
  return probes === undefined && mass === undefined ? (recall ?? defaultRecall) : recall
}

function checkAlone(asked: Asked): void {
  const [first, second] = Object.entries(asked).filter(([, value]) => value !== undefined)
  if (first && second)
    throw new ArgumentError(second[0], `cannot be given together with ${first[0]}: choose one of them`)
}

export function checkTruth(truth: unknown, queries: number, k: number): void {
  checkArray(truth, 'truth', 'Int32Array')
  const { length } = truth as Int32Array
  if (length % queries !== 0 || length < queries * k) {
    const right = `a row of at least k = ${k} ids for each of the ${queries} queries`
    throw new ArgumentError('truth', `must hold ${right}, but its length is ${length}`)
  }
}
