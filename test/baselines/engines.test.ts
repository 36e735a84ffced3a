/** Both engines draw the same random numbers: their partitions are the same up to the rounding of floats. */
import test from 'ava'
import { projectionMethods } from '../../lib/baselines/rules.js'
import type { ProjectionMethod } from '../../lib/engines/engine.js'
import { SplitMix } from '../../lib/engines/typescript/split-mix.js'
import { SplitMix as PlainSplitMix } from '../support/split-mix.js'
import { clustered } from '../support/vectors.js'
import { partitioners, readWords } from './partition.js'

const [{ partition: native }, { partition: typescript }] = partitioners as [
  (typeof partitioners)[number],
  (typeof partitioners)[number]
]

const farthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a, (x, i) => Math.abs(x - (b[i] as number))).reduce((most, x) => Math.max(most, x), 0)

const shareOfEqual = (a: Int32Array, b: Int32Array) => a.filter((x, i) => x === b[i]).length / a.length

async function compare(
  method: ProjectionMethod,
  vectors: Float32Array,
  dimensions: number,
  bins: number,
  seed: number
) {
  const asked = { method, bins, iterations: 20, seed }
  const [expected, found] = await Promise.all([
    native(vectors, dimensions, asked),
    typescript(vectors, dimensions, asked)
  ])
  return {
    same: shareOfEqual(expected.labels, found.labels),
    weights: farthest(expected.weights, found.weights),
    biases: farthest(expected.biases, found.biases),
    losses: farthest(expected.losses, found.losses),
    balance: Math.abs(expected.balance - found.balance)
  }
}

for (const method of projectionMethods) {
  test(`${method}: both engines make the same partition`, async (t) => {
    const { vectors, dimensions } = await readWords(3000)
    for (const [bins, seed] of [
      [16, 1],
      [64, 2 ** 31 - 1]
    ] as const) {
      const beside = await compare(method, vectors, dimensions, bins, seed)
      t.log(beside)
      t.true(beside.same > 0.998)
      t.true(beside.weights < 2e-4 && beside.biases < 2e-3 && beside.losses < 1e-4 && beside.balance < 0.02)
    }
    // Filled up to a power of two, and more vertices than one polytope has.
    const some = await compare(method, clustered(500, 5, 20), 5, method === 'cross-polytope' ? 32 : 16, 7)
    t.true(some.same > 0.998)
  })
}

test('the random numbers are those of native/core/random.h', (t) => {
  for (const seed of [0, 1, 2 ** 31 - 1, 2 ** 32 + 5, 2 ** 53 - 1]) {
    const [found, plain] = [new SplitMix(BigInt(seed)), new PlainSplitMix(BigInt(seed))]
    for (let i = 0; i < 3000; i++) {
      const number = plain.next()
      if (i % 3 === 0) t.is(found.uniform(), Number(number >> 11n) * 2 ** -53)
      if (i % 3 === 1) t.is(found.seed(), number)
      const bound = [10, 16_384, 2 ** 31 - 1, 2 ** 32 - 1][i % 4] as number
      if (i % 3 === 2) t.is(found.below(bound), Number(((number >> 32n) * BigInt(bound)) >> 32n))
    }
  }
})
