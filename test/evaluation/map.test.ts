import test from 'ava'
import { mapPoints } from '../../lib/evaluation/map.js'
import { holdOutRows, sampleRows } from '../../lib/evaluation/sampling.js'
import { bestDelays } from '../support/times.js'
import { clustered } from '../support/vectors.js'

const dimensions = 12
const centers = 5
const rows = 300
const vectors = clustered(rows, dimensions, centers)
const all = Array.from({ length: rows }, (_, row) => row)

const variance = (values: readonly number[]) => {
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length
  return values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / values.length
}

/** Of all rows along a direction. */
const along = (direction: readonly number[]) =>
  all.map((row) => direction.reduce((sum, weight, i) => sum + weight * (vectors[row * dimensions + i] as number), 0))

/** The direction of most variance, by power iteration in double precision. */
function principal(): number[] {
  const means = Array.from({ length: dimensions }, (_, i) => along(unit(i)).reduce((sum, one) => sum + one, 0) / rows)
  let direction = unit(0).map((_, i) => 1 + i)
  for (let step = 0; step < 2000; step++) {
    const offset = direction.reduce((sum, weight, i) => sum + weight * (means[i] as number), 0)
    const places = along(direction).map((place) => place - offset)
    const next = direction.map((_, i) =>
      places.reduce(
        (sum, place, row) => sum + place * ((vectors[row * dimensions + i] as number) - (means[i] as number)),
        0
      )
    )
    direction = next.map((value) => value / Math.hypot(...next))
  }
  return direction
}

const asked = { dimensions, metric: 'euclidean', seed: 1, rows: all } as const

const unit = (at: number) => Array.from({ length: dimensions }, (_, i) => (i === at ? 1 : 0))

test('PCA is along the direction of most variance; t-SNE keeps clusters together; the event loop stays free', async (t) => {
  const late = await bestDelays(() => mapPoints(vectors, asked), 400)
  t.true((late.at(-1) ?? 0) < 400, `the event loop waited for ${late.at(-1)} ms`)
  const map = await mapPoints(vectors, asked)
  const first = variance(map.pca.map(([x]) => x))
  t.true(Math.abs(first / variance(along(principal())) - 1) < 1e-3)
  t.true(variance(map.pca.map(([, y]) => y)) <= first)
  const kept = all.filter((row) => {
    const [x, y] = map.tsne[row] as [number, number]
    const distance = (other: number) => {
      const [a, b] = map.tsne[other] as [number, number]
      return (a - x) ** 2 + (b - y) ** 2
    }
    const nearest = all.filter((other) => other !== row).reduce((a, b) => (distance(b) < distance(a) ? b : a))
    return nearest % centers === row % centers
  })
  t.true(kept.length > 0.98 * rows, `${kept.length} of ${rows}`)
})

test('the same seed gives the same map; for cosine lengths do not matter', async (t) => {
  const request = { dimensions, metric: 'cosine', seed: 7, rows: all.slice(0, 40) } as const
  const longer = vectors.map((value, i) => value * 2 ** (Math.floor(i / dimensions) % 3))
  const [map, again] = [await mapPoints(vectors, request), await mapPoints(longer, request)]
  t.is(map.tsne.length, 40)
  for (const [i, [x, y]] of map.pca.entries()) {
    const [a, b] = again.pca[i] as [number, number]
    t.true(Math.hypot(a - x, b - y) < 1e-6)
  }
  t.deepEqual(await mapPoints(vectors, request), map)
})

test('an abort ends the thread with its reason', async (t) => {
  const reason = new Error('enough')
  const stop = new AbortController()
  const rows = Array.from({ length: 1500 }, (_, row) => row % 300)
  const drawing = mapPoints(vectors, { dimensions, metric: 'euclidean', seed: 1, rows, signal: stop.signal })
  setTimeout(() => stop.abort(reason), 200)
  t.is(await t.throwsAsync(drawing), reason)
})

test('drawn rows are different, ascending, the same for a seed, and spread evenly', (t) => {
  const drawn = sampleRows(1000, 100, 3)
  t.is(new Set(drawn).size, 100)
  t.deepEqual(drawn, drawn.slice().sort())
  t.deepEqual(sampleRows(1000, 100, 3), drawn)
  t.notDeepEqual(sampleRows(1000, 100, 4), drawn)
  t.deepEqual(Array.from(sampleRows(50, 50, 1)), all.slice(0, 50))
  const times = new Int32Array(20)
  for (let seed = 0; seed < 4000; seed++)
    for (const row of sampleRows(20, 5, seed)) times[row] = (times[row] as number) + 1
  // 1,000 are expected for each, with a deviation of 27.
  t.true(
    times.every((one) => Math.abs(one - 1000) < 140),
    times.join()
  )
})

test('what is held out and what is left are the rows of the matrix', async (t) => {
  const { vectors: rest, queries } = await holdOutRows(vectors, dimensions, 30, { seed: 1 })
  t.is(queries.length, 30 * dimensions)
  const keys = (matrix: Float32Array) =>
    Array.from({ length: matrix.length / dimensions }, (_, row) =>
      matrix.slice(row * dimensions, (row + 1) * dimensions).join()
    )
  t.deepEqual([...keys(rest), ...keys(queries)].sort(), keys(vectors).sort())
})
