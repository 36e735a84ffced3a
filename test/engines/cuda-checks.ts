/** What the engine 'cuda' must answer, told by plain loops and by the native engine: for the tests, which run on a GPU
 * where there is one, and for scripts/gpu-check.sh. */
import type { Classifier, Engine, GraphPrecision, Metric, Probing, SearchState } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { clustered } from '../support/vectors.js'
import { nearest, randomNumbers } from './brute-force.js'

const cpu = createNativeEngine()
const job = { threads: 0 }

// ------------------------------------------------------------------------------------------------------ neighbors

export interface Points {
  vectors: Float32Array
  dimensions: number
  metric: Metric
}

/** What is wrong with the engine's exact graph and exact search of these points; undefined if nothing is. */
export async function neighborFault(
  engine: Engine,
  points: Points,
  k: number,
  precision?: GraphPrecision
): Promise<string | undefined> {
  const { dimensions, metric } = points
  const vectors = await cpu.prepareVectors(points.vectors, dimensions, metric, 'vectors', job)
  const queries = vectors.slice(0, Math.ceil(vectors.length / dimensions / 3) * dimensions).map((x) => -x / 2)
  const asked = await cpu.prepareVectors(queries, dimensions, metric, 'queries', job)
  const options = { neighbors: k, method: 'exact', precision, seed: 1 } as const
  const graph = (by: Engine) => by.knnGraph(vectors, dimensions, metric, options, job)
  const search = (by: Engine) => by.exactSearch(vectors, asked, dimensions, metric, k, job)
  const isExact = vectors.every((x) => Number.isInteger(x))
  return (
    firstDifference('graph', await graph(engine), await graph(cpu), isExact) ??
    firstDifference('search', await search(engine), await search(cpu), isExact)
  )
}

export const precisions: readonly GraphPrecision[] = ['fp32', 'tf32', 'bf16', 'fp16']

interface Found {
  ids: Int32Array
  distances: Float32Array
}

/** Sums of doubles in another order may exchange what is as near up to rounding; where sums are exact, nothing may. */
function firstDifference(what: string, found: Found, right: Found, isExact: boolean): string | undefined {
  const place = right.ids.findIndex((id, i) => {
    const [own, other] = [found.distances[i] as number, right.distances[i] as number]
    const isNear = Math.abs(own - other) <= 2e-7 * (1 + Math.abs(other))
    return !isNear || (found.ids[i] !== id && (isExact || own !== other))
  })
  if (place < 0) return undefined
  const told = ({ ids, distances }: Found) => `${ids[place]} at ${distances[place]}`
  return `${what}, place ${place}: ${told(found)}, not ${told(right)}`
}

// ------------------------------------------------------------------------------------------------------- searches

export interface Shape {
  metric?: Metric
  rows?: number
  dimensions?: number
  widths?: number[]
  asBytes?: boolean
  unitLength?: boolean
}

/** Random points in random bins behind a random network: how good they are does not matter here. */
export async function randomState({
  metric = 'euclidean',
  rows = 400,
  dimensions = 6,
  widths = [12],
  asBytes = false,
  unitLength = false
}: Shape = {}): Promise<SearchState> {
  const random = randomNumbers(3)
  const bins = widths.at(-1) as number
  const raw = asBytes
    ? Float32Array.from({ length: rows * dimensions }, () => Math.floor(256 * random()))
    : clustered(rows, dimensions)
  const points = await cpu.prepareVectors(raw, dimensions, metric, 'vectors', job)
  const labels = Int32Array.from({ length: rows }, () => Math.floor(random() * (bins - 1)))
  const vectors = asBytes ? new Uint8Array(points.length) : new Float32Array(points.length)
  const grouped = await cpu.groupIntoBins(labels, bins, { from: points, to: vectors, dimensions }, job)
  const layers = widths.flatMap((outputs, i) => [
    ...(i > 0 ? [{ type: 'relu' } as const, { type: 'dropout', rate: 0.5 } as const] : []),
    { type: 'linear', outputs, bias: i % 2 === 0 } as const
  ])
  const size = [dimensions, ...widths].reduce(
    (sum, inputs, i) => sum + (i < widths.length ? (widths[i] as number) * (inputs + (i % 2 === 0 ? 1 : 0)) : 0),
    0
  )
  const classifier: Classifier = {
    network: { inputShape: [dimensions, 1, 1], layers },
    parameters: Float32Array.from({ length: size }, () => random() - 0.5),
    buffers: new Float32Array(0),
    input: {
      unitLength,
      mean: Float32Array.from({ length: dimensions }, random),
      scale: Float32Array.from({ length: dimensions }, () => (asBytes && !unitLength ? 0.01 : 1) * (0.5 + random()))
    },
    temperature: 0.7
  }
  return { metric, dimensions, classifier, bins: grouped, vectors, scan: 'exact' }
}

