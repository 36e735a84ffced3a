/** Training on the device beside the native engine's: the same random numbers, hence the same course but for rounding; and
 * beside PyTorch's. The device, cuBLASLt and cuDNN are emulated (test/native/cuda/training-emulation): all that asks them is
 * the library's own code. Where the environment variable NEURAL_LSH_TEST_CUDA is set, the same is asked of this machine's GPU. */
import test from 'ava'
import type { ClassifierOptions } from '../../lib/classifier/options.js'
import { trainingPrecisions } from '../../lib/classifier/training.js'
import { createCudaEngine } from '../../lib/engines/cuda.js'
import type { Engine, EpochReport, TrainedClassifier, TrainingRequest } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { ArgumentError } from '../../lib/errors.js'
import { emulatedTraining, withEnvironment } from '../support/fake-cuda.js'
import { integer, outputsOf, randomLoss, randomNetwork } from '../support/random-networks.js'
import { readWords, trainingRequest, withoutSeconds } from '../support/training.js'
import { randomNumbers } from './brute-force.js'
import { courseFaults, courses, data, distanceBetween, relative, requestOf, whole } from './courses.js'

const job = { threads: 1 }
const native = createNativeEngine()
const { words, trainings } = readWords()
const create = () => createCudaEngine({ device: 0 })
const environments: Record<string, Record<string, string>> = {
  emulated: { NEURAL_LSH_CUDA_LIBRARY: emulatedTraining() },
  cuda: {}
}
const emulated = await withEnvironment(environments.emulated as Record<string, string>, create)
const engines: [string, Engine][] = [['emulated', emulated]]
if (process.env.NEURAL_LSH_TEST_CUDA) engines.push(['cuda', await create()])

const sgd = { type: 'sgd', learningRate: 0.1 } as const

/** The nearest numbers of which a float's upper half is enough, of two as near the even one. */
function toBf16(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.slice().buffer)
  return new Float32Array(bits.map((one) => ((one + 0x7fff + ((one >>> 16) & 1)) >>> 16) << 16).buffer)
}

