/** Sums over two rows of numbers, in double precision. */

/** Numbers as they are stored, or as a layer left them. */
export type Numbers = Float32Array | Float64Array | Uint8Array

/** Of `count` numbers from a[i] and from b[j] on. Four sums at a time, so that none waits for the one before. */
export function dotProduct(a: Numbers, i: number, b: Numbers, j: number, count: number): number {
  let [first, second, third, fourth] = [0, 0, 0, 0]
  const whole = i + count - (count % 4)
  const end = i + count
  for (; i < whole; i += 4, j += 4) {
    first += (a[i] as number) * (b[j] as number)
    second += (a[i + 1] as number) * (b[j + 1] as number)
    third += (a[i + 2] as number) * (b[j + 2] as number)
    fourth += (a[i + 3] as number) * (b[j + 3] as number)
  }
  for (; i < end; i++, j++) first += (a[i] as number) * (b[j] as number)
  return first + second + (third + fourth)
}

/** The squared Euclidean distance of these numbers. */
export function squaredDistance(a: Numbers, i: number, b: Numbers, j: number, count: number): number {
  let [first, second, third, fourth] = [0, 0, 0, 0]
  const whole = i + count - (count % 4)
  const end = i + count
  for (; i < whole; i += 4, j += 4) {
    const one = (a[i] as number) - (b[j] as number)
    const two = (a[i + 1] as number) - (b[j + 1] as number)
    const three = (a[i + 2] as number) - (b[j + 2] as number)
    const four = (a[i + 3] as number) - (b[j + 3] as number)
    first += one * one
    second += two * two
    third += three * three
    fourth += four * four
  }
  for (; i < end; i++, j++) first += ((a[i] as number) - (b[j] as number)) ** 2
  return first + second + (third + fourth)
}
