/** Training in TypeScript beside the native engine's: the same random numbers, hence the same course but for rounding. */
import test from 'ava'
import fc from 'fast-check'
import { networkOf } from '../../lib/baselines/rules.js'
import { bufferCount, type Network, parameterCount, shapesOf } from '../../lib/classifier/network.js'
import type { Classifier, Engine, TrainedClassifier } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { integer, oneOf, outputsOf, randomBatch, randomLoss, randomNetwork } from '../support/random-networks.js'
import { readWords, trainingRequest } from '../support/training.js'
import { clustered } from '../support/vectors.js'
import { randomNumbers } from './brute-force.js'
import { courseFaults, courses, distanceBetween, relative } from './courses.js'
import { nativeParts, typescriptParts } from './parts.js'

const native = createNativeEngine()
const typescript = createTypescriptEngine()
const job = { threads: 1 }
const { words } = readWords()

for (const [name, options] of Object.entries(courses)) {
  test(`the losses of 50 steps are the native engine's: ${name}`, async (t) => {
    t.deepEqual(await courseFaults(typescript, options), [])
  })
}

test('gradients are those of the native engine, whatever the network', (t) => {
  const property = fc.property(fc.integer({ min: 100, max: 1e6 }), (seed) => {
    const random = randomNumbers(seed)
    const network = randomNetwork(random)
    fc.pre(fits(network))
    const loss = randomLoss(random, outputsOf(network))
    const batch = randomBatch(random, network, loss, integer(random, 4, 40), oneOf(random, ['hard', 'soft']))
    // Doubles: in floats a maximum of nearly equal numbers could be another one.
    const [right, found] = [nativeParts.networkPass(batch), typescriptParts.networkPass(batch)]
    t.true(relative(right.loss, found.loss) < 1e-10, `loss of the network of seed ${seed}`)
    for (const name of ['outputs', 'gradient', 'inputGradient', 'buffers'] as const)
      t.true(distanceBetween(right[name], found[name]) < 1e-9, `${name} of the network of seed ${seed}`)
  })
  fc.assert(property, { numRuns: 60, seed: 1 })
})

/** Whether all windows find room. */
function fits(network: Network): boolean {
  try {
    return shapesOf(network).length > 0
  } catch {
    return false
  }
}

test('a training that one engine began the other ends', async (t) => {
  const options = { hidden: [48], softLabels: 3, batchSize: 100, validationFraction: 0.1, dropout: 0.2 }
  const request = trainingRequest(words, { ...options, epochs: 4 })
  const halves = { ...request, epochs: 2 }
  const whole = await native.trainClassifier(request, job)
  for (const [first, second] of [
    [native, typescript],
    [typescript, native]
  ] as [Engine, Engine][]) {
    const begun = await first.trainClassifier(halves, job)
    const ended = await second.trainClassifier({ ...halves, initial: begun }, job)
    const history = [...begun.history, ...ended.history]
    t.deepEqual(
      history.map(({ epoch }) => epoch),
      [1, 2, 3, 4]
    )
    for (const [i, { trainingLoss, learningRate }] of history.entries()) {
      const right = whole.history[i] as (typeof history)[0]
      t.true(relative(trainingLoss, right.trainingLoss) < 1e-3)
      t.true(relative(learningRate, right.learningRate) < 1e-12)
    }
    t.is(ended.state.steps, whole.state.steps)
    t.true(distanceBetween(whole.parameters, ended.parameters) < 0.01)
  }
})

test('the event loop turns while a network is trained, and aborting ends it', async (t) => {
  const request = trainingRequest(words, { hidden: [512, 512], epochs: 1000, batchSize: 500 })
  const controller = new AbortController()
  let turns = 0
  const tick = () => {
    if (++turns === 100) controller.abort(new Error('enough'))
    else setImmediate(tick)
  }
  tick()
  const running = typescript.trainClassifier(request, { threads: 1, signal: controller.signal })
  await t.throwsAsync(running, { message: 'enough' })
  t.is(turns, 100)
})

// ------------------------------------------------------------------------------------------ at work

/** A trained network, one of two levels with random weights, and a rule of a partition. */
async function classifiers(): Promise<Record<string, Classifier>> {
  const options = { hidden: [40], batchNorm: true, epochs: 4, batchSize: 100, validationFraction: 0.1 }
  const trained: TrainedClassifier = await native.trainClassifier(trainingRequest(words, options), job)
  const random = randomNumbers(9)
  const withRandomWeights = (network: Network): Classifier => ({
    ...trained,
    network,
    parameters: Float32Array.from({ length: parameterCount(network) }, () => 0.2 * (random() - 0.5)),
    buffers: new Float32Array(bufferCount(network)),
    temperature: 0.7
  })
  const linear = (outputs: number) => ({ type: 'linear', outputs, bias: true }) as const
  const inputShape = [words.dimensions, 1, 1] as const
  return {
    'a trained network': trained,
    'two levels': withRandomWeights({ inputShape, layers: [linear(6)], children: [linear(5)] }),
    'a tree of hyperplanes': withRandomWeights(networkOf('rp-tree', 16, words.dimensions))
  }
}

test('vectors are assigned to the bins of the native engine, and temperatures fitted to its', async (t) => {
  const rows = words.labels.length
  const bins = { 'a trained network': 16, 'two levels': 30, 'a tree of hyperplanes': 16 }
  for (const [name, classifier] of Object.entries(await classifiers())) {
    const count = bins[name as keyof typeof bins]
    for (const largest of [Math.ceil(rows / count), Math.ceil((1.2 * rows) / count), rows]) {
      const progress: number[] = []
      const [expected, found] = await Promise.all([
        native.assignToBins(classifier, words.vectors, largest, job),
        typescript.assignToBins(classifier, words.vectors, largest, {
          ...job,
          onProgress: (done, total) => progress.push(done / total)
        })
      ])
      // Where two rows are equally sure but for rounding, either may come first, and the next ones follow.
      const same = found.reduce((sum, bin, row) => sum + (bin === expected[row] ? 1 : 0), 0)
      t.true(same >= 0.995 * rows, `${name}, at most ${largest}: ${same} of ${rows}`)
      const sizes = new Int32Array(count)
      for (const bin of found) sizes[bin] = (sizes[bin] as number) + 1
      t.true(sizes.every((size) => size <= largest))
      t.is(progress.at(-1), 1)
    }
    const neighborBins = words.neighbors.map((id) => (words.labels[id] as number) % count)
    const [expected, found] = await Promise.all(
      [native, typescript].map((engine) => engine.calibrateToNeighbors(classifier, words.vectors, neighborBins, job))
    )
    for (const figure of ['temperature', 'errorBefore', 'errorAfter'] as const)
      t.true(relative(found?.[figure] as number, expected?.[figure] as number) < 1e-3, `${name}: ${figure}`)
    const wrong = neighborBins.map((bin, i) => (i === 5 ? count : bin))
    await t.throwsAsync(() => typescript.calibrateToNeighbors(classifier, words.vectors, wrong, job), {
      message: /^neighborBins: must be in/
    })
  }
})

test('bytes are told from other numbers', async (t) => {
  const bytes = clustered(300, 8).map((x) => Math.max(0, Math.min(255, Math.round(60 * x + 128))))
  for (const [changed, expected] of [
    [3, true],
    [0.5, false],
    [256, false],
    [-1, false]
  ] as const) {
    const vectors = bytes.map((x, i) => (i === 2000 ? changed : x))
    t.is(await typescript.areBytes(vectors, job), expected)
    t.is(await native.areBytes(vectors, job), expected)
  }
})
