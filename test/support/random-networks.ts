/** Networks of all layers that can be trained, losses, and batches, at random. */
import { bufferCount, type Layer, type Network, shapesOf, tensorsOf } from '../../lib/classifier/network.js'
import type { Loss } from '../../lib/classifier/training.js'
import type { PassRequest } from '../engines/parts.js'

type Random = () => number

/** From low to high, both included. */
export const integer = (random: Random, low: number, high: number) => low + Math.floor(random() * (high - low + 1))
export const oneOf = <T>(random: Random, choices: readonly T[]) => choices[integer(random, 0, choices.length - 1)] as T
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

export function randomNetwork(random: Random): Network {
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

export function randomLoss(random: Random, outputs: number): Loss {
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

// ------------------------------------------------------------------------------------------ random batches

export type Batch = PassRequest<Float64Array>

export const outputsOf = (network: Network) => shapesOf(network).at(-1)?.[0] ?? 0

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

export function randomBatch(
  random: Random,
  network: Network,
  loss: Loss,
  rows: number,
  labels: 'hard' | 'soft'
): Batch {
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
