import { readFileSync } from 'node:fs'
import test from 'ava'
import type { TrainedClassifier, TrainingRequest } from '../../lib/engines/engine.js'
import { createNativeEngine, loadAddon } from '../../lib/engines/native.js'
import { ArgumentError, NeuralLSHError } from '../../lib/errors.js'
import { randomNumbers } from '../engines/brute-force.js'
import { clustered } from '../support/vectors.js'

const engine = createNativeEngine()
const { lossAndGradient } = loadAddon()

// ------------------------------------------------------------------------------------------ gradients, in double

const shapes = [
  { widths: [4, 3], rows: 5 },
  { widths: [3, 5, 4], rows: 7 },
  { widths: [2, 9, 1, 6], rows: 3 },
  { widths: [6, 9, 8, 5], rows: 1 },
  { widths: [7, 20, 20, 20, 9], rows: 30 }
]

for (const { widths, rows } of shapes) {
  for (const labels of ['hard', 'soft']) {
    test(`the gradient agrees with central differences: ${widths.join('-')}, ${rows} rows, ${labels} labels`, (t) => {
      const random = randomNumbers(rows)
      const [inputs, outputs] = [widths[0] as number, widths.at(-1) as number]
      const size = widths.slice(1).reduce((sum, width, layer) => sum + width * ((widths[layer] as number) + 1), 0)
      const batch = {
        widths,
        parameters: Float64Array.from({ length: size }, () => random() - 0.5),
        inputs: Float64Array.from({ length: rows * inputs }, () => 2 * random() - 1),
        targets: new Float64Array(rows * outputs)
      }
      for (let row = 0; row < rows; row++) {
        const own = Math.floor(random() * outputs)
        const shares = Array.from({ length: outputs }, (_, bin) => (labels === 'soft' ? random() : Number(bin === own)))
        const sum = shares.reduce((a, b) => a + b)
        batch.targets.set(
          shares.map((share) => share / sum),
          row * outputs
        )
      }

      const { gradient } = lossAndGradient(batch)
      const step = 1e-5
      const lossWith = (i: number, change: number) => {
        const parameters = batch.parameters.slice()
        parameters[i] = (parameters[i] as number) + change
        return lossAndGradient({ ...batch, parameters }).loss
      }
      const differences = gradient.map((_, i) => (lossWith(i, step) - lossWith(i, -step)) / (2 * step))
      t.true(Math.hypot(...gradient) > 1e-3)
      const error = Math.hypot(...gradient.map((value, i) => value - (differences[i] as number)))
      t.true(error < 1e-6 * Math.hypot(...gradient), `relative error ${error / Math.hypot(...gradient)}`)
    })
  }
}

// ------------------------------------------------------------------------------------------ losses, against PyTorch

interface Fixture {
  rows: number
  dimensions: number
  bins: number
  neighborsPerRow: number
  epochs: number
  validationFraction: number
  cases: (Pick<TrainingRequest, 'hidden' | 'batchSize' | 'learningRate' | 'softLabels' | 'seed'> & {
    name: string
    history: Record<'trainingLoss' | 'trainingAccuracy' | 'validationLoss' | 'validationAccuracy', number>[]
  })[]
}

const fixtures = new URL('../fixtures/', import.meta.url)
const fixture = JSON.parse(readFileSync(new URL('classifier.json', fixtures), 'utf8')) as Fixture

/** Words' vectors with their k-means labels and nearest neighbors: see test/fixtures/README.md. */
function readWords() {
  const { rows, dimensions, neighborsPerRow } = fixture
  const bytes = new Uint8Array(readFileSync(new URL('classifier.bin', fixtures)))
  const integers = new Uint16Array(bytes.slice(rows * dimensions).buffer)
  return {
    vectors: Float32Array.from(new Int8Array(bytes.buffer, 0, rows * dimensions), (value) => value / 32),
    labels: Int32Array.from(integers.subarray(0, rows)),
    neighbors: Int32Array.from(integers.subarray(rows, rows * (1 + neighborsPerRow)))
  }
}

const words: TrainingRequest = {
  ...readWords(),
  dimensions: fixture.dimensions,
  bins: fixture.bins,
  neighborsPerRow: fixture.neighborsPerRow,
  softLabels: 0,
  hidden: [128],
  epochs: fixture.epochs,
  batchSize: 64,
  learningRate: 1e-3,
  validationFraction: fixture.validationFraction,
  seed: 1
}

