/** Cross-polytope hashing (Andoni, Indyk, Laarhoven, Razenshteyn & Schmidt, NIPS 2015): a row's bin is the vertex +-e_i that is
 * nearest to it after a pseudo-random rotation, or one such vertex of each of several. */
import { SplitMix } from '../split-mix.js'
import { type Steps, uncounted } from '../turns.js'
import { eachProjected, type Projections, type Rows } from './projections.js'

const rounds = 3

/** `polytopes` has the dimensions of each, at most the power of two from those of the rows on; the last one's vertex changes
 * fastest from bin to bin. A unit of work is a row. */
export function* crossPolytopes(
  rows: Rows,
  polytopes: readonly number[],
  seed: number,
  result: Projections
): Steps<void> {
  const random = new SplitMix(BigInt(seed))
  let first = 0
  for (const count of polytopes) {
    const weights = result.weights.subarray(first * rows.dimensions, (first + count) * rows.dimensions)
    yield* uncounted(writeRotation(rows.dimensions, new SplitMix(random.seed()), weights))
    first += count
  }
  yield* eachProjected(rows, result, (row, numbers) => {
    result.labels[row] = binOf(numbers, polytopes)
  })
}

/** The first rows of three rounds of random signs and a Walsh-Hadamard transform H D3 H D2 H D1 of rows that were filled up
 * with zeros to a power of two: row i is D1 H D2 H D3 H e_i. */
function* writeRotation(columns: number, random: SplitMix, weights: Float32Array): Steps<void> {
  const size = 2 ** Math.ceil(Math.log2(columns))
  const signs = Array.from({ length: rounds }, () => Float64Array.from({ length: size }, () => signOf(random)))
  const scale = size ** (-0.5 * rounds)
  const numbers = new Float64Array(size)
  for (let row = 0; row * columns < weights.length; row++) {
    numbers.fill(0)
    numbers[row] = scale
    for (const round of signs.toReversed()) {
      transform(numbers)
      for (let i = 0; i < size; i++) numbers[i] = (numbers[i] as number) * (round[i] as number)
    }
    weights.set(numbers.subarray(0, columns), row * columns)
    yield 0
  }
}

/** By the highest bit of a number. */
function signOf(random: SplitMix): number {
  random.next()
  return random.high < 0 ? -1 : 1
}

/** Walsh's and Hadamard's, in place and not scaled. */
function transform(numbers: Float64Array): void {
  for (let half = 1; half < numbers.length; half *= 2) {
    for (let first = 0; first < numbers.length; first += 2 * half) {
      for (let i = first; i < first + half; i++) {
        const a = numbers[i] as number
        const b = numbers[i + half] as number
        numbers[i] = a + b
        numbers[i + half] = a - b
      }
    }
  }
}

function binOf(numbers: Float64Array, polytopes: readonly number[]): number {
  let bin = 0
  let first = 0
  for (const count of polytopes) {
    bin = bin * 2 * count + nearestVertex(numbers, first, count)
    first += count
  }
  return bin
}

/** Vertex 2 i is e_i, 2 i + 1 is -e_i; of equally near ones it is the first. */
function nearestVertex(numbers: Float64Array, first: number, count: number): number {
  let best = 0
  for (let i = 1; i < count; i++) {
    if (Math.abs(numbers[first + i] as number) > Math.abs(numbers[first + best] as number)) best = i
  }
  return 2 * best + ((numbers[first + best] as number) < 0 ? 1 : 0)
}
