import test from 'ava'
import { buildKnnGraph, type LossOptions, trainClassifier } from '../../lib/index.js'
import { randomNumbers } from '../engines/brute-force.js'
import { clustered } from '../support/vectors.js'

const rows = 1200
const dimensions = 8
const vectors = clustered(rows, dimensions, 4)
/** Row i lies around center i % 4: groups that a network can learn. */
const labels = Int32Array.from({ length: rows }, (_, row) => row % 4)
const options = {
  dimensions,
  labels,
  bins: 4,
  hidden: [16],
  epochs: 8,
  batchSize: 64,
  optimizer: { learningRate: 0.01 }
}

test('learns groups that lie apart', async (t) => {
  const trained = await trainClassifier(vectors, options)
  t.deepEqual(trained.network, {
    inputShape: [8, 1, 1],
    layers: [{ type: 'linear', outputs: 16, bias: true }, { type: 'relu' }, { type: 'linear', outputs: 4, bias: true }]
  })
  t.is(trained.parameters.length, 16 * 9 + 4 * 17)
  t.is(trained.buffers.length, 0)
  t.is(trained.input.mean.length, 8)
  t.is(trained.bestEpoch, 8)
  t.deepEqual(
    trained.history.map(({ epoch }) => epoch),
    [1, 2, 3, 4, 5, 6, 7, 8]
  )
  const last = trained.history.at(-1)
  t.true((last?.trainingAccuracy ?? 0) > 0.97)
  t.true((last?.validationAccuracy ?? 0) > 0.9)
  t.true((last?.trainingLoss ?? 9) < (trained.history[0]?.trainingLoss ?? 0))
})

test('a linear classifier, and nothing held out', async (t) => {
  const linear = { ...options, hidden: [], validationFraction: 0 }
  const { parameters, history, calibration, temperature } = await trainClassifier(vectors, linear)
  t.is(parameters.length, 4 * 9)
  t.true((history.at(-1)?.trainingAccuracy ?? 0) > 0.9)
  t.is(history.at(-1)?.validationLoss, Number.NaN)
  t.is(calibration, undefined)
  t.is(temperature, 1)
})

test('soft labels keep the loss above the entropy of the neighbors', async (t) => {
  // Each vector's one neighbor is the next row, of another group: the target is half and half, its entropy log 2.
  const ids = Int32Array.from({ length: rows }, (_, row) => (row + 1) % rows)
  const neighbors = { neighbors: 1, ids, distances: new Float32Array(rows) }
  const { history } = await trainClassifier(vectors, { ...options, neighbors, epochs: 20 })
  const loss = history.at(-1)?.trainingLoss ?? 0
  t.true(loss >= Math.log(2) && loss < Math.log(2) + 0.1, `${loss}`)
})

test('the same seed gives the same weights, whatever the threads; another seed gives others', async (t) => {
  const first = await trainClassifier(vectors, { ...options, threads: 1 })
  const second = await trainClassifier(vectors, { ...options, threads: 2 })
  const other = await trainClassifier(vectors, { ...options, seed: 2 })
  t.deepEqual(second.parameters, first.parameters)
  t.notDeepEqual(other.parameters, first.parameters)
})

test('starts from the weights that are given', async (t) => {
  const { parameters: weights } = await trainClassifier(vectors, options)
  const still = { ...options, initial: { parameters: weights }, epochs: 1, optimizer: { learningRate: 1e-12 } }
  const { parameters, history } = await trainClassifier(vectors, still)
  t.deepEqual(parameters, weights)
  t.true((history[0]?.trainingAccuracy ?? 0) > 0.97)
})

/** Adam, with everything that has a memory: batch norm, a warm-up, a cosine over both halves. */
const withMemory = { ...options, batchNorm: true, dropout: 0.2, regularization: { inputNoise: 0.1 } }
const resumed: [string, object][] = [
  ['adam', { ...withMemory, schedule: { warmup: 2, epochs: 6 } }],
  [
    'sgd under reduce on plateau',
    { ...options, optimizer: { type: 'sgd' }, schedule: { type: 'plateau', patience: 0 } }
  ],
  ['nadam', { ...withMemory, optimizer: { type: 'nadam' }, schedule: { type: 'step', every: 3 } }]
]
for (const [what, settings] of resumed) {
  test(`four epochs and four more are eight, bit for bit: ${what}`, async (t) => {
    const whole = await trainClassifier(vectors, { ...options, ...settings, epochs: 8 })
    const first = await trainClassifier(vectors, { ...options, ...settings, epochs: 4 })
    const second = await trainClassifier(vectors, { ...options, ...settings, epochs: 4, initial: first })
    t.deepEqual(second.parameters, whole.parameters)
    t.deepEqual(second.buffers, whole.buffers)
    t.deepEqual(second.state, whole.state)
    t.deepEqual(second.calibration, whole.calibration)
    const withoutSeconds = [...first.history, ...second.history].map(({ seconds, ...epoch }) => epoch)
    t.deepEqual(
      withoutSeconds,
      whole.history.map(({ seconds, ...epoch }) => epoch)
    )
    t.notDeepEqual(first.parameters, whole.parameters)
  })
}

