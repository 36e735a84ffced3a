/** The parts of the TypeScript engine, each against a reference: PyTorch's outputs, the native engine in double precision,
 * or a plain sort. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import test from 'ava'
import fc from 'fast-check'
import {
  bufferCount,
  type Layer,
  type Network,
  outputsOf,
  type PartitionRule,
  parameterCount
} from '../../lib/classifier/network.js'
import type { Probing } from '../../lib/engines/engine.js'
import { loadAddon } from '../../lib/engines/native.js'
import { BinChoice } from '../../lib/engines/typescript/bin-choice.js'
import { Ranking } from '../../lib/engines/typescript/ranking.js'
import { createRouter } from '../../lib/engines/typescript/router.js'
import { plainLogits } from '../baselines/plain-rules.js'
import { randomNumbers } from './brute-force.js'

const { networkPass } = loadAddon()

// -------------------------------------------------------------------------------------------------------- layers

type Weights = Record<'parameters' | 'buffers', Float32Array<ArrayBuffer>>

/** What the engine makes of a row of floats, without a transform and a temperature. */
function outputsOfRow(network: Network, weights: Weights, row: Float32Array): number[] {
  const input = {
    unitLength: false,
    mean: new Float32Array(row.length),
    scale: new Float32Array(row.length).fill(1)
  }
  return Array.from(createRouter({ network, ...weights, input, temperature: 1 })(row))
}

/** The same by the native engine's layers in double precision. */
function referenceOfRow(network: Network, { parameters, buffers }: Weights, row: Float32Array): number[] {
  const request = {
    network,
    loss: { type: 'mean-squared-error', classWeights: 'none' } as const,
    seed: 1,
    training: false,
    parameters: Float64Array.from(parameters),
    buffers: Float64Array.from(buffers),
    inputs: Float64Array.from(row),
    targets: new Float64Array(outputsOf(network))
  }
  return Array.from(networkPass(request).outputs)
}

function largestError(found: readonly number[], right: readonly number[]): number {
  const size = Math.max(1, ...right.map(Math.abs))
  return found.length === right.length
    ? Math.max(...right.map((value, i) => Math.abs(value - (found[i] as number)) / size))
    : Number.POSITIVE_INFINITY
}

interface PassCase {
  name: string
  network: Network
  parameters: number[]
  buffers: number[]
  inputs: number[]
  use: { outputs: number[] }
}

const fixture = new URL('../fixtures/conformance.json.gz', import.meta.url)
const { passes } = JSON.parse(gunzipSync(readFileSync(fixture)).toString()) as { passes: PassCase[] }

test('every layer answers as PyTorch, up to the rounding of the weights to floats', (t) => {
  for (const { name, network, inputs, use, ...weights } of passes) {
    const parameters = Float32Array.from(weights.parameters)
    const buffers = Float32Array.from(weights.buffers)
    const size = network.inputShape.reduce((product, side) => product * side)
    const outputs = Array.from({ length: inputs.length / size }, (_, row) =>
      outputsOfRow(network, { parameters, buffers }, Float32Array.from(inputs.slice(row * size, (row + 1) * size)))
    ).flat()
    // A step is another where rounding takes a number over it.
    const hasStep = network.layers.some(({ type }) => type === 'step')
    if (!hasStep) t.true(largestError(outputs, use.outputs) < 1e-5, `${name}: ${largestError(outputs, use.outputs)}`)
  }
  t.true(passes.length > 50)
})

const side = fc.integer({ min: 1, max: 5 })
const anyLayer: fc.Arbitrary<Layer> = fc.oneof(
  fc.record({
    type: fc.constant('conv2d' as const),
    channels: side,
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    padding: fc.integer({ min: 1, max: 2 }),
    bias: fc.boolean()
  }),
  fc.record({
    type: fc.constantFrom('max-pool2d' as const, 'average-pool2d' as const),
    kernel: fc.constantFrom(2, 3),
    stride: fc.integer({ min: 1, max: 3 }),
    padding: fc.constant(1)
  }),
  fc.constant({ type: 'batch-norm' as const, momentum: 0.1, epsilon: 1e-3 }),
  fc.constant({ type: 'dropout' as const, rate: 0.5 }),
  fc
    .constantFrom<Layer['type']>('identity', 'step', 'sigmoid', 'tanh', 'relu', 'relu6', 'selu', 'softplus', 'gelu')
    .map((type) => ({ type }) as Layer),
  fc.constant({ type: 'leaky-relu' as const, slope: 0.3 }),
  fc.constant({ type: 'elu' as const, alpha: 0.7 })
)

