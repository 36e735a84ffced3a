import test from 'ava'
import fc from 'fast-check'
import type { Metric } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { approximateNeighbors, exactSearch, knnGraph } from '../../lib/engines/typescript/knn-graph.js'
import { similarityGraph } from '../../lib/engines/typescript/similarity-graph.js'
import { areBytes, prepareVectors } from '../../lib/engines/typescript/vectors.js'
import { ArgumentError } from '../../lib/errors.js'
import { leastMilliseconds, millisecondsOf } from '../support/times.js'
import { clustered, integers, metrics } from '../support/vectors.js'
import { readWords } from '../support/words.js'
import { nearest } from './brute-force.js'

const native = createNativeEngine()
const job = { threads: 1 }
const exact = (neighbors: number) => ({ neighbors, method: 'exact', seed: 1 }) as const

for (const metric of metrics) {
  test(`${metric}: the exact graph of words is the native engine's`, async (t) => {
    const { vectors, dimensions } = await readWords(1500)
    const prepared = await prepareVectors(vectors, dimensions, metric, 'vectors', job)
    t.deepEqual(prepared, await native.prepareVectors(vectors, dimensions, metric, 'vectors', job))
    const expected = await native.knnGraph(prepared, dimensions, metric, exact(10), job)
    const found = await knnGraph(prepared, dimensions, metric, exact(10), job)
    t.deepEqual(found.ids, expected.ids)
    t.true(found.distances.every((x, i) => Math.abs(x - (expected.distances[i] as number)) <= 1e-6 * (1 + Math.abs(x))))
    t.deepEqual(await similarityGraph(found, job), await native.similarityGraph(expected, job))
  })
}

/** Vectors whose distances are exact in doubles, with many ties and duplicates: bytes, small integers, halves. */
const tied = fc
  .record({
    rows: fc.integer({ min: 2, max: 150 }),
    dimensions: fc.integer({ min: 1, max: 20 }),
    range: fc.constantFrom([0, 2], [0, 255], [-2, 2]),
    step: fc.constantFrom(1, 0.5),
    metric: fc.constantFrom<Metric>('euclidean', 'inner-product')
  })
  .chain(({ rows, dimensions, range: [min, max], step, metric }) => {
    const number = fc.integer({ min: min as number, max: max as number })
    return fc.record({
      metric: fc.constant(metric),
      dimensions: fc.constant(dimensions),
      vectors: fc
        .array(number, { minLength: rows * dimensions, maxLength: rows * dimensions })
        .map((values) => Float32Array.from(values, (value) => value * step)),
      neighbors: fc.integer({ min: 1, max: Math.min(rows - 1, 30) })
    })
  })

test('ties and duplicates come by row number, as by brute force', async (t) => {
  await fc.assert(
    fc.asyncProperty(tied, async ({ metric, dimensions, vectors, neighbors }) => {
      const { ids, distances } = await knnGraph(vectors, dimensions, metric, exact(neighbors), job)
      for (let row = 0; row * dimensions < vectors.length; row++) {
        const expected = nearest(metric, vectors, vectors, row, dimensions, neighbors, row)
        const range = [row * neighbors, (row + 1) * neighbors] as const
        t.deepEqual(
          Array.from(ids.subarray(...range)),
          expected.map(({ id }) => id)
        )
        t.deepEqual(
          distances.subarray(...range),
          Float32Array.from(expected, ({ distance }) => distance)
        )
      }
    }),
    { numRuns: 60, seed: 1 }
  )
})

test('bytes of more dimensions than share a double, of exactly as many, and of fewer', async (t) => {
  for (const dimensions of [784, 1031, 1032, 1033]) {
    // As near as can be to rows of 255 only, whose products are the largest.
    const vectors = new Float32Array(150 * dimensions).fill(255)
    for (let row = 0; row < 150; row++) vectors[row * dimensions + (row % 40)] = 254 - (row % 3)
    for (const metric of ['euclidean', 'inner-product'] as const) {
      const found = await knnGraph(vectors, dimensions, metric, exact(9), job)
      t.deepEqual(found, await native.knnGraph(vectors, dimensions, metric, exact(9), job), `${metric} ${dimensions}`)
    }
  }
})

test('far from the origin', async (t) => {
  const vectors = clustered(500, 12).map((x) => x + 4096)
  const found = await knnGraph(vectors, 12, 'euclidean', exact(10), job)
  t.deepEqual(found.ids, (await native.knnGraph(vectors, 12, 'euclidean', exact(10), job)).ids)
})

test('the nearest of other queries, with and without ties', async (t) => {
  for (const [vectors, queries] of [
    [clustered(700, 9), clustered(90, 9, 16, 5)],
    [integers(700, 9), integers(90, 9, 5)]
  ] as const) {
    for (const metric of ['euclidean', 'inner-product'] as const) {
      const found = await exactSearch(vectors, queries, 9, metric, 12, job)
      const expected = await native.exactSearch(vectors, queries, 9, metric, 12, job)
      t.deepEqual(found.ids, expected.ids)
    }
  }
  const none = await exactSearch(clustered(70, 9), new Float32Array(0), 9, 'euclidean', 3, job)
  t.is(none.ids.length, 0)
  const all = await exactSearch(Float32Array.of(1, 2, 3), Float32Array.of(2.9), 1, 'euclidean', 3, job)
  t.deepEqual(Array.from(all.ids), [2, 1, 0])
})

