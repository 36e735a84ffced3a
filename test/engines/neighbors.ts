/**
 * Checks the engine's exact neighbors against brute force, over kinds of data that rounding, ties and offsets make
 * hard. Run by the test in processes of their own, one for each kernel variant; prints the variant or throws.
 */
import assert from 'node:assert/strict'
import type { Engine, Metric } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { nearest, randomNumbers } from './brute-force.js'

const job = { threads: 0 }
const random = randomNumbers(7)
const gaussian = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

const kinds: Record<string, () => number> = {
  gaussian,
  'few integers': () => Math.floor(random() * 3),
  bytes: () => Math.floor(random() * 256),
  'black or white': () => (random() < 0.5 ? 255 : 0),
  'nearly bytes': () => Math.floor(random() * 256) + (random() < 0.001 ? 0.5 : 0),
  'far from the origin': () => 1000 + gaussian(),
  constant: () => 1,
  sparse: () => (random() < 0.02 ? 1 : 0),
  tiny: () => gaussian() * 1e-30
}

/** Unit rows of these have ties that rounding breaks, or are all zeros. */
const tied = new Set(['few integers', 'black or white', 'sparse'])

async function checkKnnGraph(engine: Engine, vectors: Float32Array, rows: number, dimensions: number, metric: Metric) {
  const k = Math.min(10, rows - 1)
  const graph = await engine.knnGraph(vectors, dimensions, metric, { neighbors: k, method: 'exact', seed: 1 }, job)
  const found = await engine.exactSearch(vectors, vectors, dimensions, metric, k, job)
  for (let i = 0; i < rows; i += Math.ceil(rows / 25)) {
    const others = nearest(metric, vectors, vectors, i, dimensions, k, i)
    const all = nearest(metric, vectors, vectors, i, dimensions, k)
    assert.deepEqual(
      [...graph.ids.subarray(i * k, (i + 1) * k)],
      others.map(({ id }) => id)
    )
    assert.deepEqual(
      [...found.ids.subarray(i * k, (i + 1) * k)],
      all.map(({ id }) => id)
    )
    const expected = Float32Array.from(others, (other) => other.distance)
    graph.distances.subarray(i * k, (i + 1) * k).forEach((value, j) => {
      assert.ok(Math.abs(value - (expected[j] as number)) <= 1e-6 * Math.abs(value) + 1e-7, `${value} ${expected[j]}`)
    })
  }
}

const engine = createNativeEngine()
for (const [kind, value] of Object.entries(kinds)) {
  for (const metric of ['euclidean', 'cosine', 'inner-product'] as const) {
    if (metric === 'cosine' && tied.has(kind)) continue
    for (const [rows, dimensions] of [
      [2, 1],
      [30, 5],
      [700, 33],
      [1200, 300]
    ] as const) {
      const raw = Float32Array.from({ length: rows * dimensions }, value)
      const vectors = await engine.prepareVectors(raw, dimensions, metric, 'vectors', job)
      await checkKnnGraph(engine, vectors, rows, dimensions, metric).catch((error) => {
        throw new Error(`${kind}, ${metric}, ${rows} x ${dimensions}: ${error.message}`, { cause: error })
      })
    }
  }
}
console.log(engine.description)