test('networks of any layers answer as the native engine does in double precision', (t) => {
  const networks = fc.record({
    inputShape: fc.tuple(side, side, side),
    layers: fc.array(anyLayer, { maxLength: 5 }),
    outputs: side,
    bias: fc.boolean(),
    softmax: fc.boolean(),
    seed: fc.integer()
  })
  fc.assert(
    fc.property(networks, ({ inputShape, layers, outputs, bias, softmax, seed }) => {
      const linear = { type: 'linear', outputs, bias } as const
      const between = softmax ? [{ type: 'softmax' } as const] : []
      const network: Network = { inputShape, layers: [...layers, { type: 'flatten' }, ...between, linear] }
      const random = randomNumbers(seed)
      const numbers = (length: number, low: number) => Float32Array.from({ length }, () => 2 * random() + low)
      const parameters = numbers(parameterCount(network), -1)
      // Variances are not negative.
      const buffers = numbers(bufferCount(network), 0)
      const row = numbers(inputShape[0] * inputShape[1] * inputShape[2], -1).map((x) => 3 * x)
      const right = referenceOfRow(network, { parameters, buffers }, row)
      const found = outputsOfRow(network, { parameters, buffers }, row)
      t.true(largestError(found, right) < 1e-11, JSON.stringify({ network, found, right }))
    }),
    { numRuns: 500, seed: 1 }
  )
})

test("GELU is right in both tails, where the error function's series ends", (t) => {
  const network: Network = {
    inputShape: [1, 1, 1],
    layers: [{ type: 'gelu' }, { type: 'linear', outputs: 1, bias: false }]
  }
  const weights = { parameters: Float32Array.of(1), buffers: new Float32Array(0) }
  for (let x = -12; x <= 12; x += 0.01) {
    const row = Float32Array.of(x)
    const [found, right] = [outputsOfRow(network, weights, row), referenceOfRow(network, weights, row)]
    t.true(Math.abs((found[0] as number) - (right[0] as number)) < 1e-12, `${x}: ${found} and not ${right}`)
  }
})

test('the rules of partitions by projections rank the bins as they are defined', (t) => {
  const rules = fc.oneof<fc.Arbitrary<PartitionRule>[]>(
    fc.record({
      type: fc.constant('tree-leaves' as const),
      leaves: fc.integer({ min: 2, max: 40 }),
      rule: fc.constantFrom('squared-margin' as const, 'log-sigmoid' as const)
    }),
    fc.record({ type: fc.constant('sign-codes' as const), bits: fc.integer({ min: 1, max: 7 }) }),
    fc.record({
      type: fc.constant('cross-polytope' as const),
      dimensions: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 })
    })
  )
  const entering = (rule: PartitionRule) => {
    if (rule.type === 'tree-leaves') return rule.leaves - 1
    return rule.type === 'sign-codes' ? rule.bits : rule.dimensions.reduce((sum, one) => sum + one)
  }
  const none = { parameters: new Float32Array(0), buffers: new Float32Array(0) }
  fc.assert(
    fc.property(rules, fc.integer(), (rule, seed) => {
      const random = randomNumbers(seed)
      // Zeros, too: which side they are on is a matter of definition.
      const row = Float32Array.from({ length: entering(rule) }, () => (random() < 0.2 ? 0 : 4 * random() - 2))
      const found = outputsOfRow({ inputShape: [row.length, 1, 1], layers: [rule] }, none, row)
      t.true(largestError(found, plainLogits(rule, Array.from(row))) < 1e-12, JSON.stringify(rule))
    }),
    { numRuns: 300, seed: 1 }
  )
})

// ------------------------------------------------------------------------------------------------------- choices

