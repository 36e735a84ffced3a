/** The same indexes, opened by the native engine and by the one in TypeScript: the same answers, and the same errors. */
import test from 'ava'
import { networkOf } from '../../lib/baselines/rules.js'
import { bufferCount, type Layer, type Network, outputsOf, parameterCount } from '../../lib/classifier/network.js'
import type { Metric, Probing, ScanType, Searcher, SearchState } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { clustered, metrics } from '../support/vectors.js'
import { distance, randomNumbers } from './brute-force.js'

const native = createNativeEngine()
const typescript = createTypescriptEngine()
const job = { threads: 1 }
const rows = 1500
const dimensions = 12
const queryCount = 80
const k = 7

interface Sample {
  network: Network
  metric?: Metric
  areBytes?: boolean
  scan?: ScanType
  unitLength?: boolean
  temperature?: number
}

/** Points in clusters, in the bins that a network of random weights puts them into. */
async function sample({ network, metric = 'euclidean', areBytes = false, ...rest }: Sample) {
  const { scan = 'exact', unitLength = false, temperature = 0.8 } = rest
  const inThisUnit = (value: number) => (areBytes ? Math.max(0, Math.min(255, Math.round(128 + 30 * value))) : value)
  const all = clustered(rows + queryCount, dimensions, 40).map(inThisUnit)
  const queries = all.slice(rows * dimensions)
  const base = all.slice(0, rows * dimensions)
  const prepared = await native.prepareVectors(base, dimensions, metric, 'vectors', job)
  const random = randomNumbers(5)
  const numbers = (length: number, low: number) => Float32Array.from({ length }, () => random() + low)
  const scale = areBytes ? 1 / 30 : 1
  const classifier = {
    network,
    parameters: numbers(parameterCount(network), -0.5),
    buffers: numbers(bufferCount(network), 0.2),
    input: {
      unitLength,
      mean: new Float32Array(dimensions).fill(areBytes ? 128 : 0.1),
      scale: new Float32Array(dimensions).fill(scale)
    },
    temperature
  }
  const bins = outputsOf(network)
  const labels = await native.assignToBins(classifier, prepared, rows, job)
  const ordered = areBytes ? new Uint8Array(prepared.length) : new Float32Array(prepared.length)
  const grouped = await native.groupIntoBins(labels, bins, { from: prepared, to: ordered, dimensions }, job)
  const state: SearchState = { metric, dimensions, classifier, bins: grouped, vectors: ordered, scan }
  if (scan === 'pq4') state.codes = await native.encodeFourBits(state, 1, job)
  return { state, queries, bins }
}

async function openBoth(state: SearchState) {
  return { one: await native.openSearcher(state, job), other: await typescript.openSearcher(state, job) }
}

const linear = (outputs: number): Layer => ({ type: 'linear', outputs, bias: true })
const dense = (...layers: Layer[]): Network => ({ inputShape: [dimensions, 1, 1], layers })
const batchNorm: Layer = { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 }
const perceptron = dense(linear(32), { type: 'relu' }, linear(24))

/** Equal up to the order in which doubles were added, and rounding to floats. */
function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 3e-7 * Math.max(1, Math.abs(a), Math.abs(b))
}

const areClose = (a: Float32Array, b: Float32Array) =>
  a.length === b.length && a.every((value, i) => isClose(value, b[i] as number))

// ------------------------------------------------------------------------------ all bins: the answers are exact

const kinds: { scan: ScanType; areBytes: boolean }[] = [
  { scan: 'exact', areBytes: false },
  { scan: 'exact', areBytes: true },
  { scan: 'int8', areBytes: false },
  { scan: 'int8', areBytes: true },
  { scan: 'pq4', areBytes: false }
]

