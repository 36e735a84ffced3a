import test from 'ava'
import fc from 'fast-check'
import { createNativeEngine } from '../../lib/engines/native.js'
import { groupIntoBins } from '../../lib/engines/typescript/bins.js'
import { kmeans } from '../../lib/engines/typescript/kmeans.js'
import { ArgumentError } from '../../lib/errors.js'
import { clustered } from '../support/vectors.js'
import { readWords } from '../support/words.js'
import { nearest, randomNumbers } from './brute-force.js'

const native = createNativeEngine()
const job = { threads: 1 }

const bytes = (rows: number, dimensions: number, values = 256) => {
  const random = randomNumbers(rows)
  return Float32Array.from({ length: rows * dimensions }, () => Math.floor(values * random()))
}

const sizesOf = (labels: Int32Array, bins: number) =>
  Array.from({ length: bins }, (_, bin) => labels.filter((label) => label === bin).length)

const cases: [string, Float32Array, number, number][] = [
  ['floats', clustered(1500, 17, 40), 17, 60],
  ['floats far from the origin', clustered(1000, 9, 30).map((x) => x + 1000), 9, 40],
  ['bytes with many ties', bytes(1500, 4, 5), 4, 90],
  ['more rows than are sampled', clustered(2500, 6, 20), 6, 5],
  ['a bin for each row', clustered(200, 5, 200), 5, 200],
  ['one bin', clustered(300, 5), 5, 1]
]
for (const [name, vectors, dimensions, bins] of cases) {
  test(`${name}: each label is the nearest centroid, no bin is empty, error and balance are what they say`, async (t) => {
    const options = { bins, iterations: 10, seed: 1 }
    const { labels, centroids, meanSquaredError, balance } = await kmeans(vectors, dimensions, options, job)
    const rows = vectors.length / dimensions
    let sum = 0
    for (let row = 0; row < rows; row++) {
      const ranked = nearest('euclidean', centroids, vectors, row, dimensions, bins)
      const own = ranked.find(({ id }) => id === labels[row])?.distance ?? Number.NaN
      const first = ranked[0] as { id: number; distance: number }
      t.true(own - first.distance <= 1e-13 * first.distance, `row ${row}`)
      sum += first.distance
    }
    t.true(Math.abs(sum / rows - meanSquaredError) <= 1e-9 * meanSquaredError, `${sum / rows} ${meanSquaredError}`)
    const sizes = sizesOf(labels, bins)
    t.true(Math.min(...sizes) > 0)
    t.is(balance, Math.max(...sizes) / (rows / bins))
  })
}

test('the error for words is at most 2 % above that of the native engine, bounded bins or not', async (t) => {
  const { vectors, dimensions } = await readWords(2000)
  for (const largest of [undefined, 1.05]) {
    const options = { bins: 32, iterations: 10, seed: 1, largest }
    const found = await kmeans(vectors, dimensions, options, job)
    const expected = await native.kmeans(vectors, dimensions, options, job)
    t.true(found.meanSquaredError <= 1.02 * expected.meanSquaredError, `${largest}`)
    t.true(found.balance <= (largest ?? 32))
    t.deepEqual(await kmeans(vectors, dimensions, options, job), found)
    t.notDeepEqual((await kmeans(vectors, dimensions, { ...options, seed: 2 }, job)).labels, found.labels)
  }
})

test('bins of bounded size hold no more than that, whatever the vectors', async (t) => {
  const tasks = fc.record({
    rows: fc.integer({ min: 1, max: 200 }),
    values: fc.integer({ min: 1, max: 6 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    largest: fc.constantFrom(1, 1.05, 2)
  })
  await fc.assert(
    fc.asyncProperty(tasks, async ({ rows, values, share, largest }) => {
      const bins = 1 + Math.floor(share * (rows - 1))
      const vectors = bytes(rows, 2, values)
      const { labels } = await kmeans(vectors, 2, { bins, iterations: 4, seed: 1, largest }, job)
      const capacity = Math.max(Math.ceil(rows / bins), Math.floor((largest * rows) / bins + 1e-9))
      const sizes = sizesOf(labels, bins)
      t.true(Math.max(...sizes) <= capacity)
      const different = new Set(Array.from({ length: rows }, (_, i) => `${vectors[2 * i]} ${vectors[2 * i + 1]}`)).size
      t.true(different < bins || Math.min(...sizes) > 0, `${sizes}`)
    }),
    { numRuns: 100, seed: 1 }
  )
})

test('with fewer different vectors than bins the others stay empty', async (t) => {
  for (const [different, bins] of [
    [1, 100],
    [40, 100],
    [40, 41]
  ] as const) {
    const values = clustered(different, 3, different)
    const vectors = Float32Array.from({ length: 1000 * 3 }, (_, i) => values[i % values.length] as number)
    const found = await kmeans(vectors, 3, { bins, iterations: 10, seed: 1 }, job)
    t.true(found.meanSquaredError < 1e-12)
    t.is(sizesOf(found.labels, bins).filter((size) => size > 0).length, different)
    t.true(found.centroids.every(Number.isFinite))
  }
})

test('the few vectors that a sample misses get bins of their own', async (t) => {
  const vectors = new Float32Array(5000 * 2).fill(3)
  vectors.set([1, 0, 0, 8, 9, 9, 7, 1], 4000)
  const { labels, meanSquaredError } = await kmeans(vectors, 2, { bins: 5, iterations: 10, seed: 1 }, job)
  t.is(meanSquaredError, 0)
  t.deepEqual(
    sizesOf(labels, 5).toSorted((a, b) => a - b),
    [1, 1, 1, 1, 4996]
  )
})

test('bins and reordered rows are those of the native engine, also in place and as bytes', async (t) => {
  const tasks = fc
    .integer({ min: 1, max: 40 })
    .chain((bins) => fc.tuple(fc.constant(bins), fc.array(fc.integer({ min: 0, max: bins - 1 }), { maxLength: 700 })))
  await fc.assert(
    fc.asyncProperty(tasks, async ([bins, numbers]) => {
      const labels = Int32Array.from(numbers)
      const from = bytes(labels.length, 3)
      const reordered = async (engine: Pick<typeof native, 'groupIntoBins'>) => {
        const [to, small, inPlace] = [new Float32Array(from.length), new Uint8Array(from.length), from.slice()]
        return {
          to,
          small,
          inPlace,
          bins: await engine.groupIntoBins(labels, bins, undefined, job),
          floats: await engine.groupIntoBins(labels, bins, { from, to, dimensions: 3 }, job),
          bytes: await engine.groupIntoBins(labels, bins, { from, to: small, dimensions: 3 }, job),
          same: await engine.groupIntoBins(labels, bins, { from: inPlace, to: inPlace, dimensions: 3 }, job)
        }
      }
      t.deepEqual(await reordered({ groupIntoBins }), await reordered(native))
    }),
    { numRuns: 60, seed: 1 }
  )
  const outside = Int32Array.of(0, 3)
  const expected = await t.throwsAsync(native.groupIntoBins(outside, 3, undefined, job), { instanceOf: ArgumentError })
  await t.throwsAsync(groupIntoBins(outside, 3, undefined, job), { message: expected.message })
})