/** Few different values, so that there are ties. */
const logit = fc.oneof(
  fc.integer({ min: -8, max: 8 }).map((x) => x / 2),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300, -1e300)
)

test('a ranking takes out the smallest keys, ties by the smaller id, also when it is used again', (t) => {
  const ranking = new Ranking()
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 60 }), (keys) => {
      ranking.reserve(keys.length)
      for (const [i, key] of keys.entries()) {
        ranking.keys[i] = key
        ranking.ids[i] = keys.length - i
      }
      ranking.start(keys.length)
      const right = keys.map((key, i) => ({ key, id: keys.length - i })).sort((a, b) => a.key - b.key || a.id - b.id)
      const found = keys.map(() => {
        const at = ranking.next()
        return { key: ranking.keys[at], id: ranking.ids[at] }
      })
      t.deepEqual(found, right)
      t.is(ranking.size, 0)
    }),
    { seed: 1 }
  )
})

/** The same choice by a sort of all bins. */
function plainChoice(logits: readonly number[], sizes: readonly number[], probing: Probing, fewest: number) {
  const most = Number.MAX_VALUE
  const finite = logits.map((one) => (Number.isNaN(one) ? -most : Math.min(most, Math.max(-most, one))))
  const largest = Math.max(...finite)
  const weights = finite.map((one) => Math.exp(one - largest))
  const total = weights.reduce((sum, one) => sum + one)
  const order = [...finite.keys()].sort((a, b) => (finite[b] as number) - (finite[a] as number) || a - b)
  const chosen: { bin: number; probability: number }[] = []
  let [mass, candidates] = [0, 0]
  for (const bin of order) {
    const probability = Math.fround((weights[bin] as number) / total)
    if (candidates >= fewest) {
      if (probing.probes !== undefined && chosen.length >= probing.probes) break
      if (probing.mass !== undefined && mass >= probing.mass) break
      if (probing.probability !== undefined && candidates >= probing.candidates) break
      if (probing.probability !== undefined && probability < probing.probability) break
    }
    chosen.push({ bin, probability })
    mass += probability
    candidates += sizes[bin] as number
  }
  return { chosen, candidates }
}

test('bins are chosen as by a sort of all of them: ties, empty bins, numbers that are none', (t) => {
  const probings = fc.oneof<fc.Arbitrary<Probing>[]>(
    fc.record({ probes: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ mass: fc.double({ min: 0.01, max: 1, noNaN: true }) }),
    fc.record({
      probability: fc.double({ min: 0, max: 0.5, noNaN: true }),
      candidates: fc.integer({ min: 1, max: 30 })
    })
  )
  const bins = fc.array(fc.tuple(logit, fc.integer({ min: 0, max: 5 })), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(bins, probings, fc.integer({ min: 0, max: 20 }), (bins, probing, fewest) => {
      const logits = bins.map(([logit]) => logit)
      const sizes = bins.map(([, size]) => size)
      const offsets = Int32Array.from({ length: bins.length + 1 }, (_, bin) =>
        sizes.slice(0, bin).reduce((sum, size) => sum + size, 0)
      )
      const choice = new BinChoice({ offsets })
      choice.choose(Float64Array.from(logits), probing, fewest)
      const { chosen, candidates } = plainChoice(logits, sizes, probing, fewest)
      const found = Array.from(choice.bins.subarray(0, choice.count))
      // Where the last sum is within rounding of the mass, one bin more or less is right as well.
      if (found.length !== chosen.length && probing.mass !== undefined) {
        const least = Math.min(found.length, chosen.length)
        const mass = chosen.slice(0, least).reduce((sum, { probability }) => sum + probability, 0)
        t.true(Math.abs(mass - probing.mass) < 1e-6)
        return
      }
      t.deepEqual(
        found,
        chosen.map(({ bin }) => bin)
      )
      t.is(choice.candidates, candidates)
      for (const [rank, { probability }] of chosen.entries())
        t.true(Math.abs((choice.probabilities[rank] as number) - probability) < 1e-6)
    }),
    { numRuns: 1000, seed: 1 }
  )
})
