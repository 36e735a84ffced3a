/** Training on the device beside the native engine's: the same random numbers, hence the same course but for rounding.
 * The device is emulated (test/native/cuda/training-emulation): all but the kernels' start, cuBLASLt and cuDNN is the library's
 * own code. Where the environment variable NEURAL_LSH_TEST_CUDA is set, the same is asked of this machine's GPU. */
import test from 'ava'
import type { ClassifierOptions } from '../../lib/classifier/options.js'
import { createCudaEngine } from '../../lib/engines/cuda.js'
import type { Engine, TrainedClassifier, TrainingRequest } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { ArgumentError } from '../../lib/errors.js'
import { emulatedCuda, withEnvironment } from '../support/fake-cuda.js'
import { readWords, type TrainingData, trainingRequest, withoutSeconds } from '../support/training.js'

const job = { threads: 1 }
const native = createNativeEngine()
const create = () => createCudaEngine({ device: 0, trainingPrecision: 'fp32' })
const emulated = await withEnvironment({ NEURAL_LSH_CUDA_LIBRARY: emulatedCuda() }, create)
const engines: [string, Engine][] = [['emulated', emulated]]
if (process.env.NEURAL_LSH_TEST_CUDA) engines.push(['cuda', await create()])

const { words } = readWords()
const few = 330
const data: TrainingData = {
  ...words,
  vectors: words.vectors.slice(0, few * words.dimensions),
  labels: words.labels.slice(0, few),
  neighbors: words.neighbors.slice(0, few * words.neighborsPerRow).map((id) => id % few)
}

const relative = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), 1e-30)

/** Length of the difference, in lengths of the first. */
function distanceBetween(a: Float32Array, b: Float32Array): number {
  const length = Math.hypot(...a)
  return Math.hypot(...a.map((value, i) => value - (b[i] as number))) / (length || 1)
}

const images = { inputShape: [1, 10, 10] as [number, number, number] }

