import type { ClassifierOptions } from '../../lib/classifier/options.js'
import type { TrainedClassifier, TrainingRequest } from '../../lib/engines/engine.js'
import { ArgumentError, NeuralLSHError } from '../../lib/errors.js'
import { eachEngine } from '../engines/each-engine.js'
import { leastMilliseconds } from '../support/times.js'
import {
  argmax,
  logitsOf,
  logitsOfRows,
  mean,
  readWords,
  softmax,
  split,
  type TrainingData,
  trainingRequest,
  withoutSeconds
} from '../support/training.js'
import { clustered } from '../support/vectors.js'

const { words, trainings } = readWords()
const plain = { hidden: [128], softLabels: 0, epochs: 3, batchSize: 64, validationFraction: 0.1 }

eachEngine(({ engine, test }) => {
  const train = (request: TrainingRequest, threads = 0) => engine.trainClassifier(request, { threads })
  const trainWords = (options: ClassifierOptions, seed = 1) =>
    train(trainingRequest(words, { ...plain, ...options }, seed))

  // ------------------------------------------------------------------------------------------ against PyTorch

  for (const { name, seed, options, history } of trainings) {
    test(`each epoch is PyTorch's, from the same weights, batches and random numbers: ${name}`, async (t) => {
      const trained = await trainWords({ ...options, precision: 'fp32' }, seed)
      t.is(trained.history.length, history.length)
      let largest = 0
      for (const [i, expected] of history.entries()) {
        const epoch = trained.history[i]
        t.is(epoch?.epoch, i + 1)
        for (const figure of ['trainingLoss', 'validationLoss', 'learningRate'] as const) {
          const error = Math.abs((epoch?.[figure] ?? Number.NaN) / expected[figure] - 1)
          t.true(error < 1e-5, `epoch ${i + 1}, ${figure}: relative error ${error}`)
          largest = Math.max(largest, error)
        }
        for (const accuracy of ['trainingAccuracy', 'validationAccuracy', 'neighborAccuracy'] as const) {
          t.true(
            Math.abs((epoch?.[accuracy] ?? Number.NaN) - expected[accuracy]) < 0.003,
            `epoch ${i + 1}, ${accuracy}`
          )
        }
      }
      t.log(`largest relative error of a loss: ${largest.toExponential(1)}`)
    })
  }

  // ------------------------------------------------------------------------------------------ what is learned

  function last(trained: TrainedClassifier) {
    const epoch = trained.history.at(-1)
    if (epoch === undefined) throw new Error('no epoch was trained')
    return epoch
  }

  /** Share of rows whose most probable bin is their label, by the plain formula. */
  function accuracyOf(trained: TrainedClassifier, request: TrainingRequest, rows: number[]): number {
    return mean(
      logitsOfRows(trained, request, rows).map((logits, i) =>
        Number(argmax(logits) === request.labels[rows[i] as number])
      )
    )
  }

  test('training learns the bins of real vectors, and the weights are what the history says', async (t) => {
    const request = trainingRequest(words, { ...plain, softLabels: 5, epochs: 12, batchSize: 100 })
    const trained = await train(request)
    t.deepEqual(trained.network, request.network)
    t.is(trained.parameters.length, 100 * 128 + 128 + 128 * 16 + 16)
    t.is(trained.buffers.length, 0)
    t.is(trained.bestEpoch, 12)
    const [first, end] = [trained.history[0], last(trained)]
    t.true((first?.trainingLoss ?? 0) < 1.3 * Math.log(16), 'starts near the loss of guessing')
    t.true(end.trainingLoss < 0.6 * (first?.trainingLoss ?? 0))
    t.true(end.trainingAccuracy > 0.8, `${end.trainingAccuracy}`)
    t.true(end.validationAccuracy > 0.7, `${end.validationAccuracy}`)
    const { training, validation } = split(request)
    t.is(accuracyOf(trained, request, validation), end.validationAccuracy)
    t.true(Math.abs(accuracyOf(trained, request, training) - end.trainingAccuracy) < 0.02)
  })

  test('batch norm goes by the running statistics in use', async (t) => {
    const request = trainingRequest(words, { ...plain, hidden: [32, 24], batchNorm: true, dropout: 0.2 })
    const trained = await train(request)
    t.is(trained.buffers.length, 2 * (32 + 24))
    t.is(accuracyOf(trained, request, split(request).validation), last(trained).validationAccuracy)
  })

  for (const monitoredProbes of [1, 3, 16]) {
    test(`the neighbor accuracy is the share of neighbors in the ${monitoredProbes} most probable bins`, async (t) => {
      const request = trainingRequest(words, { ...plain, monitoredProbes, epochs: 2 })
      const trained = await train(request)
      const { validation } = split(request)
      const logits = logitsOfRows(trained, request, validation)
      const shares = validation.map((row, i) => {
        const mine = logits[i] ?? []
        const probed = [...mine.keys()]
          .sort((a, b) => (mine[b] as number) - (mine[a] as number))
          .slice(0, monitoredProbes)
        const neighbors = words.neighbors.subarray(row * words.neighborsPerRow, (row + 1) * words.neighborsPerRow)
        return mean(Array.from(neighbors, (id) => Number(probed.includes(words.labels[id] as number))))
      })
      t.true(Math.abs(last(trained).neighborAccuracy - mean(shares)) < 1e-9)
      t.is(last(trained).neighborAccuracy === 1, monitoredProbes === 16)
    })
  }

  test('the same seed gives the same bytes on one thread and on many, another seed does not', async (t) => {
    const options: ClassifierOptions = {
      hidden: [256, 256],
      batchNorm: true,
      dropout: 0.2,
      regularization: { inputNoise: 0.1, clipNorm: 1 },
      batchSize: 700,
      softLabels: 10,
      epochs: 2
    }
    const request = trainingRequest(words, options)
    const one = await train(request, 1)
    const two = await train(request, 2)
    const again = await train(request)
    const other = await train({ ...request, seed: 2 }, 1)
    t.deepEqual(withoutSeconds(two), withoutSeconds(one))
    t.deepEqual(withoutSeconds(again), withoutSeconds(one))
    t.notDeepEqual(other.parameters, one.parameters)
  })

  test('training starts from the given weights', async (t) => {
    const request = trainingRequest(words, { ...plain, hidden: [], epochs: 1, optimizer: { learningRate: 1e-30 } })
    const parameters = Float32Array.from({ length: 100 * 16 + 16 }, (_, i) => Math.fround(Math.sin(i + 1)))
    const trained = await train({ ...request, initial: { parameters } })
    t.deepEqual(trained.parameters, parameters)
  })

  test('without validation rows their figures are NaN, and every row is trained', async (t) => {
    const steps = new Set<number>()
    const request = trainingRequest(words, { ...plain, validationFraction: 0, batchSize: 900, epochs: 2 })
    const trained = await engine.trainClassifier(request, {
      threads: 0,
      onProgress: (_, total) => void steps.add(total)
    })
    const { validationLoss, validationAccuracy, neighborAccuracy } = last(trained)
    t.deepEqual([validationLoss, validationAccuracy, neighborAccuracy], [Number.NaN, Number.NaN, Number.NaN])
    t.is(trained.calibration, undefined)
    t.is(trained.temperature, 1)
    t.deepEqual([...steps], [6])
  })

  test('the rows that are named are held out, in the order of the split', async (t) => {
    const named = Int32Array.from({ length: 150 }, (_, i) => 1990 - 13 * i)
    const request = { ...trainingRequest(words, { ...plain, epochs: 1 }), heldOut: named }
    const trained = await train(request)
    const { validation, training } = split(request)
    const expected = [...validation, ...training].filter((row) => named.includes(row))
    t.deepEqual([...trained.heldOut], expected)
    t.is(accuracyOf(trained, request, expected), last(trained).validationAccuracy)
  })

  test('without neighbors their accuracy is NaN', async (t) => {
    const alone = { ...words, neighbors: new Int32Array(0), neighborsPerRow: 0 }
    const trained = await train(trainingRequest(alone, { ...plain, epochs: 1 }))
    t.is(last(trained).neighborAccuracy, Number.NaN)
    t.false(Number.isNaN(last(trained).validationLoss))
  })

  // ------------------------------------------------------------------------------------------ the job

  test('progress counts mini-batches to the end', async (t) => {
    const seen: [number, number][] = []
    const request = trainingRequest(words, plain)
    await engine.trainClassifier(request, { threads: 0, onProgress: (done, total) => void seen.push([done, total]) })
    const total = request.epochs * Math.ceil(1800 / 64)
    t.deepEqual(seen.at(-1), [total, total])
    t.true(seen.every(([done, of], i) => of === total && done >= (seen[i - 1]?.[0] ?? 1)))
  })

  test.serial('aborting stops training within a second', async (t) => {
    const request = trainingRequest(words, { ...plain, hidden: [512, 512], epochs: 10_000 })
    const milliseconds = await leastMilliseconds(1000, async () => {
      const controller = new AbortController()
      let aborted = Number.NaN
      const onProgress = () => {
        if (controller.signal.aborted) return
        aborted = performance.now()
        controller.abort()
      }
      const running = engine.trainClassifier(request, { threads: 0, signal: controller.signal, onProgress })
      await t.throwsAsync(running, { any: true, name: 'AbortError' })
      return performance.now() - aborted
    })
    t.true(milliseconds < 1000, `${milliseconds} ms`)
  })

  for (const learningRate of [1e6, 1e30]) {
    test(`a learning rate of ${learningRate} ends with an error that names the epoch and the cure`, async (t) => {
      const error = await t.throwsAsync(trainWords({ optimizer: { learningRate } }), {
        instanceOf: NeuralLSHError,
        code: 'ERR_NLSH_TRAINING'
      })
      t.regex(error?.message ?? '', /epoch 1\b.*lower optimizer\.learningRate/)
    })
  }

  test('a training that goes on and diverges names the epoch from the very first one', async (t) => {
    const first = await trainWords({ optimizer: { type: 'sgd', learningRate: 0.1, momentum: 0 }, epochs: 2 })
    const options = { ...plain, optimizer: { type: 'sgd', learningRate: 1e30, momentum: 0 } } as const
    const error = await t.throwsAsync(train({ ...trainingRequest(words, options), initial: first }), {
      instanceOf: NeuralLSHError,
      code: 'ERR_NLSH_TRAINING'
    })
    t.regex(error?.message ?? '', /epoch 3\b/)
  })

  // ------------------------------------------------------------------------------------------ odd data

  test('empty bins, duplicate rows and constant features are fine', async (t) => {
    const [rows, dimensions, bins] = [600, 10, 40]
    const distinct = clustered(rows / 2, dimensions, 4)
    const vectors = new Float32Array(rows * dimensions)
    vectors.set(distinct)
    vectors.set(distinct, distinct.length)
    for (let i = 0; i < vectors.length; i += dimensions) vectors[i] = 1e6
    const labels = Int32Array.from({ length: rows }, (_, i) => 7 * (i % 4))
    const data = { vectors, dimensions, labels, bins, neighbors: new Int32Array(0), neighborsPerRow: 0 }
    const request = trainingRequest(data, { ...plain, epochs: 40, batchSize: 50 })
    const trained = await train(request)
    t.is(last(trained).trainingAccuracy, 1)
    t.is(accuracyOf(trained, request, [...labels.keys()]), 1)
    t.is(trained.input.mean[0], 1e6)
  })

  /** One row again and again, a quarter of them in bin 1, the others in bin 0. */
  const identical: TrainingData = {
    vectors: new Float32Array(400 * 3).fill(0.1),
    dimensions: 3,
    labels: Int32Array.from({ length: 400 }, (_, i) => Number(i % 4 === 0)),
    bins: 2,
    neighbors: new Int32Array(0),
    neighborsPerRow: 0
  }
  const quarter = { hidden: [8], validationFraction: 0, epochs: 300, batchSize: 400, optimizer: { learningRate: 0.01 } }

  test('identical rows train to the frequencies of their labels', async (t) => {
    const trained = await train(trainingRequest(identical, quarter))
    t.deepEqual(trained.input.scale, new Float32Array(3).fill(1))
    const entropy = -0.25 * Math.log(0.25) - 0.75 * Math.log(0.75)
    t.true(Math.abs(last(trained).trainingLoss - entropy) < 1e-3)
    const [, rare = 0] = softmax(logitsOf(trained, identical.vectors.subarray(0, 3)))
    t.true(Math.abs(rare - 0.25) < 0.01, `${rare}`)
  })

  test('balanced classes weigh a rare bin as much as a frequent one', async (t) => {
    const balanced = trainingRequest(identical, { ...quarter, loss: { classWeights: 'balanced' } })
    const trained = await train(balanced)
    const [, rare = 0] = softmax(logitsOf(trained, identical.vectors.subarray(0, 3)))
    t.true(Math.abs(rare - 0.5) < 0.01, `${rare}`)
    const given = await train({
      ...balanced,
      loss: { ...balanced.loss, classWeights: [400 / (2 * 300), 400 / (2 * 100)] }
    })
    t.deepEqual(given.parameters, trained.parameters)
  })

  test('balanced classes do not weigh a bin that is empty', async (t) => {
    const three = trainingRequest({ ...identical, bins: 3 }, { ...quarter, loss: { classWeights: 'balanced' } })
    const trained = await train(three)
    const [frequent = 0, rare = 0, none = 1] = softmax(logitsOf(trained, identical.vectors.subarray(0, 3)))
    t.true(Math.abs(frequent - rare) < 0.01 && none < 0.1, `${[frequent, rare, none]}`)
  })

  // ------------------------------------------------------------------------------------------ regularization

  const sumOf = (values: Float32Array, function_: (value: number) => number) =>
    values.reduce((sum, value) => sum + function_(value), 0)

  test('L1 and L2 penalties make weights smaller, L1 many of them nearly 0', async (t) => {
    const weights = async (regularization: ClassifierOptions['regularization']) =>
      (await trainWords({ hidden: [32], epochs: 10, regularization })).parameters
    const [free, l1, l2] = [await weights({}), await weights({ l1: 3e-3 }), await weights({ l2: 0.03 })]
    t.true(sumOf(l1, Math.abs) < 0.8 * sumOf(free, Math.abs))
    t.true(sumOf(l2, (value) => value ** 2) < 0.8 * sumOf(free, (value) => value ** 2))
    const tiny = (values: Float32Array) => sumOf(values, (value) => Number(Math.abs(value) < 1e-3)) / values.length
    t.true(tiny(l1) > 0.1 && tiny(free) < 0.02 && tiny(l2) < 0.02, `${[tiny(free), tiny(l1), tiny(l2)]}`)
  })

  test('input noise and dropout disturb the training, not what is validated', async (t) => {
    const clean = last(await trainWords({ epochs: 8 }))
    for (const disturbed of [{ regularization: { inputNoise: 1 } }, { dropout: 0.5 }]) {
      const epoch = last(await trainWords({ ...disturbed, epochs: 8 }))
      t.true(epoch.trainingLoss > clean.trainingLoss + 0.1, `${epoch.trainingLoss}, ${clean.trainingLoss}`)
      t.true(epoch.validationLoss < epoch.trainingLoss, `${epoch.validationLoss}, ${epoch.trainingLoss}`)
    }
  })

  test('a clipped gradient bounds the step of gradient descent', async (t) => {
    const options: ClassifierOptions = {
      optimizer: { type: 'sgd', learningRate: 1, momentum: 0 },
      schedule: { type: 'constant' },
      batchSize: 1800,
      epochs: 1
    }
    const request = trainingRequest(words, { ...plain, ...options, regularization: { clipNorm: 1e-3 } })
    const parameters = new Float32Array(100 * 128 + 128 + 128 * 16 + 16).fill(0.01)
    const clipped = await train({ ...request, initial: { parameters } })
    const free = await train({
      ...request,
      initial: { parameters },
      regularization: { ...request.regularization, clipNorm: 0 }
    })
    const step = (trained: TrainedClassifier) =>
      Math.hypot(...trained.parameters.map((value, i) => value - (parameters[i] as number)))
    t.true(Math.abs(step(clipped) - 1e-3) < 1e-5, `${step(clipped)}`)
    t.true(step(free) > 0.01)
  })

  // ------------------------------------------------------------------------------------------ refusals

  test('labels, neighbors, weights and states out of range are refused by name', async (t) => {
    const changed = (array: Int32Array, index: number, value: number) =>
      array.map((old, i) => (i === index ? value : old))
    const request = trainingRequest(words, plain)
    const whole = await train({ ...request, epochs: 1 })
    const state = (change: object) => ({ initial: { ...whole, state: { ...whole.state, ...change } } })
    const parameters = new Float32Array(14_992).fill(Number.NaN)
    const wrong: [string, Partial<TrainingRequest>, RegExp][] = [
      ['labels', { labels: changed(words.labels, 7, 16) }, /entry 7 is 16/],
      ['labels', { labels: changed(words.labels, 0, -1) }, /entry 0 is -1/],
      ['neighbors', { neighbors: changed(words.neighbors, 25, 2000), softLabels: 1 }, /entry 25 is 2000/],
      ['heldOut', { heldOut: Int32Array.of(3, 8, 3) }, /each once/],
      ['heldOut', { heldOut: Int32Array.of(2000) }, /entry 0 is 2000/],
      ['initial.parameters', { initial: { parameters: new Float32Array(5) } }, /14992/],
      ['initial.parameters', { initial: { parameters } }, /finite/],
      ['initial', state({ slots: new Float32Array(14_992) }), /29984/],
      ['initial.state.slots', state({ slots: new Float32Array(29_984).fill(Number.NaN) }), /finite/],
      ['initial.state.parameters', state({ parameters }), /finite/]
    ]
    for (const [argument, change, message] of wrong) {
      const error = await t.throwsAsync(
        train({ ...request, ...change }),
        { instanceOf: ArgumentError, message },
        `${argument}, ${message}`
      )
      t.is((error as ArgumentError | undefined)?.argument, argument)
    }
  })
})
