// k-means beside scikit-learn's, and with bins that have only so much room.
import test from 'ava'
import { type KmeansOptions, kmeans } from '../../lib/index.js'
import { distance } from '../engines/brute-force.js'
import { rejectsArgument } from '../support/rejection.js'
import { clustered } from '../support/vectors.js'
import { readWords, reference, sizesOf } from './partition.js'

const { bins } = reference.kmeans

/** Sizes, and the mean squared distance to the centroids, counted again. */
async function bounded(vectors: Float32Array, options: KmeansOptions) {
  const { dimensions, bins } = options
  const found = await kmeans(vectors, options)
  const sizes = sizesOf(found.labels, bins)
  let sum = 0
  for (const [row, label] of found.labels.entries())
    sum += distance('euclidean', found.centroids, label, vectors, row, dimensions)
  return { ...found, sizes, error: sum / found.labels.length }
}

test("the error on words' vectors is scikit-learn's, the best of ten, to within 1 %", async (t) => {
  const { vectors, dimensions } = await readWords()
  const { meanSquaredError } = await kmeans(vectors, { dimensions, bins, iterations: 50 })
  t.log(`${meanSquaredError.toFixed(4)}, scikit-learn ${reference.kmeans.meanSquaredError.toFixed(4)}`)
  t.true(meanSquaredError < 1.01 * reference.kmeans.meanSquaredError)
})

test('bins keep the bound, and the error is hardly larger', async (t) => {
  const { vectors, dimensions, rows } = await readWords()
  const free = await bounded(vectors, { dimensions, bins })
  for (const largest of [1, 1.05, 1.5]) {
    const found = await bounded(vectors, { dimensions, bins, largest })
    const capacity = Math.max(Math.ceil(rows / bins), Math.floor((largest * rows) / bins))
    t.log(
      `at most ${largest} means: balance ${found.balance.toFixed(3)}, error ${(found.error / free.error).toFixed(4)} of that without a bound, which has balance ${free.balance.toFixed(2)}`
    )
    t.true(Math.max(...found.sizes) <= capacity)
    t.true(Math.min(...found.sizes) > 0)
    t.is(
      found.sizes.reduce((a, b) => a + b),
      rows
    )
    t.is(found.balance, (Math.max(...found.sizes) * bins) / rows)
    t.true(Math.abs(found.error / found.meanSquaredError - 1) < 1e-6)
    t.true(found.error < 1.06 * free.error)
  }
})

test('no two vectors could change places, and none could move to a bin with room, for much less error', async (t) => {
  const dimensions = 8
  const rows = 600
  const vectors = clustered(rows, dimensions, 25, 3, 2)
  const { labels, centroids, sizes, meanSquaredError } = await bounded(vectors, { dimensions, bins: 12, largest: 1.05 })
  const to = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: 12 }, (_, bin) => distance('euclidean', centroids, bin, vectors, row, dimensions))
  )
  const cost = (row: number, bin: number) => (to[row]?.[bin] as number) - (to[row]?.[labels[row] as number] as number)
  let most = 0
  for (let row = 0; row < rows; row++) {
    for (const [bin, size] of sizes.entries()) if (size < 52) most = Math.max(most, -cost(row, bin))
    for (let other = 0; other < row; other++)
      most = Math.max(most, -(cost(row, labels[other] as number) + cost(other, labels[row] as number)))
  }
  t.log(`the best exchange would gain ${((100 * most) / (rows * meanSquaredError)).toFixed(4)} % of the error`)
  t.true(most < 1e-3 * rows * meanSquaredError)
})

test('also where most vectors lie in one place, or are equal', async (t) => {
  const crowded = clustered(2000, 5, 200, 1, 0.5).map((x, i) => (i < 9000 ? x * 1e-3 : x))
  t.true(Math.max(...(await bounded(crowded, { dimensions: 5, bins: 40, largest: 1.1 })).sizes) <= 55)
  const equal = new Float32Array(500 * 3).fill(1)
  t.deepEqual((await bounded(equal, { dimensions: 3, bins: 10, largest: 1 })).sizes, new Array<number>(10).fill(50))
})

test('threads make no difference', async (t) => {
  const vectors = clustered(5000, 16, 60, 1, 1)
  const run = (threads: number) => kmeans(vectors, { dimensions: 16, bins: 50, largest: 1.05, threads })
  t.deepEqual(await run(2), await run(1))
})

test('what is wrong is named', async (t) => {
  const vectors = clustered(10, 4)
  for (const largest of [0.9, 0, Number.NaN, 2000])
    await rejectsArgument(t, () => kmeans(vectors, { dimensions: 4, bins: 2, largest }), 'largest', /from 1 to 1000/)
})