for (const metric of metrics) {
  for (const { scan, areBytes } of kinds) {
    if (areBytes && metric === 'cosine') continue
    test(`${metric}, ${scan} over ${areBytes ? 'bytes' : 'floats'}: the same ids and distances`, async (t) => {
      const { state, queries, bins } = await sample({ network: perceptron, metric, scan, areBytes })
      const { one, other } = await openBoth(state)
      // All are compared again exactly, so that the codes lose nothing.
      const request = { k, probing: { probes: bins }, reranked: rows }
      const [right, found] = [
        await one.searchBatch(queries, request, job),
        await other.searchBatch(queries, request, job)
      ]
      t.deepEqual(found.ids, right.ids)
      t.true(areClose(found.distances, right.distances))
      t.deepEqual(found.candidates, new Int32Array(queryCount).fill(rows))
      t.deepEqual(found.candidates, right.candidates)
      t.deepEqual(found.probes, right.probes)

      const { seconds, ...timed } = await other.searchTimed(queries, request, job)
      t.deepEqual(timed, found)
      t.true(seconds.every((one) => one > 0))
      const first = queries.subarray(0, dimensions)
      const single = other.searchSync(first, request)
      t.deepEqual(single.ids, found.ids.slice(0, k))
      t.deepEqual(single.distances, found.distances.slice(0, k))
      t.deepEqual(await other.search(first, request), single)

      // In the middle of two distances, where rounding decides nothing.
      const [near, far] = [right.distances[4] as number, right.distances[5] as number]
      const within = { radius: (near + far) / 2, probing: { probes: bins } }
      const [all, same] = [
        await one.searchRadius(queries, within, 'queries', job),
        await other.searchRadius(queries, within, 'queries', job)
      ]
      t.true((all.offsets[1] as number) >= 5)
      t.deepEqual(same.offsets, all.offsets)
      t.deepEqual(same.ids, all.ids)
      t.true(areClose(same.distances, all.distances))
      t.deepEqual(same.candidates, all.candidates)
      one.close()
      other.close()
    })
  }
}

test('a radius includes what is exactly as far, and distances that tie come by their ids', async (t) => {
  const { state } = await sample({ network: perceptron, areBytes: true })
  const vectors = state.vectors.fill(7)
  const searcher = await typescript.openSearcher({ ...state, vectors }, job)
  const query = new Float32Array(dimensions).fill(8)
  const probing = { probes: 24 }
  const { ids, distances } = searcher.searchSync(query, { k: 20, probing, reranked: 0 })
  t.deepEqual(Array.from(ids), [...Array(20).keys()])
  t.deepEqual(Array.from(distances), Array(20).fill(dimensions))
  const found = async (radius: number) =>
    (await searcher.searchRadius(query, { radius, probing }, 'query', job)).ids.length
  t.is(await found(dimensions), rows)
  t.is(await found(dimensions - 0.001), 0)
})

// ------------------------------------------------------------------------------ some bins: the same routes

/** The native router computes in bytes where there are linear layers and ReLU only, else in floats. */
const [inBytes, inFloats] = [0.02, 1e-5]

const networks: Record<string, Sample & { tolerance?: number }> = {
  'linear and ReLU': { network: perceptron },
  'unit length and a temperature': { network: perceptron, unitLength: true, temperature: 0.3 },
  'batch norm and dropout': {
    network: dense(linear(32), batchNorm, { type: 'relu' }, { type: 'dropout', rate: 0.2 }, linear(24))
  },
  'other activations': {
    tolerance: inFloats,
    network: dense(linear(32), { type: 'gelu' }, linear(16), { type: 'elu', alpha: 1 }, linear(24))
  },
  convolution: {
    tolerance: inFloats,
    network: {
      inputShape: [1, 3, 4],
      layers: [
        { type: 'conv2d', channels: 6, kernel: 2, stride: 1, padding: 1, bias: true },
        { type: 'relu' },
        { type: 'max-pool2d', kernel: 2, stride: 2, padding: 0 },
        { type: 'flatten' },
        linear(24)
      ]
    }
  },
  'sign codes': { network: networkOf('itq', 32, dimensions) },
  'cross-polytopes': { network: networkOf('cross-polytope', 20, dimensions), temperature: 4 },
  'a tree of margins': { network: networkOf('pca-tree', 23, dimensions) },
  'a tree of regressions': { network: networkOf('regression-lsh', 32, dimensions) },
  'two levels': {
    network: {
      ...dense(linear(16), { type: 'relu' }, linear(5)),
      children: [linear(8), batchNorm, { type: 'relu' }, linear(6)]
    }
  },
  'two levels with a temperature': { network: { ...dense(linear(4)), children: [linear(7)] }, temperature: 1.7 }
}

