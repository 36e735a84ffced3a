// Two levels: a bin's probability is that of its group times that in the group, whichever way it is computed.
import test from 'ava'
import { type Layer, outputsOf } from '../../lib/classifier/network.js'
import type { Classifier } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { clustered } from '../support/vectors.js'

const engine = createNativeEngine()
const job = { threads: 1 }
const [dimensions, groups, each] = [6, 5, 7]
const bins = groups * each
const rows = 200

const vectors = clustered(rows, dimensions, 12)
const linear = (outputs: number): Layer => ({ type: 'linear', outputs, bias: true })

/** A linear layer on either level, or with `layer` before it, and random weights that tell the bins well apart. */
function classifierOf(layers: Layer[], temperature = 1): Classifier {
  const network = {
    inputShape: [dimensions, 1, 1] as const,
    layers: [...layers, linear(groups)],
    children: [...layers, linear(each)]
  }
  const count = (outputs: number) => outputs * (dimensions + 1)
  const parameters = Float32Array.from(clustered(count(groups) + groups * count(each), 1, 50, 3))
  const input = {
    unitLength: false,
    mean: Float32Array.from(clustered(1, dimensions, 1, 4)),
    scale: new Float32Array(dimensions).fill(0.7)
  }
  return { network, parameters, buffers: new Float32Array(0), input, temperature }
}

/** log softmax over a linear layer's outputs. */
function logShares(parameters: Float32Array, at: number, outputs: number, x: number[]): number[] {
  const logits = Array.from({ length: outputs }, (_, row) =>
    x.reduce(
      (sum, value, i) => sum + value * (parameters[at + row * dimensions + i] as number),
      parameters[at + outputs * dimensions + row] as number
    )
  )
  const largest = Math.max(...logits)
  const shift = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0))
  return logits.map((logit) => logit - shift)
}

/** In double precision. */
function probabilitiesOf({ parameters, input, temperature }: Classifier, row: number, activate = (x: number) => x) {
  const x = Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions), (value, i) =>
    activate((value - (input.mean[i] as number)) * (input.scale[i] as number))
  )
  const first = logShares(parameters, 0, groups, x)
  const size = each * (dimensions + 1)
  const logits = first.flatMap((share, group) =>
    logShares(parameters, groups * (dimensions + 1) + group * size, each, x).map(
      (inGroup) => (share + inGroup) / temperature
    )
  )
  const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0)
  return logits.map((logit) => Math.exp(logit) / sum)
}

async function openSearcher(classifier: Classifier) {
  const labels = Int32Array.from({ length: rows }, (_, row) => row % bins)
  const ordered = new Float32Array(vectors.length)
  const grouped = await engine.groupIntoBins(labels, bins, { from: vectors, to: ordered, dimensions }, job)
  const state = { metric: 'euclidean', dimensions, classifier, bins: grouped, vectors: ordered, scan: 'exact' } as const
  return engine.openSearcher(state, job)
}

for (const { name, layers, activate, tolerance } of [
  { name: 'in bytes', layers: [], activate: undefined, tolerance: 0.01 },
  { name: 'in float32', layers: [{ type: 'tanh' } as const], activate: Math.tanh, tolerance: 1e-5 }
]) {
  for (const temperature of [1, 1.6]) {
    test(`a bin's probability is its group's times its own in the group, ${name}, temperature ${temperature}`, async (t) => {
      const classifier = classifierOf(layers, temperature)
      t.is(outputsOf(classifier.network), bins)
      const searcher = await openSearcher(classifier)
      const routes = await searcher.route(vectors, bins, job)
      for (let row = 0; row < rows; row++) {
        const right = probabilitiesOf(classifier, row, activate)
        const [begin, end] = [row * bins, (row + 1) * bins]
        const found = routes.bins.subarray(begin, end)
        t.deepEqual(Int32Array.from(found).sort(), Int32Array.from(found.keys()))
        for (const [rank, bin] of found.entries())
          t.true(Math.abs((routes.probabilities[begin + rank] as number) - (right[bin] as number)) < tolerance)
      }
      searcher.close()
    })
  }
}

test('what few groups are asked for is what all groups would have said', async (t) => {
  const searcher = await openSearcher(classifierOf([]))
  const all = await searcher.route(vectors, bins, job)
  const few = await searcher.route(vectors, 3, job)
  let same = 0
  for (let row = 0; row < rows; row++) {
    for (let rank = 0; rank < 3; rank++) {
      if (few.bins[3 * row + rank] !== all.bins[row * bins + rank]) continue
      same++
      const [found, right] = [few.probabilities[3 * row + rank], all.probabilities[row * bins + rank]] as [
        number,
        number
      ]
      t.true(Math.abs(found - right) <= 0.002 * right + 1e-6)
    }
  }
  t.true(same >= 0.99 * 3 * rows)
  searcher.close()
})

test('points go to the bin that is most probable', async (t) => {
  const classifier = classifierOf([])
  const labels = await engine.assignToBins(classifier, vectors, rows, job)
  for (const [row, label] of labels.entries()) {
    const right = probabilitiesOf(classifier, row)
    t.true((right[label] as number) >= Math.max(...right) - 1e-5)
  }
})

test('numbers that do not fit both levels are refused', async (t) => {
  const { parameters, ...classifier } = classifierOf([])
  const short = { ...classifier, parameters: parameters.slice(1) }
  await t.throwsAsync(() => openSearcher(short), { code: 'ERR_NLSH_ARGUMENT', message: /classifier.parameters/ })
})

test('rows that are said to be held out are held out', async (t) => {
  const heldOut = Int32Array.of(3, 17, 40)
  const request = {
    vectors,
    dimensions,
    labels: Int32Array.from({ length: rows }, (_, row) => row % 3),
    bins: 3,
    neighbors: new Int32Array(0),
    neighborsPerRow: 0,
    softLabels: 0,
    network: { inputShape: [dimensions, 1, 1] as const, layers: [linear(3)] },
    initialization: { type: 'uniform' } as const,
    input: 'none' as const,
    loss: { type: 'cross-entropy', labelSmoothing: 0, classWeights: 'none' } as const,
    optimizer: { type: 'sgd', learningRate: 0.1, momentum: 0, nesterov: false } as const,
    schedule: { type: 'constant', warmup: 0 } as const,
    regularization: { l1: 0, l2: 0, inputNoise: 0, clipNorm: 0 },
    epochs: 2,
    batchSize: 32,
    validationFraction: 0.5,
    heldOut,
    monitoredProbes: 1,
    calibrate: true,
    precision: 'fp32' as const,
    deterministic: true,
    seed: 1
  }
  const trained = await engine.trainClassifier(request, job)
  t.deepEqual(Int32Array.from(trained.heldOut).sort(), heldOut)
  // What is held out does not matter to the weights.
  const moved = vectors.slice()
  for (const row of heldOut) moved.fill(100, row * dimensions, (row + 1) * dimensions)
  const again = await engine.trainClassifier({ ...request, vectors: moved }, job)
  t.deepEqual(again.parameters, trained.parameters)
  for (const wrong of [[3, 3], [rows], Array.from({ length: rows }, (_, row) => row)])
    await t.throwsAsync(engine.trainClassifier({ ...request, heldOut: Int32Array.from(wrong) }, job), {
      code: 'ERR_NLSH_ARGUMENT',
      message: /heldOut/
    })
})