test('NN-descent finds 95 of 100 neighbors, different ones, the nearest first', async (t) => {
  const vectors = clustered(4000, 24, 400, 2, 3)
  const expected = await native.knnGraph(vectors, 24, 'euclidean', exact(10), job)
  const asked = { vectors, dimensions: 24, metric: 'euclidean', neighbors: 10, seed: 1 } as const
  const { ids, distances } = await approximateNeighbors(asked, job)
  let hits = 0
  for (let row = 0; row < 4000; row++) {
    const range = [row * 10, (row + 1) * 10] as const
    const own = new Set(ids.subarray(...range))
    t.is(own.size, 10)
    t.false(own.has(row))
    const near = distances.subarray(...range)
    t.deepEqual(near, near.toSorted())
    hits += expected.ids.subarray(...range).filter((id) => own.has(id)).length
  }
  t.true(hits / 40_000 >= 0.95, `${hits / 40_000}`)
  t.deepEqual((await approximateNeighbors(asked, job)).ids, ids)
  t.notDeepEqual((await approximateNeighbors({ ...asked, seed: 2 }, job)).ids, ids)
})

test('similarity graphs of random neighbors are those of the native engine', async (t) => {
  const lists = fc.integer({ min: 2, max: 60 }).chain((rows) =>
    fc.integer({ min: 1, max: Math.min(8, rows - 1) }).chain((neighbors) =>
      fc
        .array(fc.shuffledSubarray([...Array(rows - 1).keys()], { minLength: neighbors, maxLength: neighbors }), {
          minLength: rows,
          maxLength: rows
        })
        .map((others) => ({
          neighbors,
          ids: Int32Array.from(others.flatMap((row, i) => row.map((other) => (other < i ? other : other + 1))))
        }))
    )
  )
  await fc.assert(
    fc.asyncProperty(lists, async (knn) => {
      t.deepEqual(await similarityGraph(knn, job), await native.similarityGraph(knn, job))
    }),
    { numRuns: 60, seed: 1 }
  )
})

test('what is wrong is named as by the native engine', async (t) => {
  const failures = [
    (engine: Parts) => engine.similarityGraph({ neighbors: 1, ids: Int32Array.of(1, 2) }, job),
    (engine: Parts) => engine.similarityGraph({ neighbors: 1, ids: Int32Array.of(1, 1) }, job),
    (engine: Parts) => engine.similarityGraph({ neighbors: 2, ids: Int32Array.of(1, 1, 0, 2, 0, 1) }, job),
    (engine: Parts) => engine.prepareVectors(Float32Array.of(1, 2, 3, Number.NaN), 2, 'euclidean', 'queries', job),
    (engine: Parts) => engine.prepareVectors(Float32Array.of(1, -Infinity), 2, 'cosine', 'vectors', job),
    (engine: Parts) => engine.prepareVectors(Float32Array.of(1, 2, 0, 0), 2, 'cosine', 'vectors', job),
    (engine: Parts) => engine.prepareVectors(Float32Array.of(1e30, 1), 2, 'euclidean', 'vectors', job)
  ]
  for (const fail of failures) {
    const expected = await t.throwsAsync(() => fail(native), { instanceOf: ArgumentError })
    await t.throwsAsync(() => fail({ similarityGraph, prepareVectors }), {
      instanceOf: ArgumentError,
      message: expected.message
    })
  }
})

type Parts = Pick<typeof native, 'similarityGraph' | 'prepareVectors'>

test('bytes are told from other numbers', async (t) => {
  const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(-1, 256, 0.5, -0, 3e9)), {
    minLength: 1
  })
  await fc.assert(
    fc.asyncProperty(values, async (numbers) => {
      const vectors = Float32Array.from(numbers)
      t.is(await areBytes(vectors, job), await native.areBytes(vectors, job))
    }),
    { numRuns: 60, seed: 1 }
  )
})

test.serial('a signal stops it at once, and what onProgress throws rejects', async (t) => {
  const vectors = clustered(3000, 32)
  const reason = new Error('enough')
  const milliseconds = await leastMilliseconds(1000, () => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(reason), 20)
    const stopped = knnGraph(vectors, 32, 'euclidean', exact(10), { threads: 1, signal: controller.signal })
    return millisecondsOf(t.throwsAsync(stopped, { is: reason }))
  })
  t.true(milliseconds < 1000, `${milliseconds} ms`)
  const thrown = new Error('no')
  const onProgress = () => {
    throw thrown
  }
  await t.throwsAsync(knnGraph(vectors, 32, 'euclidean', exact(10), { threads: 1, onProgress }), { is: thrown })
})
