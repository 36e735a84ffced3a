import { type Network, tensorsOf } from '../../lib/classifier/network.js'
import type { Initialization } from '../../lib/classifier/training.js'
import { eachEngine } from '../engines/each-engine.js'
import { mean } from '../support/training.js'

const network: Network = {
  inputShape: [6, 9, 9],
  layers: [
    { type: 'conv2d', channels: 40, kernel: 5, stride: 2, padding: 0, bias: true },
    { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 },
    { type: 'relu' },
    { type: 'flatten' },
    { type: 'linear', outputs: 65, bias: true }
  ]
}
/** Inputs and outputs of a unit of the two layers with weights. */
const fans = { '0.weight': [6 * 25, 40 * 25], '4.weight': [40 * 9, 65] } as const

eachEngine(({ initialParameters, test }) => {
  function tensors(initialization: Initialization, seed = 1) {
    const { parameters, buffers } = initialParameters({ network, initialization, seed })
    const left = { parameter: parameters, buffer: buffers }
    const named = tensorsOf(network).map(({ name, shape, kind }) => {
      const size = shape.reduce((a, b) => a * b)
      const values = left[kind].subarray(0, size)
      left[kind] = left[kind].subarray(size)
      return [name, values] as const
    })
    return Object.fromEntries(named) as Record<string, Float32Array>
  }

  type Fans = readonly [fanIn: number, fanOut: number]

  /** What the variance of a layer's weights must be, and whether they are uniform or normal. */
  const distributions: Record<
    Exclude<Initialization['type'], 'constant'>,
    [(fans: Fans) => number, 'uniform' | 'normal']
  > = {
    uniform: [([fanIn]) => 1 / (3 * fanIn), 'uniform'],
    'xavier-uniform': [([fanIn, fanOut]) => 2 / (fanIn + fanOut), 'uniform'],
    'xavier-normal': [([fanIn, fanOut]) => 2 / (fanIn + fanOut), 'normal'],
    'he-uniform': [([fanIn]) => 2 / fanIn, 'uniform'],
    'he-normal': [([fanIn]) => 2 / fanIn, 'normal'],
    'lecun-normal': [([fanIn]) => 1 / fanIn, 'normal']
  }

  for (const [type, [varianceOf, shape]] of Object.entries(distributions)) {
    test(`${type}: the weights' mean, variance and shape`, (t) => {
      const named = tensors({ type: type as keyof typeof distributions })
      for (const [name, fan] of Object.entries(fans)) {
        const weights = Array.from(named[name] as Float32Array)
        const variance = varianceOf(fan)
        const deviation = Math.sqrt(variance)
        // Of thousands of draws: 5 standard errors, the kurtosis's being sqrt(24 / n).
        const error = 5 / Math.sqrt(weights.length)
        const moment = (power: number) => mean(weights.map((weight) => (weight / deviation) ** power))
        t.true(Math.abs(moment(1)) < error, `${name}: mean ${moment(1)} deviations`)
        t.true(Math.abs(moment(2) - 1) < 2 * error, `${name}: variance ${moment(2)} times what it should be`)
        t.true(Math.abs(moment(4) - (shape === 'normal' ? 3 : 1.8)) < 10 * error, `${name}: kurtosis ${moment(4)}`)
        const largest = Math.max(...weights.map(Math.abs)) / deviation
        if (shape === 'uniform') t.true(largest <= Math.sqrt(3) * (1 + 1e-6) && largest > 1.72, `${name}: ${largest}`)
        else t.true(largest > 3, `${name}: ${largest}`)
      }
    })
  }

  test('biases start at 0; batch norm with weight 1, mean 0 and variance 1', (t) => {
    for (const type of ['he-normal', 'uniform'] as const) {
      const named = tensors({ type })
      const all = (name: string, value: number) => (named[name] as Float32Array).every((number) => number === value)
      t.true(all('0.bias', 0) && all('4.bias', 0))
      t.true(all('1.weight', 1) && all('1.bias', 0))
      t.true(all('1.running_mean', 0) && all('1.running_var', 1))
    }
  })

  test('constant: every weight is the value, biases are 0', (t) => {
    const named = tensors({ type: 'constant', value: 0.25 })
    for (const name of ['0.weight', '4.weight']) t.true(named[name]?.every((weight) => weight === 0.25))
    t.true(named['4.bias']?.every((bias) => bias === 0))
  })

  test('the same seed gives the same weights, another one others; neighboring numbers are not alike', (t) => {
    const [one, same, other] = [
      tensors({ type: 'he-normal' }),
      tensors({ type: 'he-normal' }),
      tensors({ type: 'he-normal' }, 2)
    ]
    t.deepEqual(same, one)
    t.notDeepEqual(other['0.weight'], one['0.weight'])
    const weights = one['4.weight'] as Float32Array
    const variance = mean(weights.map((weight) => weight ** 2))
    const correlation = mean(weights.subarray(1).map((weight, i) => weight * (weights[i] as number))) / variance
    t.true(Math.abs(correlation) < 5 / Math.sqrt(weights.length), `${correlation}`)
  })
})