/** Probabilities of the bins in double precision, the independent way. */
function probabilities({ classifier }: SearchState, query: Float32Array): number[] {
  const { network, parameters, input, temperature } = classifier
  const length = input.unitLength ? Math.hypot(...query) : 1
  let values = [...query].map((x, c) => (x / length - (input.mean[c] as number)) * (input.scale[c] as number))
  let rest = parameters.subarray(0)
  const take = (count: number) => {
    const taken = rest.subarray(0, count)
    rest = rest.subarray(count)
    return taken
  }
  for (const layer of network.layers) {
    if (layer.type === 'relu') values = values.map((x) => Math.max(0, x))
    if (layer.type !== 'linear') continue
    const weights = take(layer.outputs * values.length)
    const biases = layer.bias ? take(layer.outputs) : new Float32Array(layer.outputs)
    values = [...biases].map((bias, o) =>
      values.reduce((sum, x, c) => sum + x * (weights[o * values.length + c] as number), bias)
    )
  }
  const shares = values.map((x) => Math.exp(x / temperature))
  const total = shares.reduce((sum, x) => sum + x, 0)
  return shares.map((share) => share / total)
}

/** Reads bins as lib/engines/engine.ts says of Probing, and compares with all that they hold. */
function reference(state: SearchState, query: Float32Array, k: number, probing: Probing) {
  const { offsets, ids } = state.bins
  const shares = probabilities(state, query)
  const order = shares.map((share, bin) => ({ share, bin })).sort((a, b) => b.share - a.share || a.bin - b.bin)
  const rows: number[] = []
  let [mass, probes] = [0, 0]
  for (const { share, bin } of order) {
    const wanted =
      probing.probes !== undefined
        ? probes < probing.probes
        : probing.mass !== undefined
          ? mass < probing.mass
          : share >= probing.probability && rows.length < probing.candidates
    if (!wanted && rows.length >= k) break
    for (let row = offsets[bin] as number; row < (offsets[bin + 1] as number); row++) rows.push(row)
    mass += share
    probes++
  }
  const { dimensions, metric } = state
  const held = Float32Array.from(
    rows.flatMap((row) => [...state.vectors.subarray(row * dimensions, (row + 1) * dimensions)])
  )
  const numbers = rows.map((row) => ids[row] as number)
  const all = nearest(metric, held, query, 0, dimensions, rows.length).map(({ id, distance }) => ({
    id: numbers[id] as number,
    distance
  }))
  all.sort((a, b) => a.distance - b.distance || a.id - b.id)
  return { ids: all.slice(0, k).map(({ id }) => id), candidates: rows.length, probes }
}

const probings: Probing[] = [{ probes: 3 }, { mass: 0.6 }, { probability: 0.08, candidates: 150 }]

/** A device's products are rounded: where two bins are about as probable, it may read the other one. */
const mostOtherwise = 0.02

/** What is wrong with batches of searches in a random index of this shape; undefined if nothing is. */
export async function searchFault(engine: Engine, shape: Shape, queryCount = 40, k = 7): Promise<string | undefined> {
  const state = await randomState(shape)
  const { dimensions, metric } = state
  const queries = clustered(queryCount, dimensions, 16, 9).map((x) => x * (shape.asBytes ? 50 : 1))
  const prepared = await cpu.prepareVectors(queries, dimensions, metric, 'queries', job)
  const searcher = await engine.openSearcher(state, job)
  try {
    for (const probing of probings) {
      const found = await searcher.searchBatch(queries, { k, probing, reranked: 0 }, job)
      let otherwise = 0
      for (let i = 0; i < queryCount; i++) {
        const expected = reference(state, prepared.subarray(i * dimensions, (i + 1) * dimensions), k, probing)
        if (found.candidates[i] !== expected.candidates || found.probes[i] !== expected.probes) otherwise++
        else if (expected.ids.some((id, place) => found.ids[i * k + place] !== id))
          return `${JSON.stringify(probing)}, query ${i}: ${found.ids.subarray(i * k, (i + 1) * k)}, not ${expected.ids}`
      }
      if (otherwise > mostOtherwise * queryCount)
        return `${JSON.stringify(probing)}: other bins were read for ${otherwise} of ${queryCount} queries`
    }
    return undefined
  } finally {
    searcher.close()
  }
}

export const shapes: Shape[] = [
  { metric: 'euclidean', widths: [12] },
  { metric: 'cosine', widths: [20, 12] },
  { metric: 'inner-product', widths: [16, 8, 12], unitLength: true },
  { metric: 'euclidean', widths: [9, 12], asBytes: true },
  { metric: 'euclidean', rows: 3000, dimensions: 130, widths: [64, 100] }
]