for (const [device, engine] of engines) {
  for (const [name, options] of Object.entries(courses)) {
    test(`${device}: the losses of 50 steps are the native engine's: ${name}`, async (t) => {
      t.deepEqual(await courseFaults(engine, options), [])
    })
  }

  test(`${device}: a training that one engine began the other ends, early stopping included`, async (t) => {
    const request = requestOf({ hidden: [48], softLabels: 3, dropout: 0.2, earlyStopping: {} })
    const expected = await native.trainClassifier(request, job)
    const halves = { ...request, epochs: 5 }
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
    for (const name of ['batch norm, dropout, input noise, AdamW', 'images, momentum, clipping, L1 and L2']) {
      for (const precision of trainingPrecisions) {
        const request = requestOf({ ...courses[name], precision, epochs: 2 })
        const [once, again] = [await engine.trainClassifier(request, job), await engine.trainClassifier(request, job)]
        t.deepEqual(withoutSeconds(again), withoutSeconds(once), `${name}, ${precision}`)
      }
    }
  })

  for (const precision of ['tf32', 'bf16'] as const) {
    for (const [name, options] of Object.entries(courses)) {
      test(`${device}: a training in ${precision} comes close to one in fp32: ${name}`, async (t) => {
        const expected = await native.trainClassifier(requestOf(options), job)
        const found = await engine.trainClassifier(requestOf({ ...options, precision }), job)
        const bound = precision === 'tf32' ? 0.01 : 0.05
        for (const [i, { trainingLoss, validationLoss }] of found.history.entries()) {
          const right = expected.history[i] as EpochReport
          t.true(relative(trainingLoss, right.trainingLoss) < bound, `epoch ${i + 1}: ${trainingLoss}`)
          t.true(relative(validationLoss, right.validationLoss) < bound, `epoch ${i + 1}: ${validationLoss}`)
        }
      })
    }
  }

  test(`${device}: mixed precision reads bf16, and changes weights that are FP32`, async (t) => {
    const options = { hidden: [48, 20], input: 'none', optimizer: sgd, epochs: 1, batchSize: 330 } as const
    const request = { ...requestOf({ ...options, validationFraction: 0 }), precision: 'bf16' as const }
    const vectors = request.vectors.map((value) => 1.01 * value)
    const train = (changes: Partial<TrainingRequest>) => engine.trainClassifier({ ...request, ...changes }, job)
    for (const precision of trainingPrecisions) {
      const [fine, coarse] = [await train({ vectors, precision }), await train({ vectors: toBf16(vectors), precision })]
      if (precision === 'bf16') t.deepEqual(withoutSeconds(coarse), withoutSeconds(fine))
      else t.notDeepEqual(coarse.parameters, fine.parameters)
    }
    const { parameters } = await train({})
    const rounded = toBf16(parameters)
    rounded.set(parameters.slice(-data.bins), parameters.length - data.bins) // the last bias is added to floats
    const [fine, coarse] = [await train({ initial: { parameters } }), await train({ initial: { parameters: rounded } })]
    t.is(coarse.history[0]?.trainingLoss, fine.history[0]?.trainingLoss)
    const step = (after: Float32Array, before: Float32Array) => after.map((value, i) => value - (before[i] as number))
    t.true(distanceBetween(step(fine.parameters, parameters), step(coarse.parameters, rounded)) < 1e-3)
    t.true(distanceBetween(fine.parameters, toBf16(fine.parameters)) > 1e-3)
  })

  for (const { name, seed, options, history } of trainings) {
    test(`${device}: each epoch is PyTorch's: ${name}`, async (t) => {
      const request = trainingRequest(words, { ...options, precision: 'fp32' }, seed)
      const trained = await engine.trainClassifier(request, job)
      t.is(trained.history.length, history.length)
      for (const [i, expected] of history.entries()) {
        const epoch = trained.history[i] as EpochReport
        for (const figure of ['trainingLoss', 'validationLoss', 'learningRate'] as const)
          t.true(relative(epoch[figure], expected[figure]) < 1e-4, `epoch ${i + 1}, ${figure}: ${epoch[figure]}`)
      }
    })
  }

  test(`${device}: the random numbers of a training that need not repeat itself are cuDNN's`, async (t) => {
    const options = { hidden: [48], softLabels: 3, dropout: 0.3 }
    const free = requestOf({ ...options, deterministic: false })
    const [kept, found] = [
      await engine.trainClassifier(requestOf(options), job),
      await engine.trainClassifier(free, job)
    ]
    const losses = ({ history }: TrainedClassifier) => history.map(({ trainingLoss }) => trainingLoss)
    for (const [i, loss] of losses(found).entries()) t.true(relative(loss, losses(kept)[i] as number) < 0.1)
    t.notDeepEqual(losses(found), losses(kept))
    const without = await engine.trainClassifier(requestOf({ ...options, dropout: 0 }), job)
    t.true((losses(found).at(-1) as number) > 1.02 * (losses(without).at(-1) as number))
  })

  test(`${device}: what is not recorded comes to the same`, async (t) => {
    const unrecorded = await withEnvironment(environments[device] as Record<string, string>, () =>
      createCudaEngine({ device: 0, recordsSteps: false })
    )
    const request = requestOf(courses['batch norm, dropout, input noise, AdamW'] as ClassifierOptions)
    const [expected, found] = [
      await engine.trainClassifier(request, job),
      await unrecorded.trainClassifier(request, job)
    ]
    t.deepEqual(withoutSeconds(found), withoutSeconds(expected))
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

const wayward = ['Adam, soft labels, two hidden layers', 'hard labels with weights, label smoothing, AdaGrad, clipping']

for (const products of ['plain', 'refused']) {
  for (const precision of ['fp32', 'bf16'] as const) {
    test.serial(`what products cannot do along, kernels do: ${products}, ${precision}`, async (t) => {
      for (const name of wayward) {
        const request = requestOf({ ...courses[name], precision, epochs: 3 })
        const expected = await emulated.trainClassifier(request, job)
        const found = await withEnvironment({ EMULATED_PRODUCTS: products }, () =>
          emulated.trainClassifier(request, job)
        )
        const drift = distanceBetween(expected.parameters, found.parameters)
        t.true(drift < (precision === 'fp32' ? 1e-3 : 0.02), `${name}: ${drift}`)
        t.true(drift > 0)
      }
    })
  }
}

test.serial('whatever the widths, products do all along, as every row begins where they like it', async (t) => {
  const layers = [1, 7, 33, 50].flatMap((outputs) => [linear(outputs), { type: 'relu' } as const])
  for (const precision of ['fp32', 'bf16'] as const) {
    const request = requestOf({ layers, precision, epochs: 2 })
    const [expected, found] = [
      await emulated.trainClassifier(request, job),
      await withEnvironment({ EMULATED_PRODUCTS: 'aligned' }, () => emulated.trainClassifier(request, job))
    ]
    t.deepEqual(withoutSeconds(found), withoutSeconds(expected))
  }
})

test.serial('what cannot be recorded is done all the same', async (t) => {
  const request = requestOf({ hidden: [48], batchNorm: true, dropout: 0.3, epochs: 2 })
  const expected = await emulated.trainClassifier(request, job)
  const found = await withEnvironment({ EMULATED_RECORDING: 'refused' }, () => emulated.trainClassifier(request, job))
  t.deepEqual(withoutSeconds(found), withoutSeconds(expected))
})

test.serial('mixed precision takes a device that has it', async (t) => {
  const request = requestOf({ hidden: [8], precision: 'bf16' })
  await t.throwsAsync(
    withEnvironment({ EMULATED_MAJOR: '7' }, () => emulated.trainClassifier(request, job)),
    { instanceOf: ArgumentError, message: /precision.*compute capability 8\.0/ }
  )
})

test("steps through random networks are the native engine's", async (t) => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = randomNumbers(seed)
    const network = randomNetwork(random)
    const bins = outputsOf(network)
    const [rows, dimensions] = [integer(random, 2, 40), network.inputShape.reduce((product, side) => product * side)]
    const set = {
      vectors: Float32Array.from({ length: rows * dimensions }, () => 2 * random() - 1),
      dimensions,
      labels: Int32Array.from({ length: rows }, () => integer(random, 0, bins - 1)),
      bins,
      neighbors: new Int32Array(0),
      neighborsPerRow: 0
    }
    const options = { ...whole, optimizer: sgd, validationFraction: 0, epochs: 1, batchSize: rows, hidden: [] }
    const request = { ...trainingRequest(set, options, seed), network, loss: randomLoss(random, bins) }
    const [expected, found] = [await native.trainClassifier(request, job), await emulated.trainClassifier(request, job)]
    t.true(distanceBetween(expected.parameters, found.parameters) < 1e-5, `seed ${seed}`)
    t.true(distanceBetween(expected.buffers, found.buffers) < 1e-5, `seed ${seed}`)
  }
})