const probings: Probing[] = [{ probes: 3 }, { mass: 0.7 }, { probability: 0.02, candidates: 300 }, { probes: 1 }]

/** The nearest by plain loops over the bins chosen, most probable first, as Probing says. */
function bruteForce(state: SearchState, query: Float32Array, chosen: Int32Array) {
  const { bins, vectors, metric } = state
  const stored = Float32Array.from(vectors)
  const found: { id: number; distance: number }[] = []
  for (const bin of chosen)
    for (let row = bins.offsets[bin] as number; row < (bins.offsets[bin + 1] as number); row++)
      found.push({ id: bins.ids[row] as number, distance: distance(metric, query, 0, stored, row, dimensions) })
  return found.sort((a, b) => a.distance - b.distance || a.id - b.id)
}

async function ranked(searcher: Searcher, queries: Float32Array, bins: number) {
  const { bins: order, probabilities } = await searcher.route(queries, bins, job)
  return Array.from({ length: queryCount }, (_, query) => {
    const of = new Map<number, number>()
    for (let i = query * bins; i < (query + 1) * bins; i++) of.set(order[i] as number, probabilities[i] as number)
    return { order: order.subarray(query * bins, (query + 1) * bins), of }
  })
}

for (const [name, { tolerance = inBytes, ...options }] of Object.entries(networks)) {
  test(`${name}: the same probabilities, and searches of the bins that they choose`, async (t) => {
    const { state, queries, bins } = await sample(options)
    const { one, other } = await openBoth(state)
    const [right, found] = [await ranked(one, queries, bins), await ranked(other, queries, bins)]
    for (const [query, { order, of }] of found.entries()) {
      t.deepEqual(Int32Array.from(order).sort(), Int32Array.from(order.keys()), 'every bin once')
      for (const [bin, probability] of of) {
        const expected = right[query]?.of.get(bin) as number
        t.true(
          Math.abs(probability - expected) < tolerance,
          `query ${query}, bin ${bin}: ${probability}, not ${expected}`
        )
      }
    }
    const orderOf = (routes: typeof right, query: number) => (routes[query] as (typeof right)[number]).order
    let same = 0
    for (const probing of probings) {
      const request = { k, probing, reranked: rows }
      const [expected, answer] = [
        await one.searchBatch(queries, request, job),
        await other.searchBatch(queries, request, job)
      ]
      for (let query = 0; query < queryCount; query++) {
        const row = queries.subarray(query * dimensions, (query + 1) * dimensions)
        const read = orderOf(found, query).subarray(0, answer.probes[query])
        const all = bruteForce(state, row, read)
        t.is(answer.candidates[query], all.length)
        const [first, end] = [query * k, (query + 1) * k]
        t.deepEqual(
          Array.from(answer.ids.subarray(first, end)),
          all.slice(0, k).map(({ id }) => id)
        )
        t.true(all.slice(0, k).every(({ distance }, i) => isClose(distance, answer.distances[first + i] as number)))
        const readByNative = orderOf(right, query).subarray(0, expected.probes[query])
        if (Int32Array.from(readByNative).sort().join() !== Int32Array.from(read).sort().join()) continue
        same++
        t.deepEqual(answer.ids.subarray(first, end), expected.ids.subarray(first, end))
      }
    }
    // As many as the native router's rounding leaves.
    t.true(same > 0.8 * queryCount * probings.length, `${same} of ${queryCount * probings.length}`)
    t.log(`${same} of ${queryCount * probings.length} searches read the same bins`)
    one.close()
    other.close()
  })
}

