/** Sums over the numbers of two rows, in double precision. One of them is always a Float64Array and the other is as it is
 * stored: a function that sees arrays of few kinds is compiled to several times faster code. */

export type Stored = Float32Array | Uint8Array

/** Of the first `count` numbers of `a` with those of `b` from `at` on. Four sums at a time, so that none waits for the one
 * before. */
export function dotProduct(a: Float64Array, b: Stored, at: number, count: number): number {
  let first = 0
  let second = 0
  let third = 0
  let fourth = 0
  const whole = count - (count % 4)
  for (let i = 0; i < whole; i += 4) {
    first += (a[i] as number) * (b[at + i] as number)
    second += (a[i + 1] as number) * (b[at + i + 1] as number)
    third += (a[i + 2] as number) * (b[at + i + 2] as number)
    fourth += (a[i + 3] as number) * (b[at + i + 3] as number)
  }
  for (let i = whole; i < count; i++) first += (a[i] as number) * (b[at + i] as number)
  return first + second + (third + fourth)
}

/** The squared Euclidean distance of the same numbers. */
export function squaredDistance(a: Float64Array, b: Stored, at: number, count: number): number {
  let first = 0
  let second = 0
  let third = 0
  let fourth = 0
  const whole = count - (count % 4)
  for (let i = 0; i < whole; i += 4) {
    const one = (a[i] as number) - (b[at + i] as number)
    const two = (a[i + 1] as number) - (b[at + i + 1] as number)
    const three = (a[i + 2] as number) - (b[at + i + 2] as number)
    const four = (a[i + 3] as number) - (b[at + i + 3] as number)
    first += one * one
    second += two * two
    third += three * three
    fourth += four * four
  }
  for (let i = whole; i < count; i++) first += ((a[i] as number) - (b[at + i] as number)) ** 2
  return first + second + (third + fourth)
}

/** The squared length of a row. */
export function squaredNorm(row: Float32Array): number {
  let sum = 0
  for (let i = 0; i < row.length; i++) sum += (row[i] as number) * (row[i] as number)
  return sum
}
