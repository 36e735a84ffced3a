/** searchRadius and searchRadiusBatch: everything that is near enough among the candidates, and nothing else. */
import anyTest, { type TestFn } from 'ava'
import {
  type BuildOptions,
  ClosedError,
  type Metric,
  NeuralLSH,
  type RadiusOptions,
  readVectors,
  type ScanType
} from '../lib/index.js'
import { wordsFile } from './cli/run.js'
import { rejectsArgument } from './support/rejection.js'
import { clustered, findFault, metrics, ranking } from './support/vectors.js'

const rows = 1200
const asked = 12
const bins = 8
const scans: ScanType[] = ['exact', 'int8', 'pq4']

interface Data {
  base: Float32Array
  queries: Float32Array
}

const test = anyTest as TestFn<{ dimensions: number; kinds: { [kind: string]: Data }; index: NeuralLSH }>

/** Real word vectors; as integers they are kept as bytes, and compared in integers where the queries are, too. */
test.before(async (t) => {
  const { vectors, dimensions } = await readVectors(wordsFile, { limit: rows + asked })
  const split = (values: Float32Array): Data => ({
    base: values.slice(0, rows * dimensions),
    queries: values.slice(rows * dimensions)
  })
  const bytes = vectors.map((value) => Math.min(255, Math.max(0, Math.round(24 * value + 128))))
  const kinds = {
    floats: split(vectors),
    bytes: split(bytes),
    'bytes, queries between them': { ...split(bytes), queries: split(bytes).queries.map((value) => value + 0.25) }
  }
  t.context = { dimensions, kinds, index: await build(kinds.floats.base, dimensions) }
})

const build = (base: Float32Array, dimensions: number, options: Partial<BuildOptions> = {}) =>
  NeuralLSH.build(base, { dimensions, bins, partition: { method: 'kmeans' }, router: 'centroids', ...options })

/** A radius in the widest gap between the distances of the 10th and the 60th: rounding cannot move one across. */
function radiusInGap(distances: number[]): { radius: number; count: number } {
  const gaps = distances.slice(10, 60).map((distance, i) => distance - (distances[9 + i] as number))
  const count = 10 + gaps.indexOf(Math.max(...gaps))
  return { radius: ((distances[count - 1] as number) + (distances[count] as number)) / 2, count }
}

const rowOf = (values: Float32Array, row: number, dimensions: number) =>
  values.slice(row * dimensions, (row + 1) * dimensions)

/** What the index finds of the query in all bins, far enough out to see where it stops. */
const everything = (index: NeuralLSH, query: Float32Array) => index.search(query, { k: index.size, probes: index.bins })

for (const metric of metrics) {
  for (const scan of scans) {
    for (const kind of ['floats', 'bytes', 'bytes, queries between them']) {
      test(`${metric}, ${kind}, scan ${scan}: in all bins, what brute force in double precision finds`, async (t) => {
        const { dimensions, kinds } = t.context
        const { base, queries } = kinds[kind] as Data
        const index = await build(base, dimensions, { metric, scan })
        t.is(index.options.scan, scan)
        for (let query = 0; query < asked; query++) {
          const ranked = ranking(base, queries, query, dimensions, metric)
          const { radius, count } = radiusInGap(ranked.map(({ distance }) => distance))
          const found = await index.searchRadius(rowOf(queries, query, dimensions), { radius, probes: bins })
          t.is(found.ids.length, count)
          t.is(found.distances.length, count)
          const tolerance = 1e-6 * Math.max(1, Math.abs(radius))
          t.is(findFault(found.ids, found.distances, ranked, tolerance), undefined)
          t.deepEqual([found.candidates, found.probes], [rows, bins])
        }
      })
    }
  }
}

test('in few bins it finds the near ones of those that search finds there, in the same order', async (t) => {
  const { dimensions, kinds, index } = t.context
  const { queries } = kinds.floats as Data
  for (let row = 0; row < asked; row++) {
    const query = rowOf(queries, row, dimensions)
    for (const probing of [{ probes: 1 }, { probes: 3 }, { mass: 0.8 }, { recall: 0.9 }, {}]) {
      const { candidates, probes } = await index.search(query, { k: 1, ...probing })
      const all = await index.search(query, { k: candidates, ...probing })
      const radius = all.distances[Math.floor(candidates / 3)] as number
      const near = all.distances.findLastIndex((distance) => distance <= radius) + 1
      t.deepEqual(await index.searchRadius(query, { radius, ...probing }), {
        ids: all.ids.slice(0, near),
        distances: all.distances.slice(0, near),
        candidates,
        probes
      })
    }
  }
})