for (const { name, history, ...options } of fixture.cases) {
  test(`losses and accuracies are PyTorch's, from the same weights and batches: ${name}`, async (t) => {
    const trained = await engine.trainClassifier({ ...words, ...options }, { threads: 0 })
    t.is(trained.history.length, history.length)
    let largest = 0
    for (const [i, expected] of history.entries()) {
      const epoch = trained.history[i]
      t.is(epoch?.epoch, i + 1)
      for (const loss of ['trainingLoss', 'validationLoss'] as const) {
        const error = Math.abs((epoch?.[loss] ?? Number.NaN) / expected[loss] - 1)
        t.true(error < 1e-5, `epoch ${i + 1}, ${loss}: relative error ${error}`)
        largest = Math.max(largest, error)
      }
      for (const accuracy of ['trainingAccuracy', 'validationAccuracy'] as const) {
        t.true(Math.abs((epoch?.[accuracy] ?? Number.NaN) - expected[accuracy]) < 0.003, `epoch ${i + 1}, ${accuracy}`)
      }
    }
    t.log(`largest relative error of a loss: ${largest.toExponential(1)}`)
  })
}

// ------------------------------------------------------------------------------------------ training

function last(trained: TrainedClassifier) {
  const epoch = trained.history.at(-1)
  if (epoch === undefined) throw new Error('no epoch was trained')
  return epoch
}

/** Share of rows whose most probable bin is their label, by the plain formula. */
function accuracyOf(
  { widths, parameters, inputMean, inputScale }: TrainedClassifier,
  request: TrainingRequest
): number {
  const { vectors, labels, dimensions } = request
  let hits = 0
  for (let row = 0; row < labels.length; row++) {
    let values = Array.from(inputMean, (mean, i) => ((vectors[row * dimensions + i] as number) - mean) * inputScale)
    let offset = 0
    for (const [layer, width] of widths.slice(1).entries()) {
      const inputs = values
      values = Array.from({ length: width }, (_, out) => {
        const weight = parameters.subarray(offset + out * inputs.length, offset + (out + 1) * inputs.length)
        const bias = parameters[offset + width * inputs.length + out] as number
        const sum = weight.reduce((sum, value, i) => sum + value * (inputs[i] as number), bias)
        return layer + 2 < widths.length ? Math.max(0, sum) : sum
      })
      offset += width * (inputs.length + 1)
    }
    if (values.indexOf(Math.max(...values)) === labels[row]) hits++
  }
  return hits / labels.length
}

test('training learns the bins of real vectors, and the weights are what the history says', async (t) => {
  const request = { ...words, softLabels: 5, epochs: 12, batchSize: 100 }
  const trained = await engine.trainClassifier(request, { threads: 0 })
  t.deepEqual(trained.widths, [100, 128, 16])
  t.is(trained.parameters.length, 100 * 128 + 128 + 128 * 16 + 16)
  const [first, end] = [trained.history[0], last(trained)]
  t.true((first?.trainingLoss ?? 0) < 1.3 * Math.log(16), 'starts near the loss of guessing')
  t.true(end.trainingLoss < 0.6 * (first?.trainingLoss ?? 0))
  t.true(end.trainingAccuracy > 0.8, `${end.trainingAccuracy}`)
  t.true(end.validationAccuracy > 0.7, `${end.validationAccuracy}`)
  const accuracy = accuracyOf(trained, request)
  const expected = 0.9 * end.trainingAccuracy + 0.1 * end.validationAccuracy
  t.true(Math.abs(accuracy - expected) < 0.02, `${accuracy} of all rows, ${expected} in the history`)
})

test('the same seed gives the same bytes on one thread and on many, another seed does not', async (t) => {
  const request = { ...words, hidden: [256, 256], batchSize: 700, softLabels: 10, epochs: 2 }
  const one = await engine.trainClassifier(request, { threads: 1 })
  const two = await engine.trainClassifier(request, { threads: 2 })
  const again = await engine.trainClassifier(request, { threads: 0 })
  const other = await engine.trainClassifier({ ...request, seed: 2 }, { threads: 1 })
  const withoutSeconds = ({ history, ...rest }: TrainedClassifier) => ({
    ...rest,
    history: history.map((epoch) => ({ ...epoch, seconds: 0 }))
  })
  t.deepEqual(withoutSeconds(two), withoutSeconds(one))
  t.deepEqual(withoutSeconds(again), withoutSeconds(one))
  t.notDeepEqual(other.parameters, one.parameters)
})

test('training starts from the given weights', async (t) => {
  const size = 100 * 16 + 16
  const request = { ...words, hidden: [], epochs: 1, learningRate: 1e-30 }
  const initialParameters = Float32Array.from({ length: size }, (_, i) => Math.fround(Math.sin(i + 1)))
  const trained = await engine.trainClassifier({ ...request, initialParameters }, { threads: 0 })
  t.deepEqual(trained.parameters, initialParameters)
})

