/** Training on worker threads: the same classifier, bit for bit, and no worse manners. */
import test from 'ava'
import type { ClassifierOptions } from '../../lib/classifier/options.js'
import type { JobOptions } from '../../lib/engines/engine.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { nodeWorkers } from '../../lib/engines/typescript/threads/node-workers.js'
import { WorkerPool } from '../../lib/engines/typescript/threads/pool.js'
import { leastMilliseconds, millisecondsOf } from '../support/times.js'
import { readWords, type TrainingData, trainingRequest, withoutSeconds } from '../support/training.js'

let gathered = 0

/** Two cores, whatever there are: up to four threads. */
class CountingPool extends WorkerPool {
  override gather(threads: number) {
    gathered++
    return super.gather(threads)
  }
}

const engine = createTypescriptEngine(new CountingPool({ ...nodeWorkers, cores: 2 }, { worthwhile: 0 }))
const { words } = readWords()

const train = (options: ClassifierOptions, job: JobOptions, data = words) =>
  engine.trainClassifier(trainingRequest(data, options), job)

/** The first of the words. */
const few = 100
const fewWords: TrainingData = {
  ...words,
  vectors: words.vectors.subarray(0, few * words.dimensions),
  labels: words.labels.subarray(0, few),
  neighbors: words.neighbors.subarray(0, few * words.neighborsPerRow).map((id) => id % few)
}

const onOrdinaryMemory = (value: unknown): boolean => {
  if (ArrayBuffer.isView(value)) return value.buffer instanceof ArrayBuffer
  return typeof value !== 'object' || value === null || Object.values(value).every(onOrdinaryMemory)
}

const courses: Record<string, ClassifierOptions> = {
  'soft labels and a calibration': {
    hidden: [256, 128],
    softLabels: 3,
    batchSize: 100,
    epochs: 2,
    validationFraction: 0.2,
    calibrate: true
  },
  'batch norm, dropout, noise, early stopping': {
    hidden: [300],
    batchNorm: true,
    dropout: 0.3,
    regularization: { inputNoise: 0.2 },
    batchSize: 600,
    epochs: 3,
    validationFraction: 0.2,
    earlyStopping: { patience: 1 }
  },
  images: {
    inputShape: [1, 10, 10],
    layers: [
      { type: 'conv2d', channels: 40, kernel: 3, padding: 1 },
      { type: 'relu' },
      { type: 'conv2d', channels: 40, kernel: 3, padding: 1 },
      { type: 'flatten' }
    ],
    batchSize: 50,
    epochs: 1
  }
}

for (const [name, options] of Object.entries(courses)) {
  test.serial(`a classifier is the same, bit for bit, from any number of threads: ${name}`, async (t) => {
    const data = name === 'images' ? fewWords : words
    const expected = withoutSeconds(await train(options, { threads: 1 }, data))
    for (const threads of [2, 3]) {
      const before = gathered
      const found = await train(options, { threads }, data)
      t.is(gathered, before + 1)
      t.true(onOrdinaryMemory(found))
      t.deepEqual(withoutSeconds(found), expected)
    }
  })
}

const plain: ClassifierOptions = {
  hidden: [256, 128],
  softLabels: 0,
  batchSize: 100,
  validationFraction: 0,
  schedule: { type: 'constant' }
}

test.serial('a training goes on where another one stopped, and leaves it as it was', async (t) => {
  const whole = await train({ ...plain, epochs: 2 }, { threads: 1 })
  const half = await train({ ...plain, epochs: 1 }, { threads: 2 })
  const before = structuredClone(half)
  const request = { ...trainingRequest(words, { ...plain, epochs: 1 }), initial: half }
  const ended = await engine.trainClassifier(request, { threads: 2 })
  t.deepEqual(half, before)
  t.deepEqual(ended.parameters, whole.parameters)
  t.deepEqual(ended.state, whole.state)
})