test('the probing is kept to, and further bins are read while there are fewer than k', async (t) => {
  const { state, queries, bins } = await sample({ network: perceptron })
  const searcher = await typescript.openSearcher(state, job)
  const { probabilities } = await searcher.route(queries, bins, job)
  for (let query = 0; query < queryCount; query++)
    t.true(
      isClose(
        probabilities.subarray(query * bins, (query + 1) * bins).reduce((sum, one) => sum + one),
        1
      )
    )
  const answer = await searcher.searchBatch(queries, { k: 400, probing: { probes: 1 }, reranked: 0 }, job)
  t.true(answer.candidates.every((candidates) => candidates >= 400))
  t.true(answer.probes.some((probes) => probes > 1))
})

// ------------------------------------------------------------------------------------------------------- errors

test('queries that are none give the same errors', async (t) => {
  const { state } = await sample({ network: perceptron, metric: 'cosine' })
  const { one, other } = await openBoth(state)
  const spoiled = (value: number) =>
    new Float32Array(2 * dimensions).fill(1).fill(value, dimensions + 3, dimensions + 4)
  const zeros = new Float32Array(2 * dimensions).fill(1, 0, dimensions)
  const request = { k, probing: { probes: 2 }, reranked: 0 }
  const calls: ((searcher: Searcher, queries: Float32Array) => Promise<unknown>)[] = [
    async (searcher, queries) => searcher.searchSync(queries.subarray(dimensions), request),
    (searcher, queries) => searcher.search(queries.subarray(dimensions), request),
    (searcher, queries) => searcher.searchBatch(queries, request, job),
    (searcher, queries) => searcher.searchRadius(queries, { radius: 1, probing: { probes: 2 } }, 'queries', job),
    (searcher, queries) => searcher.route(queries, 2, job)
  ]
  for (const queries of [spoiled(Number.NaN), spoiled(Number.NEGATIVE_INFINITY), spoiled(1e30), zeros]) {
    for (const call of calls) {
      const right = await t.throwsAsync(() => call(one, queries), { code: 'ERR_NLSH_ARGUMENT' })
      const { message } = right as Error
      await t.throwsAsync(() => call(other, queries), { code: 'ERR_NLSH_ARGUMENT', message })
    }
    await t.throwsAsync(() => typescript.prepareVectors(queries, dimensions, 'cosine', 'vectors', job), {
      code: 'ERR_NLSH_ARGUMENT',
      message: /^vectors: row 1/
    })
  }
})

