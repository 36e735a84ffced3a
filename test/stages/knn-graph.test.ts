import test from 'ava'
import { buildKnnGraph } from '../../lib/index.js'
import { randomNumbers } from '../engines/brute-force.js'
import { clustered, findFault, integers, metrics, ranking } from '../support/vectors.js'

for (const metric of metrics) {
  test(`${metric}: as in double precision`, async (t) => {
    const dimensions = 37
    const vectors = clustered(700, dimensions)
    const { neighbors, ids, distances } = await buildKnnGraph(vectors, { dimensions, neighbors: 13, metric })
    t.is(neighbors, 13)
    t.is(ids.length, 700 * 13)
    for (let row = 0; row < 700; row++) {
      const others = ranking(vectors, vectors, row, dimensions, metric).filter(({ id }) => id !== row)
      const range = [row * 13, (row + 1) * 13] as const
      t.is(findFault(ids.subarray(...range), distances.subarray(...range), others, 1e-4), undefined, `row ${row}`)
    }
  })
}

for (const metric of ['euclidean', 'inner-product'] as const) {
  test(`${metric}: equal distances come by row number`, async (t) => {
    const dimensions = 5
    const vectors = integers(600, dimensions)
    const { ids, distances } = await buildKnnGraph(vectors, { dimensions, neighbors: 20, metric })
    for (let row = 0; row < 600; row++) {
      const others = ranking(vectors, vectors, row, dimensions, metric)
        .filter(({ id }) => id !== row)
        .slice(0, 20)
      t.deepEqual(
        Array.from(ids.subarray(row * 20, row * 20 + 20)),
        others.map(({ id }) => id)
      )
      t.deepEqual(
        Array.from(distances.subarray(row * 20, row * 20 + 20)),
        others.map(({ distance }) => distance)
      )
    }
  })
}

// Integers in [0, 255] are compared as bytes; moved by a half they are not, and their distances are the same.
const random = randomNumbers(3)
const bytes: Record<string, (row: number, column: number) => number> = {
  'any byte': () => Math.floor(256 * random()),
  'black or white': () => (random() < 0.5 ? 255 : 0),
  'mostly zero': () => (random() < 0.1 ? Math.floor(256 * random()) : 0),
  'constant rows, each twice': (row) => Math.floor(row / 2) % 256,
  'few distinct rows': (row, column) => ((row % 7) * 37 + column) % 256
}
for (const [kind, value] of Object.entries(bytes)) {
  test(`the graph of bytes is that of floats, to the bit: ${kind}`, async (t) => {
    for (const [rows, dimensions, neighbors] of [
      [2500, 16, 10],
      [1003, 131, 30],
      [97, 784, 96],
      [49, 1, 3]
    ] as const) {
      const integers = Float32Array.from({ length: rows * dimensions }, (_, i) =>
        value(Math.floor(i / dimensions), i % dimensions)
      )
      const moved = integers.map((number) => number + 0.5)
      const graph = await buildKnnGraph(integers, { dimensions, neighbors, method: 'exact' })
      const expected = await buildKnnGraph(moved, { dimensions, neighbors, method: 'exact' })
      t.deepEqual(graph, expected, `${rows} x ${dimensions}`)
    }
  })
}

// A CPU may multiply floats as sums of two bfloat16, whose lower halves' product it leaves out: here it makes three rows
// seem farther from the first than all others, by more than what sums in float32 could.
test('what the rounding of products hides is found all the same', async (t) => {
  const dimensions = 63
  const odd = 1 + 2 ** -8 - 2 ** -23
  const row = (value: (column: number) => number, last: number) =>
    Array.from({ length: dimensions }, (_, column) => (column < dimensions - 1 ? value(column) : last))
  const even = (column: number) => (column % 2 === 0 ? 1 : 1 + 2 ** -7)
  const hidden = [0, 1, 2].map((i) => row(() => odd, -i * 2 ** -18))
  const near = Array.from({ length: 10 }, (_, i) => row(even, -(i + 1) * 2 ** -16))
  const behind = Array.from({ length: 9 }, (_, i) => row(even, -(2 ** -11) - 2 ** -12 - i * 2 ** -16))
  const vectors = Float32Array.from([row(() => odd, 1), ...behind, ...near, ...hidden].flat())
  const { ids } = await buildKnnGraph(vectors, { dimensions, neighbors: 10, metric: 'inner-product' })
  for (let i = 0; i < vectors.length / dimensions; i++) {
    const others = ranking(vectors, vectors, i, dimensions, 'inner-product').filter(({ id }) => id !== i)
    t.deepEqual(
      Array.from(ids.subarray(i * 10, i * 10 + 10)),
      others.slice(0, 10).map(({ id }) => id),
      `row ${i}`
    )
  }
})

test('rows that are all alike are neighbors in the order of their numbers', async (t) => {
  for (const metric of metrics) {
    const { ids } = await buildKnnGraph(new Float32Array(7 * 3).fill(2), { dimensions: 3, neighbors: 2, metric })
    t.deepEqual(Array.from(ids), [1, 2, 0, 2, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], metric)
  }
})

test('two rows, and all neighbors there are', async (t) => {
  const two = await buildKnnGraph(Float32Array.of(1, 4), { dimensions: 1 })
  t.deepEqual(two, { neighbors: 1, ids: Int32Array.of(1, 0), distances: Float32Array.of(9, 9) })
  const three = await buildKnnGraph(Float32Array.of(0, 5, 1), { dimensions: 1, neighbors: 2 })
  t.deepEqual(Array.from(three.ids), [2, 1, 2, 0, 0, 1])
})

test('the vectors are left alone and the number of threads makes no difference', async (t) => {
  const vectors = clustered(500, 20)
  const before = vectors.slice()
  const graphs = []
  for (const threads of [1, 2, 3])
    graphs.push(await buildKnnGraph(vectors, { dimensions: 20, metric: 'cosine', threads }))
  t.deepEqual(graphs[0], graphs[1])
  t.deepEqual(graphs[0], graphs[2])
  t.deepEqual(vectors, before)
})

test('a view into a larger array is as good as an array of its own', async (t) => {
  const vectors = clustered(100, 6)
  const larger = new Float32Array(1000)
  larger.set(vectors, 123)
  const view = larger.subarray(123, 123 + 600)
  t.deepEqual(await buildKnnGraph(view, { dimensions: 6 }), await buildKnnGraph(vectors, { dimensions: 6 }))
})