test.serial('progress comes in mini-batches; what onProgress throws stops the training', async (t) => {
  const counts: [number, number][] = []
  await train({ ...plain, epochs: 2 }, { threads: 2, onProgress: (...count) => counts.push(count) })
  const total = 2 * Math.ceil(words.labels.length / 100)
  t.true(counts.length > 1)
  t.true(counts.every(([done, all], i) => done > (counts[i - 1]?.[0] ?? 0) && all === total))
  t.deepEqual(counts.at(-1), [total, total])
  const thrown = new Error('mine')
  const job = {
    threads: 2,
    onProgress: () => {
      throw thrown
    }
  }
  t.is(await t.throwsAsync(train({ ...plain, epochs: 1000 }, job)), thrown)
})

test.serial('an abort in the middle of large products stops all threads within a second', async (t) => {
  const reason = new Error('enough')
  const options = { hidden: [2048, 2048], epochs: 1000, batchSize: words.labels.length }
  const milliseconds = await leastMilliseconds(1000, async () => {
    const controller = new AbortController()
    const running = train(options, { threads: 2, signal: controller.signal })
    await new Promise((resolve) => setTimeout(resolve, 500))
    controller.abort(reason)
    return millisecondsOf(t.throwsAsync(running, { is: reason }))
  })
  t.true(milliseconds < 1000, `${milliseconds} ms`)
})

test.serial('bins are assigned and temperatures fitted alike by any number of threads', async (t) => {
  const classifier = await train({ ...plain, epochs: 1 }, { threads: 1 })
  const [rows, bins] = [words.labels.length, words.bins]
  const neighborBins = words.neighbors.map((id) => words.labels[id] as number)
  const wrong = neighborBins.map((bin, i) => (i === 5 ? bins : bin))
  const expected = {
    bins: await engine.assignToBins(classifier, words.vectors, Math.ceil(rows / bins), { threads: 1 }),
    calibration: await engine.calibrateToNeighbors(classifier, words.vectors, neighborBins, { threads: 1 })
  }
  for (const threads of [2, 3]) {
    const before = gathered
    const found = {
      bins: await engine.assignToBins(classifier, words.vectors, Math.ceil(rows / bins), { threads }),
      calibration: await engine.calibrateToNeighbors(classifier, words.vectors, neighborBins, { threads })
    }
    t.is(gathered, before + 2)
    t.true(onOrdinaryMemory(found))
    t.deepEqual(found, expected)
    await t.throwsAsync(engine.calibrateToNeighbors(classifier, words.vectors, wrong, { threads }), {
      code: 'ERR_NLSH_ARGUMENT',
      message: /^neighborBins: must be in/
    })
  }
})

test.serial('errors are those of one thread', async (t) => {
  const diverging: ClassifierOptions = { ...plain, optimizer: { type: 'sgd', learningRate: 1e12 } }
  const wrong = { ...trainingRequest(words, plain), labels: words.labels.map((label, i) => (i === 7 ? -1 : label)) }
  const failures: [work: (job: JobOptions) => Promise<unknown>, code: string][] = [
    [(job) => train(diverging, job), 'ERR_NLSH_TRAINING'],
    [(job) => engine.trainClassifier(wrong, job), 'ERR_NLSH_ARGUMENT']
  ]
  for (const [work, code] of failures) {
    const expected = await t.throwsAsync(work({ threads: 1 }), { code })
    const found = await t.throwsAsync(work({ threads: 2 }), { code, message: expected?.message ?? '' })
    t.is(found?.constructor, expected?.constructor)
  }
})

test.serial('the event loop has next to nothing to do while threads train', async (t) => {
  const before = performance.eventLoopUtilization()
  await train({ ...plain, hidden: [512, 512], epochs: 2 }, { threads: 2 })
  const { utilization } = performance.eventLoopUtilization(before)
  t.true(utilization < 0.2, `${utilization}: on one thread it is 1`)
})
