/** Trainings of every kind on a few words, and how an engine's course may differ from the native engine's. */
import type { ClassifierOptions } from '../../lib/classifier/options.js'
import type { Engine } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { readWords, type TrainingData, trainingRequest } from '../support/training.js'

const { words } = readWords()
const few = 330
export const data: TrainingData = {
  ...words,
  vectors: words.vectors.slice(0, few * words.dimensions),
  labels: words.labels.slice(0, few),
  neighbors: words.neighbors.slice(0, few * words.neighborsPerRow).map((id) => id % few)
}

export const relative = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), 1e-30)

/** Length of the difference, in lengths of the first. */
export function distanceBetween(a: Float32Array | Float64Array, b: Float32Array | Float64Array): number {
  const length = Math.hypot(...a)
  return Math.hypot(...Array.from(a, (value, i) => value - (b[i] as number))) / (length || 1)
}

const images = { inputShape: [1, 10, 10] as [number, number, number] }

/** Every layer, activation, loss, optimizer and penalty at least once; the last batch of an epoch is smaller. */
export const courses: Record<string, ClassifierOptions> = {
  'Adam, soft labels, two hidden layers': { hidden: [96, 64], softLabels: 5 },
  'a linear network, SGD': { hidden: [], optimizer: { type: 'sgd', learningRate: 0.1 } },
  'batch norm, dropout, input noise, AdamW': {
    hidden: [64],
    batchNorm: true,
    dropout: 0.3,
    optimizer: { type: 'adamw', weightDecay: 0.1 },
    regularization: { inputNoise: 0.2 },
    input: 'standardize'
  },
  'images, momentum, clipping, L1 and L2': {
    ...images,
    layers: [
      { type: 'conv2d', channels: 6, kernel: 3, padding: 1 },
      { type: 'batch-norm' },
      { type: 'selu' },
      { type: 'max-pool2d', kernel: 3, stride: 2, padding: 1 },
      { type: 'conv2d', channels: 8, kernel: 2, stride: 2, bias: false },
      { type: 'gelu' },
      { type: 'average-pool2d', kernel: 2, padding: 1 },
      { type: 'flatten' }
    ],
    optimizer: { type: 'sgd', learningRate: 0.05, momentum: 0.9, nesterov: true },
    regularization: { clipNorm: 0.5, l1: 1e-5, l2: 1e-4 },
    initialization: { type: 'he-normal' }
  },
  'squared error, balanced classes, NAdam, warm-up': {
    hidden: [48],
    activation: 'tanh',
    loss: { type: 'mean-squared-error', classWeights: 'balanced' },
    optimizer: { type: 'nadam' },
    schedule: { type: 'exponential', warmup: 8 }
  },
  'absolute error, softplus, Adamax, directions': {
    hidden: [40],
    activation: 'softplus',
    loss: { type: 'mean-absolute-error' },
    optimizer: { type: 'adamax' },
    input: 'normalize'
  },
  'one logit a bin, RMSProp with momentum, reduce on plateau': {
    hidden: [48],
    activation: 'leaky-relu',
    loss: { type: 'binary-cross-entropy' },
    softLabels: 2,
    optimizer: { type: 'rmsprop', momentum: 0.5 },
    schedule: { type: 'plateau', patience: 1 }
  },
  'hard labels with weights, label smoothing, AdaGrad, clipping': {
    layers: [
      { type: 'linear', outputs: 50, bias: false },
      { type: 'relu' },
      { type: 'linear', outputs: 30, bias: true },
      { type: 'relu6' },
      { type: 'dropout', rate: 0.1 },
      { type: 'linear', outputs: 20, bias: true },
      { type: 'elu', alpha: 0.7 },
      { type: 'softmax' },
      { type: 'sigmoid' }
    ],
    loss: { type: 'cross-entropy', labelSmoothing: 0.1, classWeights: 'balanced' },
    optimizer: { type: 'adagrad', learningRate: 0.05 },
    regularization: { clipNorm: 0.01 }
  },
  'no weights but the last, Adadelta': {
    layers: [{ type: 'dropout', rate: 0.2 }, { type: 'tanh' }],
    optimizer: { type: 'adadelta', learningRate: 1 }
  }
}

export const whole = { epochs: 10, batchSize: 70, validationFraction: 0.1, softLabels: 0, precision: 'fp32' } as const
export const requestOf = (options: ClassifierOptions) => trainingRequest(data, { ...whole, ...options })

const native = createNativeEngine()
const job = { threads: 1 }

/** What of a training is not as the native engine's, but for rounding. */
export async function courseFaults(engine: Engine, options: ClassifierOptions): Promise<string[]> {
  const request = requestOf(options)
  const [expected, found] = [await native.trainClassifier(request, job), await engine.trainClassifier(request, job)]
  const faults: string[] = []
  const expectBelow = (bound: number, error: number, what: string) => {
    if (!(error < bound)) faults.push(`${what}: off by ${error}`)
  }
  expectBelow(1, Math.abs(found.history.length - expected.history.length), 'epochs')
  expectBelow(1, Math.abs(found.state.steps - expected.state.steps), 'steps')
  expectBelow(1e-9, distanceBetween(Float32Array.from(expected.heldOut), Float32Array.from(found.heldOut)), 'heldOut')
  for (const [i, epoch] of found.history.entries()) {
    const right = expected.history[i] as typeof epoch
    for (const figure of ['trainingLoss', 'validationLoss', 'learningRate'] as const)
      expectBelow(1e-3, relative(epoch[figure], right[figure]), `epoch ${i + 1}, ${figure}`)
    for (const figure of ['trainingAccuracy', 'validationAccuracy', 'neighborAccuracy'] as const)
      expectBelow(0.04, Math.abs(epoch[figure] - right[figure]), `epoch ${i + 1}, ${figure}`)
  }
  expectBelow(0.01, distanceBetween(expected.parameters, found.parameters), 'parameters')
  expectBelow(0.02, distanceBetween(expected.state.slots, found.state.slots), 'running values')
  // A bias in front of batch norm has no gradient but what rounding makes of it, which Adam makes large.
  expectBelow(0.01, distanceBetween(expected.buffers, found.buffers), 'buffers')
  expectBelow(0.01, relative(expected.temperature, found.temperature), 'temperature')
  return faults
}
