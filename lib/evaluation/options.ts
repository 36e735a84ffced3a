/** The options of a comparison: their defaults and their checks. */
import { checkMatrix, checkVectors } from '../checks/arrays.js'
import { asRecord, closest, describe, Entry, integer, List, Optional, read } from '../checks/fields.js'
import { ArgumentError } from '../errors.js'
import { type Method, methodNames } from '../methods.js'
import {
  type BuildOptions,
  binsOf,
  type IndexOptions,
  isTrained,
  type Progress,
  readDimensions,
  resolveBuild
} from '../options.js'
import { checkTruth } from '../search-arguments.js'
import { results } from '../search-options.js'

/** What a comparison is doing, and for which index; without one while it finds the true neighbors. */
export interface ComparisonProgress extends Progress {
  method?: Method
  bins?: number
}

/** The other options are those of `NeuralLSH.build`, handed to every method: `classifier` to those that train one. */
export interface CompareOptions extends Omit<BuildOptions, 'method' | 'bins' | 'router' | 'partition' | 'onProgress'> {
  /** What is compared, by name. */
  methods: readonly Method[]
  /** Numbers of bins, each with every method; default: as of `NeuralLSH.build`. */
  bins?: readonly number[] | undefined
  /** Nearest neighbors that are asked for, 1 to n, default min(10, n). */
  k?: number | undefined
  /** queries x w row numbers of the true neighbors, w >= k, nearest first; found by comparing with all where left out. */
  truth?: Int32Array | undefined
  partition?: Omit<NonNullable<BuildOptions['partition']>, 'method'> | undefined
  onProgress?: ((progress: ComparisonProgress) => void) | undefined
}

/** An index to build and to measure. */
export interface Contestant {
  method: Method
  index: IndexOptions
}

class MethodEntry extends Entry<Method> {
  read(value: unknown, name: string): Method {
    const found = methodNames.find((one) => one === value)
    if (found !== undefined) return found
    const meant = typeof value === 'string' ? closest(value, methodNames) : undefined
    const help = meant ? `did you mean '${meant}'?` : `there are ${methodNames.join(', ')}`
    throw new ArgumentError(name, `${describe(value)} is not a method; ${help}`)
  }
}

const most = { methods: 100, bins: 100 }

const comparisonTable = (rows: number) => ({
  methods: new List(new MethodEntry(), most.methods),
  bins: new Optional(new List(integer(2, rows, undefined, 'the number of vectors'), most.bins)),
  k: results(rows)
})

/** What a method is, no option can say. */
const saidByMethods = ['method', 'router'] as const

export function resolveComparison(vectors: Float32Array, queries: Float32Array, options: CompareOptions) {
  const dimensions = readDimensions(options)
  const rows = checkVectors(vectors, dimensions)
  const count = checkMatrix(queries, dimensions, 'queries')
  const { methods, bins, k, truth, onProgress, ...build } = asRecord(options, 'options') as unknown as CompareOptions
  const asked = read(comparisonTable(rows), { methods, bins, k })
  for (const list of ['methods', 'bins'] as const)
    if (asked[list]?.length === 0) throw new ArgumentError(list, 'must not be empty')
  if (truth !== undefined) checkTruth(truth, count, asked.k)
  const contestants = contestantsOf(vectors, build, asked.methods, asked.bins ?? [binsOf(rows).read(undefined, 'bins')])
  const { engine, device, run } = resolveBuild(vectors, { ...build, onProgress: undefined })
  const { metric, seed } = (contestants[0] as Contestant).index
  return { engine, device, run: { ...run, onProgress }, dimensions, metric, k: asked.k, seed, truth, contestants }
}

type SharedOptions = Omit<CompareOptions, 'methods' | 'bins' | 'k' | 'truth' | 'onProgress'>

function contestantsOf(
  vectors: Float32Array,
  { classifier, ...shared }: SharedOptions,
  names: readonly Method[],
  binCounts: readonly number[]
): Contestant[] {
  checkOwn(shared)
  const contestants = [...new Set(binCounts)].flatMap((bins) =>
    [...new Set(names)].map((method) => {
      const options = { ...shared, method, bins }
      const { index } = resolveBuild(vectors, options)
      if (classifier === undefined || !isTrained(index)) return { method, index }
      return { method, index: resolveBuild(vectors, { ...options, classifier }).index }
    })
  )
  if (classifier !== undefined && !contestants.some(({ index }) => isTrained(index)))
    throw new ArgumentError('classifier', `is trained by none of the methods ${names.join(', ')}`)
  return contestants
}

function checkOwn(shared: SharedOptions): void {
  const given: Record<string, unknown> = { ...shared }
  for (const name of saidByMethods)
    if (given[name] !== undefined) throw new ArgumentError(name, 'cannot be given: each of the methods has its own')
  if (asRecord(shared.partition, 'partition').method !== undefined)
    throw new ArgumentError('partition.method', 'cannot be given: each of the methods has its own')
}
