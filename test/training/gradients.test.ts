/** Gradients of whole networks against central differences, in double precision. */
import type { ExecutionContext } from 'ava'
import { bufferCount, type Layer, type Network, shapesOf, tensorsOf } from '../../lib/classifier/network.js'
import type { Loss } from '../../lib/classifier/training.js'
import { randomNumbers } from '../engines/brute-force.js'
import { eachEngine } from '../engines/each-engine.js'
import type { PassRequest } from '../engines/parts.js'

type Random = () => number

/** From low to high, both included. */
const integer = (random: Random, low: number, high: number) => low + Math.floor(random() * (high - low + 1))
const oneOf = <T>(random: Random, choices: readonly T[]) => choices[integer(random, 0, choices.length - 1)] as T
const numbers = (random: Random, length: number, low: number, high: number) =>
  Float64Array.from({ length }, () => low + (high - low) * random())

// ------------------------------------------------------------------------------------------ random networks

const activations: readonly Layer[] = [
  { type: 'identity' },
  { type: 'sigmoid' },
  { type: 'tanh' },
  { type: 'relu' },
  { type: 'relu6' },
  { type: 'leaky-relu', slope: 0.1 },
  { type: 'elu', alpha: 0.7 },
  { type: 'selu' },
  { type: 'softplus' },
  { type: 'gelu' }
]

const sometimes = (random: Random, layer: Layer): Layer[] => (random() < 0.5 ? [layer] : [])

const afterwards = (random: Random): Layer[] => [
  ...sometimes(random, { type: 'batch-norm', momentum: 0.1, epsilon: 1e-3 }),
  oneOf(random, activations),
  ...sometimes(random, { type: 'dropout', rate: 0.2 })
]

const convolutions = (random: Random): Layer[] => [
  {
    type: 'conv2d',
    channels: integer(random, 2, 4),
    kernel: integer(random, 1, 3),
    stride: integer(random, 1, 2),
    padding: integer(random, 0, 2),
    bias: random() < 0.5
  },
  ...afterwards(random),
  { type: oneOf(random, ['max-pool2d', 'average-pool2d']), kernel: 2, stride: integer(random, 1, 2), padding: 1 }
]

const linears = (random: Random): Layer[] => [
  { type: 'linear', outputs: integer(random, 5, 9), bias: random() < 0.7 },
  ...afterwards(random)
]

function randomNetwork(random: Random): Network {
  const images = random() < 0.6
  const repeated = (make: (random: Random) => Layer[], most: number) =>
    Array.from({ length: integer(random, 1, most) }, () => make(random)).flat()
  return {
    inputShape: images
      ? [integer(random, 1, 3), integer(random, 5, 8), integer(random, 5, 8)]
      : [integer(random, 3, 9), 1, 1],
    layers: [
      ...(images ? repeated(convolutions, 2) : []),
      { type: 'flatten' },
      ...repeated(linears, 3),
      ...sometimes(random, { type: 'softmax' }),
      { type: 'linear', outputs: integer(random, 3, 7), bias: true }
    ]
  }
}

function randomLoss(random: Random, outputs: number): Loss {
  const classWeights = random() < 0.5 ? 'none' : Array.from(numbers(random, outputs, 0.5, 2))
  const type = oneOf(random, [
    'cross-entropy',
    'binary-cross-entropy',
    'mean-squared-error',
    'mean-absolute-error'
  ] as const)
  return type === 'cross-entropy'
    ? { type, labelSmoothing: random() < 0.5 ? 0 : 0.1, classWeights }
    : { type, classWeights }
}

// ------------------------------------------------------------------------------------------ differences

type Batch = PassRequest<Float64Array>

const outputsOf = (network: Network) => shapesOf(network).at(-1)?.[0] ?? 0

/** Weights and biases that keep numbers and gradients as large as they were. */
function randomParameters(random: Random, network: Network): Float64Array {
  const parameters = tensorsOf(network).filter(({ kind }) => kind === 'parameter')
  const tensors = parameters.map(({ shape }) => {
    const [outputs = 1, ...inputs] = shape
    const fanIn = inputs.reduce((a, b) => a * b, 1)
    const bound = 2 / Math.sqrt(fanIn)
    return inputs.length === 0 ? numbers(random, outputs, 0.2, 1) : numbers(random, outputs * fanIn, -bound, bound)
  })
  return Float64Array.from(tensors.flatMap((tensor) => [...tensor]))
}

function randomBatch(random: Random, network: Network, loss: Loss, rows: number, labels: 'hard' | 'soft'): Batch {
  const outputs = outputsOf(network)
  const batch = {
    network,
    loss,
    parameters: randomParameters(random, network),
    buffers: new Float64Array(bufferCount(network)),
    inputs: numbers(random, rows * network.inputShape.reduce((a, b) => a * b), -1, 1),
    seed: integer(random, 0, 1e9),
    training: true
  }
  if (labels === 'hard')
    return { ...batch, labels: Int32Array.from({ length: rows }, () => integer(random, 0, outputs - 1)) }
  const targets = numbers(random, rows * outputs, 0, 1)
  for (let row = 0; row < targets.length; row += outputs) {
    const shares = targets.subarray(row, row + outputs)
    shares.set(shares.map((share) => share / shares.reduce((a, b) => a + b)))
  }
  return { ...batch, targets }
}

eachEngine(({ networkPass, test }) => {
  /** Of the loss with respect to the numbers under `name`. */
  function centralDifferences(batch: Batch, name: 'parameters' | 'inputs'): Float64Array {
    const step = 1e-5
    const lossWith = (i: number, change: number) => {
      const values = batch[name].slice()
      values[i] = (values[i] as number) + change
      return networkPass({ ...batch, [name]: values }).loss
    }
    return batch[name].map((_, i) => (lossWith(i, step) - lossWith(i, -step)) / (2 * step))
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
    agrees(t, gradient, centralDifferences(batch, 'parameters'), 'parameters')
    agrees(t, inputGradient, centralDifferences(batch, 'inputs'), 'inputs')
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
