/** The independent reference: plain loops in double precision. */
import type { Metric } from '../../lib/engines/engine.js'

export function distance(metric: Metric, a: Float32Array, i: number, b: Float32Array, j: number, dimensions: number) {
  let sum = 0
  for (let c = 0; c < dimensions; c++) {
    const x = a[i * dimensions + c] as number
    const y = b[j * dimensions + c] as number
    sum += metric === 'euclidean' ? (x - y) * (x - y) : x * y
  }
  return metric === 'euclidean' ? sum : metric === 'cosine' ? 1 - sum : -sum
}

/** The k nearest rows of `vectors` to row i of `queries`, ties by smaller id, without the row `excluded`. */
export function nearest(
  metric: Metric,
  vectors: Float32Array,
  queries: Float32Array,
  i: number,
  dimensions: number,
  k: number,
  excluded = -1
) {
  const all: { id: number; distance: number }[] = []
  for (let j = 0; j < vectors.length / dimensions; j++) {
    if (j !== excluded) all.push({ id: j, distance: distance(metric, queries, i, vectors, j, dimensions) })
  }
  return all.sort((a, b) => a.distance - b.distance || a.id - b.id).slice(0, k)
}

/** Uniform numbers in [0, 1) from a seed (Mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