test('early stopping keeps the best epoch and stops after it', async (t) => {
  // A rate this high soon makes things worse.
  const restless = { ...options, epochs: 60, optimizer: { learningRate: 0.3 }, schedule: { type: 'constant' } } as const
  const { history, bestEpoch, parameters, state } = await trainClassifier(vectors, {
    ...restless,
    earlyStopping: { patience: 2 }
  })
  t.true(history.length < 60, `${history.length} epochs`)
  t.is(bestEpoch, history.length - 3)
  const losses = history.map(({ validationLoss }) => validationLoss)
  t.is(losses.indexOf(Math.min(...losses)), bestEpoch - 1)
  t.notDeepEqual(parameters, state.parameters)
  const short = await trainClassifier(vectors, { ...restless, epochs: bestEpoch })
  t.deepEqual(short.parameters, parameters)
})

test('watches the neighbors of the held-out vectors', async (t) => {
  const neighbors = await buildKnnGraph(vectors, { dimensions })
  const monitor = 'neighbor-accuracy'
  const { history, bestEpoch } = await trainClassifier(vectors, {
    ...options,
    neighbors,
    softLabels: 0,
    validationFraction: 0.2,
    earlyStopping: { monitor, patience: 100 }
  })
  const accuracies = history.map(({ neighborAccuracy }) => neighborAccuracy)
  t.true(accuracies.every((accuracy) => accuracy > 0.5 && accuracy <= 1))
  t.is(accuracies.indexOf(Math.max(...accuracies)), bestEpoch - 1)
})

test('probabilities are calibrated on the held-out vectors, unless that is not wanted', async (t) => {
  // Labels that nothing tells, and a network that learns some by heart: it is far too sure of itself.
  const random = randomNumbers(7)
  const drawn = labels.map(() => Math.floor(4 * random()))
  const sure = { ...options, labels: drawn, hidden: [256], epochs: 60, validationFraction: 0.3 }
  const { calibration, temperature } = await trainClassifier(vectors, sure)
  t.true(temperature > 3, `${temperature}`)
  t.is(calibration?.temperature, temperature)
  t.true((calibration?.errorAfter ?? 1) < 0.5 * (calibration?.errorBefore ?? 0), JSON.stringify(calibration))
  const raw = await trainClassifier(vectors, { ...sure, calibrate: false })
  t.is(raw.temperature, 1)
  t.is(raw.calibration, undefined)
})

test('a convolutional network with everything in it learns, too', async (t) => {
  const { history, network } = await trainClassifier(vectors, {
    ...{ dimensions, labels, bins: 4, epochs: 8, batchSize: 64 },
    inputShape: [1, 2, 4],
    layers: [
      { type: 'conv2d', channels: 8, kernel: 3, padding: 1, bias: false },
      { type: 'batch-norm' },
      { type: 'gelu' },
      { type: 'max-pool2d', kernel: 2 },
      { type: 'linear', outputs: 16 },
      { type: 'leaky-relu' },
      { type: 'dropout', rate: 0.1 }
    ],
    input: 'standardize',
    initialization: { type: 'he-normal' },
    loss: { labelSmoothing: 0.05, classWeights: 'balanced' },
    optimizer: { type: 'adamw', learningRate: 0.01 },
    schedule: { type: 'cosine', warmup: 1 },
    regularization: { l1: 1e-5, inputNoise: 0.05, clipNorm: 5 }
  })
  t.deepEqual(
    network.layers.map(({ type }) => type),
    ['conv2d', 'batch-norm', 'gelu', 'max-pool2d', 'flatten', 'linear', 'leaky-relu', 'dropout', 'linear']
  )
  t.true((history.at(-1)?.validationAccuracy ?? 0) > 0.9, `${history.at(-1)?.validationAccuracy}`)
})

const learning: [string, object][] = [
  ['binary-cross-entropy', { optimizer: { type: 'nadam', learningRate: 0.01 } }],
  ['mean-squared-error', { optimizer: { type: 'rmsprop', learningRate: 0.01 } }],
  ['mean-absolute-error', { optimizer: { type: 'adamax', learningRate: 0.02 } }],
  ['cross-entropy', { optimizer: { type: 'sgd' }, input: 'normalize' }],
  ['cross-entropy', { optimizer: { type: 'adagrad', learningRate: 0.05 }, input: 'none' }],
  ['cross-entropy', { optimizer: { type: 'adadelta' }, activation: 'selu', initialization: { type: 'lecun-normal' } }]
]
for (const [type, settings] of learning) {
  test(`learns with ${type} and ${JSON.stringify(settings)}`, async (t) => {
    const { history } = await trainClassifier(vectors, { ...options, loss: { type } as LossOptions, ...settings })
    t.true((history.at(-1)?.validationAccuracy ?? 0) > 0.9, `${history.at(-1)?.validationAccuracy}`)
  })
}

test('a training that runs away says so', async (t) => {
  const wild = { ...options, optimizer: { learningRate: 1e30 } }
  await t.throwsAsync(() => trainClassifier(vectors, wild), { code: 'ERR_NLSH_TRAINING', message: /epoch/ })
})

test('takes the graph of the stage before', async (t) => {
  const neighbors = await buildKnnGraph(vectors, { dimensions })
  const { history } = await trainClassifier(vectors, { ...options, neighbors })
  t.true((history.at(-1)?.validationAccuracy ?? 0) > 0.9)
})
