import type { Metric } from '../engine.js'

/** How far row i of `a` is from row j of `b`, in double precision. */
export type Distance = (a: Float32Array, i: number, b: Float32Array, j: number, dimensions: number) => number

export const distances: Record<Metric, Distance> = {
  euclidean: squaredDistance,
  cosine: (a, i, b, j, dimensions) => 1 - dotProduct(a, i, b, j, dimensions),
  'inner-product': (a, i, b, j, dimensions) => -dotProduct(a, i, b, j, dimensions)
}

/** Four sums, so that an addition does not wait for the one before. */
export function squaredDistance(a: Float32Array, i: number, b: Float32Array, j: number, dimensions: number): number {
  let p = i * dimensions
  let q = j * dimensions
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  const end = p + dimensions
  for (; p + 3 < end; p += 4, q += 4) {
    const d0 = (a[p] as number) - (b[q] as number)
    const d1 = (a[p + 1] as number) - (b[q + 1] as number)
    const d2 = (a[p + 2] as number) - (b[q + 2] as number)
    const d3 = (a[p + 3] as number) - (b[q + 3] as number)
    s0 += d0 * d0
    s1 += d1 * d1
    s2 += d2 * d2
    s3 += d3 * d3
  }
  for (; p < end; p++, q++) {
    const d = (a[p] as number) - (b[q] as number)
    s0 += d * d
  }
  return s0 + s1 + (s2 + s3)
}

export function dotProduct(a: Float32Array, i: number, b: Float32Array, j: number, dimensions: number): number {
  let p = i * dimensions
  let q = j * dimensions
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  const end = p + dimensions
  for (; p + 3 < end; p += 4, q += 4) {
    s0 += (a[p] as number) * (b[q] as number)
    s1 += (a[p + 1] as number) * (b[q + 1] as number)
    s2 += (a[p + 2] as number) * (b[q + 2] as number)
    s3 += (a[p + 3] as number) * (b[q + 3] as number)
  }
  for (; p < end; p++, q++) s0 += (a[p] as number) * (b[q] as number)
  return s0 + s1 + (s2 + s3)
}
