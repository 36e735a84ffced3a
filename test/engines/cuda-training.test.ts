/** Training on the device beside the native engine's: the same random numbers, hence the same course but for rounding.
 * The device is emulated (test/native/cuda/training-emulation): all but the kernels' start, cuBLASLt and cuDNN is the library's
 * own code. Where the environment variable NEURAL_LSH_TEST_CUDA is set, the same is asked of this machine's GPU. */
import test from 'ava'
import type { ClassifierOptions } from '../../lib/classifier/options.js'
import { createCudaEngine } from '../../lib/engines/cuda.js'
import type { Engine, TrainedClassifier, TrainingRequest } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { ArgumentError } from '../../lib/errors.js'
import { emulatedTraining, withEnvironment } from '../support/fake-cuda.js'
import { trainingRequest, withoutSeconds } from '../support/training.js'
import { courseFaults, courses, data, distanceBetween, requestOf, whole } from './cuda-courses.js'

const job = { threads: 1 }
const native = createNativeEngine()
const create = () => createCudaEngine({ device: 0, trainingPrecision: 'fp32' })
const emulated = await withEnvironment({ NEURAL_LSH_CUDA_LIBRARY: emulatedTraining() }, create)
const engines: [string, Engine][] = [['emulated', emulated]]
if (process.env.NEURAL_LSH_TEST_CUDA) engines.push(['cuda', await create()])

for (const [device, engine] of engines) {
  for (const [name, options] of Object.entries(courses)) {
    test(`${device}: the losses of 40 steps are the native engine's: ${name}`, async (t) => {
      t.deepEqual(await courseFaults(engine, options), [])
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

const activations = [
  'identity',
  'sigmoid',
  'tanh',
  'relu',
  'relu6',
  'leaky-relu',
  'elu',
  'selu',
  'softplus',
  'gelu',
  'softmax'
] as const
const losses = ['cross-entropy', 'binary-cross-entropy', 'mean-squared-error', 'mean-absolute-error'] as const
const optimizers = ['sgd', 'adagrad', 'rmsprop', 'adadelta', 'adam', 'adamw', 'adamax', 'nadam'] as const
const linear = (outputs: number) => ({ type: 'linear', outputs, bias: true }) as const
const sgd = { type: 'sgd', learningRate: 0.1 } as const

/** How far the parameters are from the native engine's after one step with all rows, or several. */
async function driftAfter(epochs: number, options: ClassifierOptions): Promise<number> {
  const request = requestOf({ optimizer: sgd, hidden: [20], ...options, epochs, batchSize: 330 })
  const [expected, found] = [await native.trainClassifier(request, job), await emulated.trainClassifier(request, job)]
  return distanceBetween(expected.parameters, found.parameters)
}

test("a step through every activation and every loss is the native engine's", async (t) => {
  for (const type of activations) {
    const drift = await driftAfter(1, { hidden: undefined, layers: [linear(20), { type }, linear(12), { type }] })
    t.true(drift < 1e-6, `${type}: ${drift}`)
  }
  for (const type of losses) {
    for (const softLabels of [0, 5]) {
      const loss = { type, classWeights: softLabels > 0 ? 'none' : 'balanced' } as const
      const drift = await driftAfter(1, { softLabels, loss })
      t.true(drift < 1e-6, `${type}: ${drift}`)
    }
  }
})

test("steps of every optimizer are the native engine's", async (t) => {
  for (const type of optimizers) {
    for (const regularization of [{}, { l1: 1e-3, l2: 1e-2, clipNorm: 0.1 }]) {
      const drift = await driftAfter(5, { activation: 'tanh', optimizer: { type, learningRate: 0.01 }, regularization })
      t.true(drift < 1e-5, `${type}: ${drift}`)
    }
  }
})

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
