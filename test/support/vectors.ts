/** Vectors to test with, and the slow, plain double-precision answers that the fast ones are compared with. */
import type { Metric } from '../../lib/index.js'
import { randomNumbers } from '../engines/brute-force.js'

export const metrics: Metric[] = ['euclidean', 'cosine', 'inner-product']

/** Points around `centers` random centers, row i around center i % centers. */
export function clustered(rows: number, dimensions: number, centers = 16, seed = 1, spread = 0.5): Float32Array {
  const random = randomNumbers(seed)
  const middle = Float32Array.from({ length: centers * dimensions }, () => 4 * random() - 2)
  return Float32Array.from({ length: rows * dimensions }, (_, i) => {
    const center = Math.floor(i / dimensions) % centers
    return (middle[center * dimensions + (i % dimensions)] as number) + spread * (random() + random() + random() - 1.5)
  })
}

/** Small whole numbers, none of the rows all zeros: squared distances and inner products are exact, and ties are many. */
export function integers(rows: number, dimensions: number, seed = 1): Float32Array {
  const random = randomNumbers(seed)
  return Float32Array.from({ length: rows * dimensions }, (_, i) =>
    i % dimensions === 0 ? 1 : Math.floor(5 * random()) - 2
  )
}

/** The distance of the metric between row i of `a` and row j of `b`, in double precision. */
export function distanceBetween(
  a: Float32Array,
  i: number,
  b: Float32Array,
  j: number,
  dimensions: number,
  metric: Metric
) {
  let [squared, product, squareA, squareB] = [0, 0, 0, 0]
  for (let at = 0; at < dimensions; at++) {
    const x = a[i * dimensions + at] as number
    const y = b[j * dimensions + at] as number
    squared += (x - y) ** 2
    product += x * y
    squareA += x * x
    squareB += y * y
  }
  if (metric === 'euclidean') return squared
  return metric === 'cosine' ? 1 - product / Math.sqrt(squareA * squareB) : -product
}

export interface Neighbor {
  id: number
  distance: number
}

/** All rows of `vectors`, the nearest to row `query` of `queries` first, ties by smaller row number. */
export function ranking(
  vectors: Float32Array,
  queries: Float32Array,
  query: number,
  dimensions: number,
  metric: Metric
): Neighbor[] {
  return Array.from({ length: vectors.length / dimensions }, (_, id) => ({
    id,
    distance: distanceBetween(queries, query, vectors, id, dimensions, metric)
  })).sort((a, b) => a.distance - b.distance || a.id - b.id)
}

/**
 * What is wrong with `ids` and `distances` as the nearest of `ranked`, undefined if nothing is. Near ties may come in
 * another order than in double precision: a row may be missing only if the one in its place is as near, up to `tolerance`.
 */
export function findFault(
  ids: ArrayLike<number>,
  distances: ArrayLike<number>,
  ranked: Neighbor[],
  tolerance: number
): string | undefined {
  const truth = new Map(ranked.map(({ id, distance }) => [id, distance]))
  if (new Set(Array.from(ids)).size !== ids.length) return `ids repeat: ${Array.from(ids)}`
  for (let place = 0; place < ids.length; place++) {
    const own = truth.get(ids[place] as number)
    const right = ranked[place]?.distance as number
    if (own === undefined) return `place ${place}: there is no row ${ids[place]}`
    if (Math.abs(own - (distances[place] as number)) > tolerance)
      return `place ${place}: ${distances[place]}, not ${own}`
    if (Math.abs(own - right) > tolerance) return `place ${place}: row ${ids[place]} at ${own}, but one is at ${right}`
  }
  return undefined
}
