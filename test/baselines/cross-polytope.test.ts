// Cross-polytope hashing: its rotations, its bins and how often near vectors share one.
import test from 'ava'
import { randomNumbers } from '../engines/brute-force.js'
import { clustered } from '../support/vectors.js'
import { partitioners, projectionsOf } from './partition.js'
import { plainLogits } from './plain-rules.js'

/** A standard normal number (Box & Muller). */
const normal = (random: () => number) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

const unit = (vector: number[]) => {
  const length = Math.hypot(...vector)
  return vector.map((x) => x / length)
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0)

/** What is left of a vector beside orthogonal unit vectors. */
const beside = (vector: number[], others: number[][]) =>
  others.reduce((rest, other) => {
    const component = dot(rest, other)
    return rest.map((x, i) => x - component * (other[i] as number))
  }, vector)

for (const { engine, partition } of partitioners) {
  test(`${engine}: a row is in the bin whose logit is largest, of one polytope and of two`, async (t) => {
    for (const [dimensions, bins, polytopes] of [
      [20, 64, [32]],
      [20, 10, [5]],
      [4, 48, [4, 3]]
    ] as const) {
      const vectors = clustered(400, dimensions, 30)
      const made = await partition(vectors, dimensions, { method: 'cross-polytope', bins })
      const rule = { type: 'cross-polytope', dimensions: polytopes } as const
      t.true(made.biases.every((bias) => bias === 0))
      const expected = Array.from({ length: 400 }, (_, row) => {
        const logits = plainLogits(rule, projectionsOf(made, vectors, dimensions, row))
        return logits.indexOf(Math.max(...logits))
      })
      t.deepEqual(Array.from(made.labels), expected)
    }
  })

  test(`${engine}: the rotations are orthogonal, also of vectors that are filled up`, async (t) => {
    for (const [dimensions, padded] of [
      [64, 64],
      [20, 32],
      [1, 1]
    ] as const) {
      const vectors = clustered(200, dimensions)
      const { weights } = await partition(vectors, dimensions, { method: 'cross-polytope', bins: 2 * padded })
      const columns = Array.from({ length: dimensions }, (_, c) =>
        Array.from({ length: padded }, (_, row) => weights[row * dimensions + c] as number)
      )
      for (const [i, a] of columns.entries())
        for (const [j, b] of columns.entries()) t.true(Math.abs(dot(a, b) - (i === j ? 1 : 0)) < 1e-6)
    }
  })
}

const dimensions = 64

/** Two unit vectors with this inner product, in any direction, which is what a random rotation makes of any such two. */
function randomPair(cosine: number, random: () => number): [number[], number[]] {
  const drawn = () => Array.from({ length: dimensions }, () => normal(random))
  const first = unit(drawn())
  const across = unit(beside(drawn(), [first]))
  return [first, first.map((x, c) => cosine * x + Math.sqrt(1 - cosine ** 2) * (across[c] as number))]
}

/** How often such a pair has the same nearest vertex. */
const simulated = new Map(
  [0.4, 0.7, 1, 1.3].map((distance) => {
    const random = randomNumbers(9)
    const trials = 20_000
    let shared = 0
    for (let trial = 0; trial < trials; trial++) {
      const [first, second] = randomPair(cosineOf(distance), random)
      if (vertexOf(first) === vertexOf(second)) shared++
    }
    return [distance, shared / trials]
  })
)

/** Two with few numbers that are not 0, where nothing but the signs and transforms brings randomness. */
function axisPair(cosine: number, _: () => number, number: number): [number[], number[]] {
  const [i, j] = [number % dimensions, (number + 1 + Math.floor(number / dimensions)) % dimensions]
  const first = Array.from({ length: dimensions }, (_, c) => (c === i ? 1 : 0))
  return [first, first.map((x, c) => (c === j ? Math.sqrt(1 - cosine ** 2) : cosine * x))]
}

function vertexOf(vector: readonly number[]): number {
  const largest = vector.reduce((best, x, i) => (Math.abs(x) > Math.abs(vector[best] as number) ? i : best), 0)
  return 2 * largest + ((vector[largest] as number) < 0 ? 1 : 0)
}

function cosineOf(distance: number): number {
  return 1 - distance ** 2 / 2
}

const cases = [
  { name: 'any two vectors', pairOf: randomPair, tolerance: 0.025 },
  // Three rounds leave a trace of where they started.
  { name: 'two vectors along axes', pairOf: axisPair, tolerance: 0.04 }
]

for (const { engine, partition } of partitioners) {
  for (const { name, pairOf, tolerance } of cases) {
    test(`${engine}: ${name} at a distance share a bin as often as with random rotations`, async (t) => {
      const [pairs, seeds] = [1280, 20]
      const random = randomNumbers(7)
      for (const [distance, theirs] of simulated) {
        const both = Array.from({ length: pairs }, (_, pair) => pairOf(cosineOf(distance), random, pair))
        const vectors = Float32Array.from(both.flat(2))
        let shared = 0
        for (let seed = 1; seed <= seeds; seed++) {
          const { labels } = await partition(vectors, dimensions, { method: 'cross-polytope', bins: 128, seed })
          for (let pair = 0; pair < pairs; pair++) if (labels[2 * pair] === labels[2 * pair + 1]) shared++
        }
        const ours = shared / (pairs * seeds)
        // ln(1 / p) is d^2 / (4 - d^2) ln D but for a term of ln ln D (Andoni et al. 2015, theorem 1).
        const exponent = -Math.log(ours) / Math.log(dimensions) / (distance ** 2 / (4 - distance ** 2))
        t.log(
          `distance ${distance}: ${ours.toFixed(4)}, random rotations ${theirs.toFixed(4)}; ln(1 / p) is ${exponent.toFixed(2)} times its leading term`
        )
        t.true(Math.abs(ours - theirs) < tolerance)
      }
    })
  }
}
