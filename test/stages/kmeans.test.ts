import test from 'ava'
import { kmeans } from '../../lib/index.js'
import { nearest, randomNumbers } from '../engines/brute-force.js'
import { rejectsArgument } from '../support/rejection.js'
import { clustered } from '../support/vectors.js'

const bytes = (rows: number, dimensions: number, values = 256) => {
  const random = randomNumbers(rows)
  return Float32Array.from({ length: rows * dimensions }, () => Math.floor(values * random()))
}

const sizesOf = (labels: Int32Array, bins: number) => {
  const sizes = new Array<number>(bins).fill(0)
  for (const label of labels) (sizes[label] as number)++
  return sizes
}

/** Lloyd's algorithm as in a textbook, from rows drawn at random: the mean squared error after so many rounds. */
function plainError(vectors: Float32Array, dimensions: number, bins: number, rounds: number): number {
  const rows = vectors.length / dimensions
  const random = randomNumbers(5)
  let centroids = Float32Array.from({ length: bins }, () => Math.floor(random() * rows)).reduce<number[]>(
    (all, row) => all.concat(Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions))),
    []
  )
  for (let round = 0; ; round++) {
    const found = Float32Array.from(centroids)
    const closest = Array.from(
      { length: rows },
      (_, row) => nearest('euclidean', found, vectors, row, dimensions, 1)[0] as { id: number; distance: number }
    )
    if (round === rounds) return closest.reduce((sum, { distance }) => sum + distance, 0) / rows
    const sizes = sizesOf(
      Int32Array.from(closest, ({ id }) => id),
      bins
    )
    const sums = new Array<number>(bins * dimensions).fill(0)
    closest.forEach(({ id }, row) => {
      for (let c = 0; c < dimensions; c++)
        (sums[id * dimensions + c] as number) += vectors[row * dimensions + c] as number
    })
    centroids = centroids.map((old, at) => {
      const size = sizes[Math.floor(at / dimensions)] as number
      return size > 0 ? (sums[at] as number) / size : old
    })
  }
}

const cases: [string, Float32Array, number, number][] = [
  ['floats', clustered(2000, 17, 40), 17, 60],
  ['floats far from the origin', clustered(1500, 9, 30).map((x) => x + 1000), 9, 40],
  ['floats of 300 dimensions', clustered(500, 300, 20), 300, 70],
  ['bytes', bytes(2000, 33), 33, 100],
  ['bytes with many ties', bytes(2000, 4, 5), 4, 90],
  ['floats with many ties', bytes(2000, 64, 5).map((x, i) => (i % 16 === 0 ? x : 0) + 0.5), 64, 90],
  ['one dimension', clustered(1000, 1, 9), 1, 200],
  ['a bin for each row', clustered(300, 5, 300), 5, 300],
  ['one bin', clustered(300, 5), 5, 1]
]

for (const [name, vectors, dimensions, bins] of cases) {
  test(`${name}: each label is the nearest centroid, no bin is empty, the error is what it says`, async (t) => {
    const { labels, centroids, meanSquaredError } = await kmeans(vectors, { dimensions, bins })
    const rows = vectors.length / dimensions
    t.is(labels.length, rows)
    t.is(centroids.length, bins * dimensions)
    let sum = 0
    for (let row = 0; row < rows; row++) {
      const ranked = nearest('euclidean', centroids, vectors, row, dimensions, bins)
      const own = ranked.find(({ id }) => id === labels[row])
      const first = ranked[0] as { id: number; distance: number }
      // Sums in another order may tell apart what lies equally near.
      const near = own !== undefined && own.distance - first.distance <= 1e-13 * first.distance
      t.true(own?.id === first.id || (near && own?.distance !== first.distance), `row ${row}`)
      sum += first.distance
    }
    t.true(Math.abs(sum / rows - meanSquaredError) <= 1e-9 * meanSquaredError, `${sum / rows} ${meanSquaredError}`)
    t.true(Math.min(...sizesOf(labels, bins)) > 0)
  })
}

test('the error is that of a plain k-means, or better', async (t) => {
  for (const [vectors, dimensions, bins] of [
    [clustered(3000, 16, 400, 2, 3), 16, 100],
    [bytes(2000, 8), 8, 64]
  ] as const) {
    const { meanSquaredError } = await kmeans(vectors, { dimensions, bins, iterations: 15 })
    const plain = plainError(vectors, dimensions, bins, 15)
    t.true(meanSquaredError < 1.01 * plain, `${meanSquaredError} ${plain}`)
  }
})

