import type { ClassifierOptions, OptimizerOptions } from '../../lib/classifier/options.js'
import type { Optimizer } from '../../lib/classifier/training.js'
import type { TrainedClassifier, TrainingRequest } from '../../lib/engines/engine.js'
import { eachEngine } from '../engines/each-engine.js'
import { readWords, trainingRequest, withoutSeconds } from '../support/training.js'

const { words } = readWords()

eachEngine(({ engine, test }) => {
  const train = (request: TrainingRequest) => engine.trainClassifier(request, { threads: 0 })

  const requestOf = (options: ClassifierOptions) =>
    trainingRequest(words, { hidden: [48], softLabels: 3, batchSize: 100, validationFraction: 0.1, ...options })

  /** All epochs at once, and the same in two trainings, of which the second starts where the first ended. */
  async function atOnceAndInTwo(options: ClassifierOptions, epochs: number) {
    const request = requestOf({ ...options, epochs })
    const half = { ...request, epochs: epochs / 2 }
    const first = await train(half)
    return { whole: await train(request), first, second: await train({ ...half, initial: first }) }
  }

  const joined = (first: TrainedClassifier, second: TrainedClassifier) =>
    withoutSeconds({ ...second, history: [...first.history, ...second.history] })

  const rates = ({ history }: TrainedClassifier) => new Set(history.map(({ learningRate }) => learningRate))

  const trainings: Record<string, ClassifierOptions> = {
    'Adam under a cosine': {},
    'a warm-up that ends in the second half': { schedule: { type: 'exponential', warmup: 6.5 } },
    'batch norm, dropout, input noise': { batchNorm: true, dropout: 0.3, regularization: { inputNoise: 0.1 } },
    'standardized input, balanced classes': { input: 'standardize', softLabels: 0, loss: { classWeights: 'balanced' } },
    'early stopping that waits on': { earlyStopping: { patience: 10 } }
  }

  for (const [name, options] of Object.entries(trainings)) {
    test(`5 + 5 epochs are 10, bit for bit: ${name}`, async (t) => {
      const { whole, first, second } = await atOnceAndInTwo(options, 10)
      t.deepEqual(joined(first, second), withoutSeconds(whole))
      t.notDeepEqual(first.parameters, whole.parameters)
      t.is(second.state.epochs, 10)
      t.is(second.state.steps, 10 * 18)
    })
  }

  test('5 + 5 epochs are 10, bit for bit: reduce on plateau, in both halves', async (t) => {
    const options: ClassifierOptions = {
      optimizer: { learningRate: 0.05 },
      schedule: { type: 'plateau', factor: 0.7, patience: 0 }
    }
    const { whole, first, second } = await atOnceAndInTwo(options, 10)
    t.true(rates(first).size > 1 && rates(second).size > 1, `${[...rates(whole)]}`)
    t.deepEqual(joined(first, second), withoutSeconds(whole))
  })

  const optimizers: Record<Optimizer['type'], OptimizerOptions> = {
    sgd: { type: 'sgd', momentum: 0.9, nesterov: true },
    adagrad: { type: 'adagrad' },
    rmsprop: { type: 'rmsprop', momentum: 0.5 },
    adadelta: { type: 'adadelta' },
    adam: { type: 'adam' },
    adamw: { type: 'adamw' },
    adamax: { type: 'adamax' },
    nadam: { type: 'nadam' }
  }

  for (const [type, optimizer] of Object.entries(optimizers)) {
    test(`1 + 1 epochs are 2, bit for bit: ${type}`, async (t) => {
      const { whole, first, second } = await atOnceAndInTwo({ optimizer }, 2)
      t.deepEqual(joined(first, second), withoutSeconds(whole))
      const { parameters } = first
      const fresh = await train({ ...requestOf({ optimizer, epochs: 1 }), initial: { parameters } })
      t.notDeepEqual(fresh.parameters, whole.parameters, 'without the state it is another training')
    })
  }

  test('early stopping ends a training in two halves where it ends the whole, with the best of both', async (t) => {
    const options: ClassifierOptions = {
      optimizer: { learningRate: 0.01 },
      schedule: { type: 'constant' },
      softLabels: 0,
      earlyStopping: { patience: 2 }
    }
    const { whole, first, second } = await atOnceAndInTwo(options, 12)
    t.true(whole.history.length > 6 && whole.history.length < 12, `${whole.history.length} epochs`)
    t.true(whole.bestEpoch <= 6, 'the best epoch is one of the first half')
    t.deepEqual(joined(first, second), withoutSeconds(whole))
    t.deepEqual(second.parameters, first.parameters)
    t.notDeepEqual(second.state.parameters, second.parameters)
  })
})
