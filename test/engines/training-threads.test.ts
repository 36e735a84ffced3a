/** Training on worker threads: the same classifier, bit for bit, and no worse manners. */
import test from 'ava'
import type { ClassifierOptions } from '../../lib/classifier/options.js'
import type { JobOptions } from '../../lib/engines/engine.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { nodeWorkers } from '../../lib/engines/typescript/threads/node-workers.js'
import { WorkerPool } from '../../lib/engines/typescript/threads/pool.js'
import { ArgumentError } from '../../lib/errors.js'
import { bestDelays } from '../support/delays.js'
import { readWords, trainingRequest, withoutSeconds } from '../support/training.js'

const pool = new WorkerPool({ ...nodeWorkers, cores: 2 })
const engine = createTypescriptEngine(pool)
const { words } = readWords()

const train = (options: ClassifierOptions, job: JobOptions) =>
  engine.trainClassifier(trainingRequest(words, options), job)

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
      { type: 'conv2d', channels: 24, kernel: 3, padding: 1 },
      { type: 'relu' },
      { type: 'conv2d', channels: 24, kernel: 3, padding: 1 },
      { type: 'flatten' }
    ],
    batchSize: 50,
    epochs: 1
  }
}

for (const [name, options] of Object.entries(courses)) {
  test.serial(`a classifier is the same, bit for bit, from any number of threads: ${name}`, async (t) => {
    const expected = withoutSeconds(await train(options, { threads: 1 }))
    for (const threads of [2, 3]) {
      const found = await train(options, { threads })
      t.true(onOrdinaryMemory(found))
      t.deepEqual(withoutSeconds(found), expected)
    }
  })
}
