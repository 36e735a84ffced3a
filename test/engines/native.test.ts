import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import type { Classifier, Metric, Probing, SearchRequest, SearchState } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { ArgumentError, ClosedError } from '../../lib/errors.js'
import { distance, nearest, randomNumbers } from './brute-force.js'

const engine = createNativeEngine()
const job = { threads: 0 }
const asks = (k: number, probing: Probing): SearchRequest => ({ k, probing, reranked: 0 })
const run = promisify(execFile)

for (const variant of ['amx', 'vbmi', 'vnni', 'avx512', 'avx2', 'baseline']) {
  test(`exact neighbors equal brute force in double precision: ${variant} kernels`, async (t) => {
    const script = fileURLToPath(new URL('neighbors.ts', import.meta.url))
    const { stdout } = await run(process.execPath, ['--import=tsx', script], {
      env: { ...process.env, NEURAL_LSH_KERNELS: variant }
    })
    // A CPU without the variant takes the best that it has.
    t.regex(stdout, /native \((amx|vbmi|vnni|avx512|avx2|baseline) kernels/)
    if (variant === 'baseline') t.regex(stdout, /baseline/)
  })
}

function randomVectors(rows: number, dimensions: number, seed: number) {
  const random = randomNumbers(seed)
  return Float32Array.from({ length: rows * dimensions }, () => random() - 0.3)
}

test('the similarity graph is the symmetrised k-NN graph', async (t) => {
  const rows = 3000
  const knn = await engine.knnGraph(
    randomVectors(rows, 8, 1),
    8,
    'euclidean',
    { neighbors: 7, method: 'exact', seed: 1 },
    job
  )
  const { xadj, adjncy, adjcwgt } = await engine.similarityGraph(knn, job)
  const expected = new Map<string, number>()
  for (let i = 0; i < rows; i++) {
    for (const j of knn.ids.subarray(i * 7, i * 7 + 7)) {
      const key = i < j ? `${i},${j}` : `${j},${i}`
      expected.set(key, (expected.get(key) ?? 0) + 1)
    }
  }
  t.is(adjncy.length, 2 * expected.size)
  t.is(adjcwgt.length, adjncy.length)
  t.is(xadj.length, rows + 1)
  let selfLoops = 0
  let wrong = 0
  for (let i = 0; i < rows; i++) {
    for (let e = xadj[i] as number; e < (xadj[i + 1] as number); e++) {
      const j = adjncy[e] as number
      if (i === j) selfLoops++
      if (expected.get(i < j ? `${i},${j}` : `${j},${i}`) !== adjcwgt[e]) wrong++
    }
  }
  t.is(selfLoops, 0)
  t.is(wrong, 0)
})

test('rows are reordered into another array and in place', async (t) => {
  const [rows, dimensions, bins] = [1000, 3, 12]
  const random = randomNumbers(8)
  const labels = Int32Array.from({ length: rows }, () => Math.floor(random() * bins))
  const from = randomVectors(rows, dimensions, 6)
  const to = new Float32Array(from.length)
  const { ids, offsets } = await engine.groupIntoBins(labels, bins, { from, to, dimensions }, job)
  t.deepEqual(from, randomVectors(rows, dimensions, 6))
  ids.forEach((id, row) => {
    t.deepEqual(
      to.subarray(row * dimensions, (row + 1) * dimensions),
      from.subarray(id * dimensions, (id + 1) * dimensions)
    )
    t.true(row >= (offsets[labels[id] as number] as number) && row < (offsets[(labels[id] as number) + 1] as number))
  })
  await engine.groupIntoBins(labels, bins, { from, to: from, dimensions }, job)
  t.deepEqual(from, to)
})

test('a damaged k-NN graph is refused', async (t) => {
  const distances = new Float32Array(4)
  const graph = (...ids: number[]) => ({ neighbors: 2, ids: Int32Array.from(ids), distances })
  for (const broken of [
    graph(1, 1, 0, 2, 0, 1),
    graph(0, 1, 0, 2, 0, 1),
    graph(1, 9, 0, 2, 0, 1),
    graph(1, -1, 0, 2, 0, 1)
  ]) {
    await t.throwsAsync(engine.similarityGraph(broken, job), { instanceOf: ArgumentError })
  }
})

/** A search state over random points, random bins (one of them empty) and a random network: exactness does not
 * depend on how good they are. */
async function randomState(metric: Metric, rows: number, dimensions: number, bins: number): Promise<SearchState> {
  const random = randomNumbers(3)
  const labels = Int32Array.from({ length: rows }, () => Math.floor(random() * (bins - 1)))
  const points = await engine.prepareVectors(randomVectors(rows, dimensions, 5), dimensions, metric, 'vectors', job)
  const vectors = new Float32Array(points.length)
  const grouped = await engine.groupIntoBins(labels, bins, { from: points, to: vectors, dimensions }, job)
  const parameters = Float32Array.from({ length: dimensions * bins + bins }, () => random() - 0.5)
  const classifier: Classifier = {
    network: { inputShape: [dimensions, 1, 1], layers: [{ type: 'linear', outputs: bins, bias: true }] },
    parameters,
    buffers: new Float32Array(0),
    input: {
      unitLength: false,
      mean: new Float32Array(dimensions),
      scale: new Float32Array(dimensions).fill(1)
    },
    temperature: 1
  }
  return { metric, dimensions, classifier, bins: grouped, vectors, scan: 'exact' }
}

for (const metric of ['euclidean', 'cosine', 'inner-product'] as const) {
  test(`probing every bin finds the exact neighbors: ${metric}`, async (t) => {
    const [rows, dimensions, bins, k] = [900, 19, 7, 12]
    const state = await randomState(metric, rows, dimensions, bins)
    const searcher = await engine.openSearcher(state, job)
    const queries = randomVectors(30, dimensions, 9)
    const prepared = await engine.prepareVectors(queries, dimensions, metric, 'queries', job)
    const original = new Float32Array(state.vectors.length)
    state.bins.ids.forEach((id, row) => {
      original.set(state.vectors.subarray(row * dimensions, (row + 1) * dimensions), id * dimensions)
    })
    const found = await searcher.searchBatch(queries, asks(k, { probes: bins }), job)
    for (let i = 0; i < 30; i++) {
      const expected = nearest(metric, original, prepared, i, dimensions, k)
      t.deepEqual(
        [...found.ids.subarray(i * k, (i + 1) * k)],
        expected.map(({ id }) => id)
      )
      found.distances.subarray(i * k, (i + 1) * k).forEach((value, j) => {
        t.true(Math.abs(value - (expected[j]?.distance ?? 0)) < 1e-6)
      })
      const query = queries.subarray(i * dimensions, (i + 1) * dimensions)
      t.deepEqual(searcher.searchSync(query, asks(k, { probes: bins })).ids, found.ids.slice(i * k, (i + 1) * k))
      t.deepEqual((await searcher.search(query, asks(k, { probes: bins }))).ids, found.ids.slice(i * k, (i + 1) * k))
    }
  })
}

test('routes are the softmax of the network, and probing follows them', async (t) => {
  const [rows, dimensions, bins, k] = [500, 6, 9, 5]
  const state = await randomState('euclidean', rows, dimensions, bins)
  const searcher = await engine.openSearcher(state, job)
  const queries = randomVectors(80, dimensions, 11)
  const routes = await searcher.route(queries, bins, job)
  const size = (bin: number) => (state.bins.offsets[bin + 1] as number) - (state.bins.offsets[bin] as number)
  const { parameters } = state.classifier
  for (let q = 0; q < 80; q++) {
    const logits = Array.from({ length: bins }, (_, b) => {
      let sum = parameters[dimensions * bins + b] as number
      for (let c = 0; c < dimensions; c++)
        sum += (parameters[b * dimensions + c] as number) * (queries[q * dimensions + c] as number)
      return sum
    })
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
    const ranking = [...routes.bins.subarray(q * bins, (q + 1) * bins)]
    const probabilities = [...routes.probabilities.subarray(q * bins, (q + 1) * bins)]
    t.deepEqual(
      ranking.toSorted((a, b) => a - b),
      Array.from({ length: bins }, (_, bin) => bin)
    )
    t.deepEqual(
      probabilities.toSorted((a, b) => b - a),
      probabilities
    )
    // The weights are rounded to 8 bits for routing.
    for (const [i, bin] of ranking.entries())
      t.true(Math.abs((probabilities[i] as number) - Math.exp(logits[bin] as number) / total) < 0.01)
    const query = queries.subarray(q * dimensions, (q + 1) * dimensions)
    for (const mass of [0.2, 0.5, 0.9]) {
      let [reached, probes, candidates] = [0, 0, 0]
      for (const [i, bin] of ranking.entries()) {
        if (reached >= mass && candidates >= k) break
        reached += probabilities[i] as number
        candidates += size(bin)
        probes++
      }
      const result = searcher.searchSync(query, asks(k, { mass }))
      t.is(result.probes, probes)
      t.is(result.candidates, candidates)
    }
  }
})

test('probing goes on until there are k candidates', async (t) => {
  const state = await randomState('euclidean', 300, 4, 50)
  const searcher = await engine.openSearcher(state, job)
  const result = searcher.searchSync(randomVectors(1, 4, 2), asks(100, { probes: 1 }))
  t.true(result.candidates >= 100)
  t.true(result.probes > 1)
  t.is(new Set(result.ids).size, 100)
  for (let i = 1; i < 100; i++) t.true((result.distances[i] as number) >= (result.distances[i - 1] as number))
  const row = state.bins.ids.indexOf(result.ids[0] as number)
  const exact = distance('euclidean', randomVectors(1, 4, 2), 0, Float32Array.from(state.vectors), row, 4)
  t.true(Math.abs((result.distances[0] as number) - exact) < 1e-6)
})

test('a state that does not hold together is refused', async (t) => {
  const broken = async (change: (state: SearchState) => void) => {
    const state = await randomState('euclidean', 100, 4, 5)
    change(state)
    await t.throwsAsync(engine.openSearcher(state, job), { instanceOf: ArgumentError })
  }
  await broken(({ bins }) => (bins.ids[3] = bins.ids[4] as number))
  await broken(({ bins }) => (bins.ids[3] = -1))
  await broken(({ bins }) => (bins.ids[3] = 100))
  await broken(({ bins }) => (bins.offsets[1] = 101))
  await broken(({ bins }) => (bins.offsets[5] = 99))
  await broken(({ vectors }) => (vectors[7] = Number.NaN))
  await broken(({ classifier }) => (classifier.parameters[7] = Number.POSITIVE_INFINITY))
  await broken((state) => (state.bins.offsets = state.bins.offsets.slice(1)))
  await broken((state) => (state.classifier.parameters = state.classifier.parameters.slice(1)))
})

test('codes that are not finite, or of another size, are refused', async (t) => {
  const state = await randomState('euclidean', 100, 5, 5)
  const codes = await engine.encodeFourBits(state, 1, job)
  const open = (changed: Partial<typeof codes>) =>
    engine.openSearcher({ ...state, scan: 'pq4', codes: { ...codes, ...changed } }, job)
  await t.notThrowsAsync(open({}))
  for (const changed of [
    { codes: codes.codes.slice(1) },
    { codebooks: codes.codebooks.slice(1) },
    { means: codes.means.slice(1) },
    { columns: codes.columns.slice(1) },
    { columns: codes.columns.map((column, i) => (i === 1 ? (codes.columns[0] as number) : column)) },
    { codebooks: codes.codebooks.map((value, i) => (i === 7 ? Number.NaN : value)) },
    { means: codes.means.map((value, i) => (i === 3 ? Number.POSITIVE_INFINITY : value)) }
  ]) {
    const error = await t.throwsAsync(open(changed), { instanceOf: ArgumentError })
    t.regex((error as ArgumentError | undefined)?.argument ?? '', /^codes\./)
  }
})

for (const metric of ['euclidean', 'cosine', 'inner-product'] as const) {
  test(`every scan finds the exact neighbors where all candidates are compared again, and together as alone: ${metric}`, async (t) => {
    const [rows, dimensions, bins, k] = [700, 21, 9, 10]
    const state = await randomState(metric, rows, dimensions, bins)
    const queries = randomVectors(40, dimensions, 23)
    const request = { k, probing: { probes: bins }, reranked: rows }
    const plain = await (await engine.openSearcher(state, job)).searchBatch(queries, request, job)
    for (const scan of ['int8', 'pq4'] as const) {
      const codes = scan === 'pq4' ? await engine.encodeFourBits(state, 1, job) : undefined
      const searcher = await engine.openSearcher({ ...state, scan, codes }, job)
      const together = await searcher.searchBatch(queries, request, job)
      t.deepEqual(together.ids, plain.ids, scan)
      t.deepEqual(together.distances, plain.distances, scan)
      // With few compared again, too, an answer does not depend on the queries beside it.
      const few = { ...request, reranked: 15 }
      const batch = await searcher.searchBatch(queries, few, job)
      const timed = await searcher.searchTimed(queries, few, job)
      t.deepEqual(timed.ids, batch.ids, scan)
      t.true(timed.seconds.every((seconds) => seconds > 0))
      const first = searcher.searchSync(queries.subarray(0, dimensions), few)
      t.deepEqual(first.ids, batch.ids.slice(0, k), scan)
    }
  })
}

test('of more copies than are compared again, those with the smallest ids are found', async (t) => {
  const [rows, dimensions, k, kinds] = [900, 21, 10, 3]
  const state = await randomState('euclidean', rows, dimensions, 1)
  const originals = randomVectors(kinds, dimensions, 29)
  state.bins.ids.forEach((id, place) => {
    const kind = id % kinds
    state.vectors.set(originals.subarray(kind * dimensions, (kind + 1) * dimensions), place * dimensions)
  })
  const expected = Int32Array.from({ length: kinds * k }, (_, i) => Math.floor(i / k) + kinds * (i % k))
  for (const scan of ['int8', 'pq4'] as const) {
    const codes = scan === 'pq4' ? await engine.encodeFourBits(state, 1, job) : undefined
    const searcher = await engine.openSearcher({ ...state, scan, codes }, job)
    for (const reranked of [k, 30, 60, 100]) {
      const found = await searcher.searchBatch(originals, { k, probing: { probes: 1 }, reranked }, job)
      t.deepEqual(found.ids, expected, `${scan}, ${reranked}`)
      t.true(found.distances.every((distance) => distance === 0))
    }
  }
})

/** Long ones, too, as some kernels take only as many numbers as fit into a cache. */
for (const [dimensions, rows, bins] of [
  [27, 6000, 30],
  [27, 12_000, 4],
  [128, 3000, 30],
  [2100, 300, 30]
] as const) {
  test(`however many threads answer a batch together or apart, queries of ${dimensions} numbers are answered as alone: ${bins} bins`, async (t) => {
    const k = 10
    const floats = await randomState('euclidean', rows, dimensions, bins)
    const bytes: SearchState = { ...floats, vectors: Uint8Array.from(floats.vectors, (x) => 100 + 100 * x) }
    const states: SearchState[] = [
      bytes,
      { ...floats, scan: 'int8' },
      { ...floats, scan: 'pq4', codes: await engine.encodeFourBits(floats, 1, job) }
    ]
    for (const state of states) {
      const random = randomNumbers(31)
      const inThisUnit = state === bytes ? () => Math.floor(256 * random()) : () => random() - 0.3
      const searcher = await engine.openSearcher(state, job)
      // As many as two threads share, one block, and a block for each.
      for (const count of [1, 5, 60, 2100]) {
        if (count > 60 && (dimensions > 27 || bins < 30)) continue
        const queries = Float32Array.from({ length: count * dimensions }, inThisUnit)
        for (const probing of [{ probes: 1 }, { probes: 2 }, { mass: 0.8 }]) {
          const request = { ...asks(k, probing), reranked: 50 } // a list that is not kept sorted
          const { seconds: _, ...alone } = await searcher.searchTimed(queries, request, job)
          for (const threads of [1, 2]) t.deepEqual(await searcher.searchBatch(queries, request, { threads }), alone)
        }
      }
    }
  })
}

test('a closed searcher answers with an error, searches that run finish', async (t) => {
  const searcher = await engine.openSearcher(await randomState('euclidean', 2000, 16, 5), job)
  const queries = randomVectors(500, 16, 4)
  const running = [
    searcher.search(queries.subarray(0, 16), asks(5, { probes: 2 })),
    searcher.searchBatch(queries, asks(5, { probes: 5 }), job)
  ]
  searcher.close()
  for (const result of await Promise.all(running)) t.true(result.ids.length > 0)
  t.throws(() => searcher.searchSync(queries.subarray(0, 16), asks(5, { probes: 2 })), { instanceOf: ClosedError })
  await t.throwsAsync(searcher.search(queries.subarray(0, 16), asks(5, { probes: 2 })), { instanceOf: ClosedError })
})
