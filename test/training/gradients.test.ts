/** Gradients of whole networks against central differences, in double precision. */
import type { ExecutionContext } from 'ava'
import type { Layer, Network } from '../../lib/classifier/network.js'
import type { Loss } from '../../lib/classifier/training.js'
import { randomNumbers } from '../engines/brute-force.js'
import { eachEngine } from '../engines/each-engine.js'
import {
  type Batch,
  integer,
  oneOf,
  outputsOf,
  randomBatch,
  randomLoss,
  randomNetwork
} from '../support/random-networks.js'

const everySoManieth = (values: Float64Array, every: number) => values.filter((_, i) => i % every === 0)

eachEngine(({ engine, networkPass, test }) => {
  /** Derivatives that are compared: without native code all would take a minute. */
  const most = engine.name === 'native' ? Number.POSITIVE_INFINITY : 120

  /** Of the loss with respect to every so manieth of the numbers under `name`. */
  function centralDifferences(batch: Batch, name: 'parameters' | 'inputs', every: number): Float64Array {
    const step = 1e-5
    const lossWith = (i: number, change: number) => {
      const values = batch[name].slice()
      values[i] = (values[i] as number) + change
      return networkPass({ ...batch, [name]: values }).loss
    }
    return everySoManieth(batch[name], every).map((_, place) => {
      const i = place * every
      return (lossWith(i, step) - lossWith(i, -step)) / (2 * step)
    })
  }

  function agrees(t: ExecutionContext, gradient: Float64Array, differences: Float64Array, name: string): void {
    const norm = Math.hypot(...gradient)
    const error = Math.hypot(...gradient.map((value, i) => value - (differences[i] as number))) / norm
    t.true(norm > 1e-4, `${name}: a gradient of norm ${norm} shows nothing`)
    t.true(error < 1e-6, `${name}: relative error ${error}`)
    t.log(`${name}: relative error ${error.toExponential(1)} of ${gradient.length} derivatives`)
  }

  function agreeBoth(t: ExecutionContext, batch: Batch): void {
    const { gradient, inputGradient } = networkPass(batch)
    for (const [name, found] of [
      ['parameters', gradient],
      ['inputs', inputGradient]
    ] as const) {
      const every = Math.max(1, Math.ceil(found.length / most))
      agrees(t, everySoManieth(found, every), centralDifferences(batch, name, every), name)
    }
  }

  for (let seed = 1; seed <= 12; seed++) {
    const random = randomNumbers(seed)
    const network = randomNetwork(random)
    const loss = randomLoss(random, outputsOf(network))
    const batch = randomBatch(random, network, loss, integer(random, 4, 8), oneOf(random, ['hard', 'soft']))
    const layers = network.layers.map(({ type }) => type).join(', ')
    test(`random network ${seed}: ${layers}; ${loss.type}`, (t) => agreeBoth(t, batch))
  }

  const shapes = [
    { widths: [4, 3], rows: 5 },
    { widths: [3, 5, 4], rows: 7 },
    { widths: [2, 9, 1, 6], rows: 3 },
    { widths: [6, 9, 8, 5], rows: 1 },
    { widths: [7, 20, 20, 20, 9], rows: 30 }
  ]

  for (const { widths, rows } of shapes) {
    for (const labels of ['hard', 'soft'] as const) {
      test(`linear layers with relu: ${widths.join('-')}, ${rows} rows, ${labels} labels`, (t) => {
        const [inputs = 0, ...outputs] = widths
        const layers = outputs.flatMap((outputs): Layer[] => [
          { type: 'linear', outputs, bias: true },
          { type: 'relu' }
        ])
        const network: Network = { inputShape: [inputs, 1, 1], layers: layers.slice(0, -1) }
        const loss: Loss = { type: 'cross-entropy', labelSmoothing: 0, classWeights: 'none' }
        agreeBoth(t, randomBatch(randomNumbers(100 + rows), network, loss, rows, labels))
      })
    }
  }
})