const awkward: [string, (dimensions: number) => Float32Array][] = [
  ['far from the origin', (dimensions) => clustered(300, dimensions, 5).map((value) => 1000 + value)],
  ['tiny', (dimensions) => clustered(300, dimensions, 5).map((value) => 1e-21 * value)],
  ['huge', (dimensions) => clustered(300, dimensions, 5).map((value) => 1e17 * value)]
]

for (const [kind, make] of awkward) {
  for (const metric of metrics) {
    test(`${kind}, ${metric}: what is exactly as far as the radius is found, what is the least bit farther is not`, async (t) => {
      const dimensions = 67
      const vectors = make(dimensions)
      const index = await build(vectors, dimensions, { metric, scan: 'exact' })
      const query = rowOf(vectors, 7, dimensions)
      const { ids, distances } = await everything(index, query)
      for (const place of [0, 1, 5, 50, 100, 200, 299]) {
        const radius = distances[place] as number
        if (radius < 0 && metric === 'cosine') continue
        const count = distances.findLastIndex((distance) => distance <= radius) + 1
        const found = await index.searchRadius(query, { radius, probes: bins })
        t.deepEqual(found.ids, ids.slice(0, count), `${radius}`)
        t.deepEqual(found.distances, distances.slice(0, count))
        const below = distances.findLastIndex((distance) => distance < radius)
        const less = below < 0 ? undefined : (distances[below] as number)
        if (less === undefined || (less < 0 && metric === 'cosine')) continue
        t.is((await index.searchRadius(query, { radius: less, probes: bins })).ids.length, below + 1)
      }
    })
  }
}

test('radius 0 finds the vector itself and its duplicates, by row number', async (t) => {
  const { dimensions, kinds } = t.context
  for (const kind of ['floats', 'bytes']) {
    const { base } = kinds[kind] as Data
    const twice = new Float32Array(2 * base.length)
    twice.set(base)
    twice.set(base, base.length)
    const index = await build(twice, dimensions)
    for (const row of [0, 500, rows - 1]) {
      const { ids, distances } = await index.searchRadius(rowOf(base, row, dimensions), { radius: 0, probes: bins })
      t.deepEqual([...ids], [row, row + rows])
      t.deepEqual([...distances], [0, 0])
    }
  }
})

test('a radius beyond everything finds everything, in all bins', async (t) => {
  const { dimensions, kinds, index } = t.context
  const query = rowOf((kinds.floats as Data).queries, 0, dimensions)
  for (const radius of [1e6, Number.MAX_VALUE]) {
    const { ids, distances, ...visited } = await index.searchRadius(query, { radius, probes: bins })
    t.deepEqual({ ids, distances, ...visited }, await everything(index, query))
    t.is(new Set(ids).size, rows)
  }
})

test('where nothing is near enough, nothing comes back', async (t) => {
  const { dimensions, kinds, index } = t.context
  const { queries } = kinds.floats as Data
  const { ids, distances, candidates } = await index.searchRadius(rowOf(queries, 0, dimensions), {
    radius: 0,
    probes: bins
  })
  t.deepEqual([ids.length, distances.length, candidates], [0, 0, rows])
  const batch = await index.searchRadiusBatch(queries, { radius: 0, probes: bins })
  t.deepEqual([...batch.offsets], Array(asked + 1).fill(0))
  t.is(batch.ids.length, 0)
})

