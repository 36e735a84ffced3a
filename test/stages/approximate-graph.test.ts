import test from 'ava'
import { buildKnnGraph, type KnnGraph, type KnnGraphOptions } from '../../lib/index.js'
import { randomNumbers } from '../engines/brute-force.js'
import { clustered, distanceBetween, metrics } from '../support/vectors.js'

const approximate = (vectors: Float32Array, options: KnnGraphOptions) =>
  buildKnnGraph(vectors, { ...options, method: 'approximate' })

/** The share of the neighbors that are as near as those of the exact graph. */
function recall(graph: KnnGraph, exact: KnnGraph): number {
  const { neighbors } = exact
  const near = (distance: number, i: number) =>
    distance <= (exact.distances[(Math.floor(i / neighbors) + 1) * neighbors - 1] as number)
  return graph.distances.filter(near).length / graph.ids.length
}

/** What is wrong with a graph whatever it has found: ids, distances, their order. */
function findFault({ neighbors, ids, distances }: KnnGraph, distanceTo: (row: number, id: number) => number) {
  for (let row = 0; row < ids.length / neighbors; row++) {
    const range = [row * neighbors, (row + 1) * neighbors] as const
    const [own, far] = [ids.subarray(...range), distances.subarray(...range)]
    if (new Set(own).size < neighbors || own.includes(row)) return `row ${row}: ${own}`
    for (const [i, id] of own.entries()) {
      const distance = far[i] as number
      if (Math.abs(distance - distanceTo(row, id)) > 1e-5 * Math.max(1, Math.abs(distance)))
        return `row ${row}: ${id} is not at ${distance}`
      const before = i ? (far[i - 1] as number) : Number.NEGATIVE_INFINITY
      if (distance < before) return `row ${row}: ${far}`
    }
  }
  return undefined
}

const rows = 8000
const bytes = (dimensions: number, levels: number) => {
  const random = randomNumbers(3)
  return Float32Array.from({ length: rows * dimensions }, () => Math.floor(levels * random()))
}
const isolated = clustered(rows, 12, 40, 1, 0.05)
const alike = Float32Array.from(clustered(rows, 12), (value, i) => (i < 12 * 4000 ? 0.5 : value))

const sets: Record<string, [Float32Array, number]> = {
  'clusters that overlap': [clustered(rows, 24), 24],
  'clusters far from each other': [isolated, 12],
  'integers from 0 to 255, multiplied as bytes': [bytes(10, 256), 10],
  'integers with many ties': [bytes(3, 16), 3],
  'many dimensions': [clustered(rows, 300), 300],
  'one dimension': [clustered(rows, 1), 1],
  'thousands of rows that are alike': [alike, 12]
}

for (const [name, [vectors, dimensions]] of Object.entries(sets)) {
  test(`${name}: nearly all neighbors are found`, async (t) => {
    const graph = await approximate(vectors, { dimensions })
    t.is(graph.neighbors, 10)
    t.is(
      findFault(graph, (row, id) => distanceBetween(vectors, row, vectors, id, dimensions, 'euclidean')),
      undefined
    )
    const share = recall(graph, await buildKnnGraph(vectors, { dimensions }))
    t.true(share >= 0.94, `recall ${share}`)
  })
}

test('every metric, also where a few long vectors are the neighbors of most', async (t) => {
  const dimensions = 16
  const vectors = clustered(rows, dimensions).map((value, i) => (i < dimensions * 50 ? 4 * value : value))
  for (const metric of metrics) {
    const graph = await approximate(vectors, { dimensions, metric, neighbors: 25 })
    t.is(
      findFault(graph, (row, id) => distanceBetween(vectors, row, vectors, id, dimensions, metric)),
      undefined,
      metric
    )
    const share = recall(graph, await buildKnnGraph(vectors, { dimensions, metric, neighbors: 25 }))
    t.true(share >= 0.94, `${metric}: recall ${share}`)
  }
})

test('equal distances come by row number', async (t) => {
  const { ids, distances } = await approximate(bytes(3, 16), { dimensions: 3 })
  const isAfter = (i: number) =>
    i % 10 === 0 || distances[i] !== distances[i - 1] || (ids[i] as number) > (ids[i - 1] as number)
  t.true(ids.every((_, i) => isAfter(i)))
})

test('few vectors are searched exactly', async (t) => {
  const vectors = clustered(3000, 8)
  t.deepEqual(await approximate(vectors, { dimensions: 8 }), await buildKnnGraph(vectors, { dimensions: 8 }))
  const two = await approximate(Float32Array.of(1, 4), { dimensions: 1 })
  t.deepEqual(two, { neighbors: 1, ids: Int32Array.of(1, 0), distances: Float32Array.of(9, 9) })
})

test('the same on any number of threads, another with another seed, and the vectors are left alone', async (t) => {
  const dimensions = 40
  const vectors = clustered(rows, dimensions)
  const before = vectors.slice()
  const [one, two, three] = await Promise.all(
    [1, 2, 3].map((threads) => approximate(vectors, { dimensions, threads, seed: 5 }))
  )
  t.deepEqual(one, two)
  t.deepEqual(one, three)
  t.notDeepEqual(one, await approximate(vectors, { dimensions, seed: 6 }))
  t.deepEqual(vectors, before)
})

test('it tells how far it is, and stops when it is told to', async (t) => {
  const dimensions = 64
  const vectors = clustered(3 * rows, dimensions)
  const seen: number[] = []
  await approximate(vectors, {
    dimensions,
    onProgress: ({ stage, done, total }) => {
      if (stage === 'knn-graph') seen.push(done / total)
    }
  })
  t.is(seen.at(-1), 1)
  t.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b)
  )

  const controller = new AbortController()
  const stopped = approximate(vectors, { dimensions, signal: controller.signal })
  setTimeout(() => controller.abort(new Error('enough')), 20)
  await t.throwsAsync(stopped, { message: 'enough' })
})
