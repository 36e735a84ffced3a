/**
 * On the CPU the optimizer moves parameters part by part while their gradient lies in the cache, unless the norm of the
 * whole gradient is asked for: the same training, bit for bit, as with a bound that no norm reaches.
 */
import test from 'ava'
import type { ClassifierOptions, OptimizerOptions, RegularizationOptions } from '../../lib/classifier/options.js'
import type { Optimizer } from '../../lib/classifier/training.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { readWords, trainingRequest, withoutSeconds } from '../support/training.js'

const { words } = readWords()

const optimizers: Record<Optimizer['type'], OptimizerOptions> = {
  sgd: { type: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true },
  adagrad: { type: 'adagrad' },
  rmsprop: { type: 'rmsprop', momentum: 0.5 },
  adadelta: { type: 'adadelta' },
  adam: { type: 'adam' },
  adamw: { type: 'adamw' },
  adamax: { type: 'adamax' },
  nadam: { type: 'nadam' }
}

const engine = createNativeEngine()

const train = async (options: ClassifierOptions, regularization: RegularizationOptions, threads: number) => {
  const request = trainingRequest(words, { softLabels: 0, epochs: 1, ...options, regularization })
  return withoutSeconds(await engine.trainClassifier(request, { threads }))
}

async function inPartsAndWhole(options: ClassifierOptions, penalties: RegularizationOptions = {}) {
  const whole = await train(options, { ...penalties, clipNorm: 1e30 }, 1)
  return { whole, inParts: [await train(options, penalties, 1), await train(options, penalties, 2)] }
}

for (const [type, optimizer] of Object.entries(optimizers)) {
  test(`in parts and at once: ${type}`, async (t) => {
    for (const penalties of [{}, { l1: 1e-3, l2: 1e-2 }]) {
      const { whole, inParts } = await inPartsAndWhole({ hidden: [90, 60], batchSize: 100, optimizer }, penalties)
      for (const trained of inParts) t.deepEqual(trained, whole)
    }
  })
}

const others: Record<string, ClassifierOptions> = {
  'many rows': { hidden: [90, 60], batchSize: 300 },
  'batch norm and dropout': { hidden: [70], batchNorm: true, dropout: 0.2, batchSize: 60 },
  convolutions: {
    inputShape: [1, 10, 10],
    layers: [{ type: 'conv2d', channels: 4, kernel: 3 }, { type: 'relu' }, { type: 'linear', outputs: 30 }],
    batchSize: 100
  }
}

for (const [name, options] of Object.entries(others)) {
  test(`in parts and at once: ${name}`, async (t) => {
    const { whole, inParts } = await inPartsAndWhole(options)
    for (const trained of inParts) t.deepEqual(trained, whole)
  })
}