test('a batch is its queries one by one, on any number of threads, and tells its progress', async (t) => {
  const { dimensions, kinds, index } = t.context
  const { base } = kinds.floats as Data
  const count = 300
  const queries = base.slice(0, count * dimensions)
  for (const options of [{ radius: 30, probes: 2 }, { radius: 25, mass: 0.9 }, { radius: 20 }] as RadiusOptions[]) {
    const done: number[] = []
    const onProgress = (progress: { done: number; total: number }) => {
      if (progress.total === count) done.push(progress.done)
    }
    const batch = await index.searchRadiusBatch(queries, { ...options, threads: 1, onProgress })
    t.deepEqual(await index.searchRadiusBatch(queries, { ...options, threads: 0 }), batch)
    t.is(done.at(-1), count)
    t.is(batch.offsets.length, count + 1)
    t.is(batch.offsets[count], batch.ids.length)
    for (let row = 0; row < count; row++) {
      const [start, end] = [batch.offsets[row], batch.offsets[row + 1]]
      t.deepEqual(await index.searchRadius(rowOf(queries, row, dimensions), options), {
        ids: batch.ids.slice(start, end),
        distances: batch.distances.slice(start, end),
        candidates: batch.candidates[row] as number,
        probes: batch.probes[row] as number
      })
    }
  }
})

test('a batch can be stopped, by its signal or by what its progress throws', async (t) => {
  const { dimensions, kinds, index } = t.context
  const queries = (kinds.floats as Data).base
  const controller = new AbortController()
  const stopped = index.searchRadiusBatch(queries, { radius: 1e6, probes: bins, signal: controller.signal })
  controller.abort()
  await t.throwsAsync(stopped, { any: true, name: 'AbortError' })
  const onProgress = () => {
    throw new Error('enough')
  }
  await t.throwsAsync(index.searchRadiusBatch(queries, { radius: 1, onProgress }), { message: 'enough' })
  t.true((await index.searchRadius(rowOf(queries, 0, dimensions), { radius: 1e6 })).ids.length > 0)
})

test('wrong arguments are named', async (t) => {
  const { dimensions, kinds, index } = t.context
  const { base, queries } = kinds.floats as Data
  const query = rowOf(queries, 0, dimensions)
  const wrong: [string, object | undefined, RegExp][] = [
    ['radius', undefined, /is required: a finite number from 0/],
    ['radius', {}, /is required/],
    ['radius', { radius: -1 }, /a finite number from 0, but is -1/],
    ['radius', { radius: Number.NaN }, /finite/],
    ['radius', { radius: Number.POSITIVE_INFINITY }, /finite/],
    ['radius', { radius: '5' }, /finite/],
    ['probes', { radius: 1, probes: bins + 1 }, /from 1 to 8/],
    ['mass', { radius: 1, probes: 1, mass: 0.5 }, /together with probes/],
    ['recall', { radius: 1, recall: 2 }, /at most 1/],
    ['k', { radius: 1, k: 5 }, /is not an option/]
  ]
  for (const [argument, options, message] of wrong) {
    await rejectsArgument(t, () => index.searchRadius(query, options as RadiusOptions), argument, message)
    await rejectsArgument(t, () => index.searchRadiusBatch(queries, options as RadiusOptions), argument, message)
  }
  await rejectsArgument(t, () => index.searchRadius(queries, { radius: 1 }), 'query', /the index's dimensions/)
  await rejectsArgument(t, () => index.searchRadiusBatch(query.slice(1), { radius: 1 }), 'queries', /multiple/)
  const broken = queries.slice().fill(Number.NaN, 3 * dimensions, 3 * dimensions + 1)
  await rejectsArgument(t, () => index.searchRadiusBatch(broken, { radius: 1 }), 'queries', /row 3, column 0 is NaN/)
  await rejectsArgument(
    t,
    () => index.searchRadius(rowOf(broken, 3, dimensions), { radius: 1 }),
    'query',
    /column 0 is NaN/
  )

  const cosine = await build(base, dimensions, { metric: 'cosine' as Metric })
  await rejectsArgument(t, () => cosine.searchRadius(query, { radius: -0.1 }), 'radius', /from 0/)
  const inner = await build(base, dimensions, { metric: 'inner-product' as Metric })
  t.true((await inner.searchRadius(query, { radius: -5, probes: bins })).distances.every((distance) => distance <= -5))
  inner.close()
  await t.throwsAsync(inner.searchRadius(query, { radius: 1 }), { instanceOf: ClosedError })
})