test('more iterations lower the error', async (t) => {
  const vectors = clustered(4000, 12, 500, 3, 4)
  const errors = []
  for (const iterations of [1, 4, 20])
    errors.push((await kmeans(vectors, { dimensions: 12, bins: 120, iterations })).meanSquaredError)
  t.deepEqual(
    errors.toSorted((a, b) => b - a),
    errors
  )
})

test('vectors that are centers of their own get bins of their own', async (t) => {
  const random = randomNumbers(3)
  const corners = Float32Array.from({ length: 90 * 6 }, () => Math.floor(100 * random()))
  const vectors = Float32Array.from({ length: 3000 * 6 }, (_, i) => corners[i % corners.length] as number)
  const { labels, meanSquaredError } = await kmeans(vectors, { dimensions: 6, bins: 90 })
  t.is(meanSquaredError, 0)
  t.is(new Set(labels.subarray(0, 90)).size, 90)
  t.true(labels.every((label, row) => label === labels[row % 90]))
})

test('with fewer different vectors than bins the others stay empty', async (t) => {
  for (const [different, bins] of [
    [1, 100],
    [40, 100],
    [40, 41]
  ] as const) {
    const values = clustered(different, 3, different)
    const vectors = Float32Array.from({ length: 2000 * 3 }, (_, i) => values[i % values.length] as number)
    const { labels, centroids, meanSquaredError } = await kmeans(vectors, { dimensions: 3, bins })
    t.is(meanSquaredError, 0)
    t.is(sizesOf(labels, bins).filter((size) => size > 0).length, different)
    t.true(centroids.every(Number.isFinite))
  }
})

test('one vector in most rows: the few others are not forgotten', async (t) => {
  const vectors = clustered(2000, 6, 2000)
  for (let row = 50; row < 2000; row++) vectors.copyWithin(row * 6, 0, 6)
  const { labels } = await kmeans(vectors, { dimensions: 6, bins: 50 })
  t.is(Math.min(...sizesOf(labels.subarray(0, 50), 50)), 1)
})

test('the vectors are left alone; threads make no difference, the seed does', async (t) => {
  for (const vectors of [clustered(6000, 20, 100), bytes(3000, 20)]) {
    const before = vectors.slice()
    const run = (threads: number, seed: number) => kmeans(vectors, { dimensions: 20, bins: 70, threads, seed })
    const alone = await run(1, 4)
    t.deepEqual(await run(2, 4), alone)
    t.deepEqual(await run(3, 4), alone)
    t.notDeepEqual((await run(2, 5)).labels, alone.labels)
    t.deepEqual(vectors, before)
  }
})

test('a cancelled one stops, and progress never goes back', async (t) => {
  const vectors = clustered(40_000, 32, 500)
  const controller = new AbortController()
  const reason = new Error('enough')
  const shares: number[] = []
  const call = kmeans(vectors, {
    dimensions: 32,
    bins: 600,
    iterations: 1000,
    signal: controller.signal,
    onProgress: ({ stage, done, total }) => {
      if (stage !== 'partition') return
      shares.push(done / total)
      if (shares.length === 3) controller.abort(reason)
    }
  })
  await t.throwsAsync(call, { is: reason })
  t.deepEqual(
    shares.toSorted((a, b) => a - b),
    shares
  )
  t.true(shares.every((share) => share >= 0 && share <= 1))
})

test('what is wrong is named', async (t) => {
  const vectors = clustered(10, 4)
  await rejectsArgument(t, () => kmeans(vectors, { dimensions: 4, bins: 11 }), 'bins')
  await rejectsArgument(t, () => kmeans(vectors, { dimensions: 4, bins: 0 }), 'bins')
  await rejectsArgument(t, () => kmeans(vectors, { dimensions: 3, bins: 2 }), 'vectors')
  await rejectsArgument(t, () => kmeans(vectors, { dimensions: 4, bins: 2, iterations: 0 }), 'iterations')
  await rejectsArgument(t, () => kmeans(vectors.fill(Number.NaN, 6, 7), { dimensions: 4, bins: 2 }), 'vectors', /row 1/)
})