/** Every layer, activation, loss, optimizer and penalty at least once; the last batch of an epoch is smaller. */
const courses: Record<string, ClassifierOptions> = {
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

const whole = { epochs: 8, batchSize: 70, validationFraction: 0.1, softLabels: 0 }
const requestOf = (options: ClassifierOptions) => trainingRequest(data, { ...whole, ...options })

for (const [device, engine] of engines) {
  for (const [name, options] of Object.entries(courses)) {
    test(`${device}: the losses of 40 steps are the native engine's: ${name}`, async (t) => {
      const request = requestOf(options)
      const expected = await native.trainClassifier(request, job)
      const found = await engine.trainClassifier(request, job)
      t.deepEqual(found.heldOut, expected.heldOut)
      t.is(found.history.length, expected.history.length)
      for (const [i, epoch] of found.history.entries()) {
        const right = expected.history[i] as typeof epoch
        for (const figure of ['trainingLoss', 'validationLoss', 'learningRate'] as const) {
          const error = relative(epoch[figure], right[figure])
          t.true(error < 1e-3, `epoch ${i + 1}, ${figure}: ${epoch[figure]} beside ${right[figure]}`)
        }
        for (const figure of ['trainingAccuracy', 'validationAccuracy', 'neighborAccuracy'] as const)
          t.true(Math.abs(epoch[figure] - right[figure]) <= 2 / few, `epoch ${i + 1}, ${figure}`)
      }
      t.true(distanceBetween(expected.parameters, found.parameters) < 0.01)
      t.true(distanceBetween(expected.state.slots, found.state.slots) < 0.02)
      // A bias in front of batch norm has no gradient but what rounding makes of it, which Adam makes large.
      t.true(distanceBetween(expected.buffers, found.buffers) < 0.01)
      t.true(relative(expected.temperature, found.temperature) < 0.01)
      t.is(found.state.steps, expected.state.steps)
      const differences = [
        distanceBetween(expected.parameters, found.parameters),
        distanceBetween(expected.buffers, found.buffers)
      ]
      t.log(`parameters and buffers differ by ${differences.map((value) => value.toExponential(1)).join(' and ')}`)
    })
  }

  test(`${device}: a training that one engine began the other ends, early stopping included`, async (t) => {
    const request = requestOf({ hidden: [48], softLabels: 3, dropout: 0.2, earlyStopping: {} })
    const expected = await native.trainClassifier(request, job)
    const halves = { ...request, epochs: 4 }
    for (const [first, second] of [
      [native, engine],
      [engine, native],
      [engine, engine]
    ] as [Engine, Engine][]) {
      const begun = await first.trainClassifier(halves, job)
      const ended = await second.trainClassifier({ ...halves, initial: begun }, job)
      t.is(ended.state.steps, expected.state.steps)
      t.is(ended.bestEpoch, expected.bestEpoch)
      t.true(distanceBetween(expected.parameters, ended.parameters) < 0.01)
    }
  })

  test(`${device}: the same again gives the same bytes`, async (t) => {
    const request = requestOf({ hidden: [48], softLabels: 3, dropout: 0.2 })
    const [once, again] = [await engine.trainClassifier(request, job), await engine.trainClassifier(request, job)]
    t.deepEqual(withoutSeconds(again), withoutSeconds(once))
  })

  test(`${device}: batches of one row, one batch of all rows, nothing held out`, async (t) => {
    const first = { ...data, vectors: data.vectors.slice(0, 9 * data.dimensions), labels: data.labels.slice(0, 9) }
    const small = { ...first, neighbors: new Int32Array(0), neighborsPerRow: 0 }
    for (const options of [
      { batchSize: 1, batchNorm: true },
      { batchSize: 100 },
      { batchSize: 4, validationFraction: 0 }
    ] as ClassifierOptions[]) {
      const request = trainingRequest(small, { ...whole, hidden: [16], validationFraction: 0.3, ...options })
      const expected = await native.trainClassifier(request, job)
      const found = await engine.trainClassifier(request, job)
      t.true(distanceBetween(expected.parameters, found.parameters) < 0.01, JSON.stringify(options))
      t.true(distanceBetween(expected.buffers, found.buffers) < 1e-3)
      t.is(found.history.length, expected.history.length)
    }
  })

  test(`${device}: what cannot be trained is refused, and aborting ends a training`, async (t) => {
    const step = requestOf({ layers: [{ type: 'linear', outputs: 8, bias: true }, { type: 'tanh' }] })
    const layers = step.network.layers.map((layer) => (layer.type === 'tanh' ? ({ type: 'step' } as const) : layer))
    const request: TrainingRequest = { ...step, network: { ...step.network, layers } }
    await t.throwsAsync(engine.trainClassifier(request, job), { instanceOf: ArgumentError, message: /sigmoid or relu/ })
    const begun: TrainedClassifier = await engine.trainClassifier(requestOf({ hidden: [8], epochs: 1 }), job)
    const state = { ...begun.state, slots: begun.state.slots.subarray(1) }
    await t.throwsAsync(engine.trainClassifier({ ...requestOf({ hidden: [8] }), initial: { ...begun, state } }, job), {
      instanceOf: ArgumentError,
      message: /running values/
    })
    const controller = new AbortController()
    const onProgress = () => controller.abort(new Error('enough'))
    const long = requestOf({ hidden: [32], epochs: 10_000 })
    await t.throwsAsync(engine.trainClassifier(long, { ...job, signal: controller.signal, onProgress }), {
      message: 'enough'
    })
  })
}

test.serial('vectors that do not fit on the device are brought batch by batch', async (t) => {
  const request = requestOf({ hidden: [48], softLabels: 3, regularization: { inputNoise: 0.1 } })
  const expected = await emulated.trainClassifier(request, job)
  const found = await withEnvironment({ EMULATED_BYTES: '1000' }, () => emulated.trainClassifier(request, job))
  t.deepEqual(withoutSeconds(found), withoutSeconds(expected))
})

test.serial('what products cannot do along, kernels do', async (t) => {
  for (const name of [
    'Adam, soft labels, two hidden layers',
    'hard labels with weights, label smoothing, AdaGrad, clipping'
  ]) {
    const request = requestOf(courses[name] as ClassifierOptions)
    const expected = await emulated.trainClassifier(request, job)
    const found = await withEnvironment({ EMULATED_PRODUCTS: 'plain' }, () => emulated.trainClassifier(request, job))
    t.true(distanceBetween(expected.parameters, found.parameters) < 1e-3)
  }
})