test('without validation rows their loss is NaN, and every row is trained', async (t) => {
  const steps = new Set<number>()
  const request = { ...words, validationFraction: 0, batchSize: 900, epochs: 2 }
  const job = { threads: 0, onProgress: (_: number, total: number) => void steps.add(total) }
  const epoch = last(await engine.trainClassifier(request, job))
  t.is(epoch.validationLoss, Number.NaN)
  t.is(epoch.validationAccuracy, Number.NaN)
  t.deepEqual([...steps], [6])
})

test('progress counts mini-batches to the end', async (t) => {
  const seen: [number, number][] = []
  await engine.trainClassifier(words, { threads: 0, onProgress: (done, total) => void seen.push([done, total]) })
  const total = words.epochs * Math.ceil(1800 / 64)
  t.deepEqual(seen.at(-1), [total, total])
  t.true(seen.every(([done, of], i) => of === total && done >= (seen[i - 1]?.[0] ?? 1)))
})

test('aborting stops training within a second', async (t) => {
  const controller = new AbortController()
  let aborted = Number.NaN
  const onProgress = () => {
    if (controller.signal.aborted) return
    aborted = performance.now()
    controller.abort()
  }
  const request = { ...words, hidden: [512, 512], epochs: 100_000 }
  const running = engine.trainClassifier(request, { threads: 0, signal: controller.signal, onProgress })
  await t.throwsAsync(running, { any: true, name: 'AbortError' })
  t.true(performance.now() - aborted < 1000)
})

for (const learningRate of [1e6, 1e30]) {
  test(`a learning rate of ${learningRate} ends with an error that names the epoch and the cure`, async (t) => {
    const error = await t.throwsAsync(engine.trainClassifier({ ...words, learningRate }, { threads: 0 }), {
      instanceOf: NeuralLSHError,
      code: 'ERR_NLSH_TRAINING'
    })
    t.regex(error?.message ?? '', /epoch 1\b.*lower optimizer\.learningRate/)
  })
}

test('empty bins, duplicate rows and constant features are fine', async (t) => {
  const [rows, dimensions, bins] = [600, 10, 40]
  const distinct = clustered(rows / 2, dimensions, 4)
  const vectors = new Float32Array(rows * dimensions)
  vectors.set(distinct)
  vectors.set(distinct, distinct.length)
  for (let i = 0; i < vectors.length; i += dimensions) vectors[i] = 1e6
  const labels = Int32Array.from({ length: rows }, (_, i) => 7 * (i % 4))
  const request = { ...words, vectors, dimensions, labels, bins, neighborsPerRow: 0, epochs: 40, batchSize: 50 }
  const trained = await engine.trainClassifier(request, { threads: 0 })
  t.is(last(trained).trainingAccuracy, 1)
  t.is(accuracyOf(trained, request), 1)
  t.is(trained.inputMean[0], 1e6)
})

test('identical rows train to the frequencies of their labels', async (t) => {
  const [rows, dimensions, bins] = [400, 3, 2]
  const vectors = new Float32Array(rows * dimensions).fill(0.1)
  const labels = Int32Array.from({ length: rows }, (_, i) => Number(i % 4 === 0))
  const request = { ...words, vectors, dimensions, labels, bins, neighborsPerRow: 0, validationFraction: 0 }
  const trained = await engine.trainClassifier(
    { ...request, epochs: 300, batchSize: 400, learningRate: 0.01 },
    { threads: 0 }
  )
  t.is(trained.inputScale, 1)
  const entropy = -0.25 * Math.log(0.25) - 0.75 * Math.log(0.75)
  t.true(Math.abs(last(trained).trainingLoss - entropy) < 1e-3)
})

test('labels, neighbors and weights out of range are refused by name', async (t) => {
  const changed = (array: Int32Array, index: number, value: number) =>
    array.map((old, i) => (i === index ? value : old))
  const wrong: [keyof TrainingRequest, Partial<TrainingRequest>, RegExp][] = [
    ['labels', { labels: changed(words.labels, 7, 16) }, /entry 7 is 16/],
    ['labels', { labels: changed(words.labels, 0, -1) }, /entry 0 is -1/],
    ['neighbors', { neighbors: changed(words.neighbors, 25, 2000), softLabels: 1 }, /entry 25 is 2000/],
    ['initialParameters', { initialParameters: new Float32Array(5) }, /14992/],
    ['initialParameters', { initialParameters: new Float32Array(14_992).fill(Number.NaN) }, /finite/]
  ]
  for (const [argument, change, message] of wrong) {
    const error = await t.throwsAsync(engine.trainClassifier({ ...words, ...change }, { threads: 0 }), {
      instanceOf: ArgumentError,
      message
    })
    t.is((error as ArgumentError | undefined)?.argument, argument)
  }
})