test('a state that is none gives the same errors', async (t) => {
  const { state } = await sample({ network: dense(linear(8), batchNorm, linear(6)), scan: 'pq4' })
  const { bins, classifier, codes } = state
  const changed = <T extends Float32Array | Int32Array>(array: T | undefined, at: number, value: number): T => {
    const copy = (array as T).slice() as T
    copy[at] = value
    return copy
  }
  const input = (field: 'mean' | 'scale') => ({
    ...classifier,
    input: { ...classifier.input, [field]: changed(classifier.input[field], 2, Number.NaN) }
  })
  const codesWith = (edit: object) => ({ codes: { ...(codes as NonNullable<typeof codes>), ...edit } })
  const wrong: Partial<SearchState>[] = [
    { bins: { ...bins, offsets: changed(bins.offsets, 0, 1) } },
    { bins: { ...bins, offsets: changed(bins.offsets, 6, rows - 1) } },
    { bins: { ...bins, offsets: changed(bins.offsets, 2, rows + 5) } },
    { bins: { ...bins, ids: changed(bins.ids, 0, bins.ids[1] as number) } },
    { bins: { ...bins, ids: changed(bins.ids, 4, -1) } },
    { bins: { ...bins, ids: changed(bins.ids, 4, rows) } },
    { vectors: changed(state.vectors as Float32Array<ArrayBuffer>, 40, Number.POSITIVE_INFINITY) },
    { classifier: { ...classifier, parameters: changed(classifier.parameters, 9, Number.NaN) } },
    { classifier: { ...classifier, buffers: changed(classifier.buffers, 9, Number.NaN) } },
    { classifier: input('mean') },
    { classifier: input('scale') },
    { classifier: { ...classifier, temperature: 0 } },
    { classifier: { ...classifier, temperature: Number.NaN } },
    codesWith({ columns: changed(codes?.columns, 0, 1) }),
    codesWith({ codebooks: changed(codes?.codebooks, 0, Number.NaN) }),
    codesWith({ means: changed(codes?.means, 0, Number.NaN) })
  ]
  for (const edit of wrong) {
    const right = await t.throwsAsync(native.openSearcher({ ...state, ...edit }, job), { code: 'ERR_NLSH_ARGUMENT' })
    const { message } = right as Error
    await t.throwsAsync(typescript.openSearcher({ ...state, ...edit }, job), { code: 'ERR_NLSH_ARGUMENT', message })
  }
})

// ----------------------------------------------------------------------------------- exact search, and being a guest

for (const metric of metrics) {
  test(`exact search by ${metric}: the same neighbors`, async (t) => {
    const all = clustered(700, dimensions, 9, 4)
    const [vectors, queries] = await Promise.all(
      [all.slice(0, 600 * dimensions), all.slice(600 * dimensions)].map((part) =>
        typescript.prepareVectors(part, dimensions, metric, 'vectors', job)
      )
    )
    const [right, found] = await Promise.all(
      [native, typescript].map((engine) =>
        engine.exactSearch(vectors as Float32Array, queries as Float32Array, dimensions, metric, k, job)
      )
    )
    t.deepEqual(found?.ids, right?.ids)
    t.true(areClose(found?.distances as Float32Array, right?.distances as Float32Array))
  })
}

test('batches let the event loop turn, tell their progress, and stop', async (t) => {
  const { state } = await sample({ network: perceptron })
  const searcher = await typescript.openSearcher(state, job)
  const queries = clustered(3000, dimensions, 40, 9)
  const request = { k, probing: { probes: 24 }, reranked: 0 }
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const reports: [number, number][] = []
  await searcher.searchBatch(queries, request, { ...job, onProgress: (...report) => reports.push(report) })
  clearInterval(timer)
  t.true(turns >= 10, `${turns} turns`)
  t.deepEqual(reports.at(-1), [3000, 3000])
  t.true(reports.length > 40 && reports.every(([done], i) => done > (reports[i - 1]?.[0] ?? 0)))

  const reason = new Error('enough')
  const stopped: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => searcher.searchBatch(queries, request, { ...job, signal }),
    (signal) => searcher.searchTimed(queries, request, { ...job, signal }),
    (signal) => searcher.searchRadius(queries, { radius: 9, probing: { probes: 24 } }, 'queries', { ...job, signal }),
    (signal) => searcher.route(queries, 24, { ...job, signal }),
    (signal) => typescript.exactSearch(queries, queries, dimensions, 'euclidean', k, { ...job, signal })
  ]
  for (const start of stopped) {
    await t.throwsAsync(start(AbortSignal.abort(reason)), { is: reason })
    const controller = new AbortController()
    setTimeout(() => controller.abort(reason), 3)
    await t.throwsAsync(start(controller.signal), { is: reason })
  }
  const fails = () => {
    throw reason
  }
  await t.throwsAsync(searcher.searchBatch(queries, request, { ...job, onProgress: fails }), { is: reason })
})
