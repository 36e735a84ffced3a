import test from 'ava'
import { buildKnnGraph, trainClassifier } from '../../lib/index.js'
import { clustered } from '../support/vectors.js'

const rows = 1200
const dimensions = 8
const vectors = clustered(rows, dimensions, 4)
/** Row i lies around center i % 4: groups that a network can learn. */
const labels = Int32Array.from({ length: rows }, (_, row) => row % 4)
const options = {
  dimensions,
  labels,
  bins: 4,
  hidden: [16],
  epochs: 8,
  batchSize: 64,
  optimizer: { learningRate: 0.01 }
}

test('learns groups that lie apart', async (t) => {
  const trained = await trainClassifier(vectors, options)
  t.deepEqual(trained.widths, [8, 16, 4])
  t.is(trained.parameters.length, 16 * 9 + 4 * 17)
  t.is(trained.inputMean.length, 8)
  t.deepEqual(
    trained.history.map(({ epoch }) => epoch),
    [1, 2, 3, 4, 5, 6, 7, 8]
  )
  const last = trained.history.at(-1)
  t.true((last?.trainingAccuracy ?? 0) > 0.97)
  t.true((last?.validationAccuracy ?? 0) > 0.9)
  t.true((last?.trainingLoss ?? 9) < (trained.history[0]?.trainingLoss ?? 0))
})

test('a linear classifier, and nothing held out', async (t) => {
  const { widths, history } = await trainClassifier(vectors, { ...options, hidden: [], validationFraction: 0 })
  t.deepEqual(widths, [8, 4])
  t.true((history.at(-1)?.trainingAccuracy ?? 0) > 0.9)
  t.is(history.at(-1)?.validationLoss, Number.NaN)
})

test('soft labels keep the loss above the entropy of the neighbors', async (t) => {
  // Each vector's one neighbor is the next row, of another group: the target is half and half, its entropy log 2.
  const ids = Int32Array.from({ length: rows }, (_, row) => (row + 1) % rows)
  const neighbors = { neighbors: 1, ids, distances: new Float32Array(rows) }
  const { history } = await trainClassifier(vectors, { ...options, neighbors, epochs: 20 })
  const loss = history.at(-1)?.trainingLoss ?? 0
  t.true(loss >= Math.log(2) && loss < Math.log(2) + 0.1, `${loss}`)
})

test('the same seed gives the same weights, whatever the threads; another seed gives others', async (t) => {
  const first = await trainClassifier(vectors, { ...options, threads: 1 })
  const second = await trainClassifier(vectors, { ...options, threads: 2 })
  const other = await trainClassifier(vectors, { ...options, seed: 2 })
  t.deepEqual(second.parameters, first.parameters)
  t.notDeepEqual(other.parameters, first.parameters)
})

test('starts from the weights that are given', async (t) => {
  const { parameters: initialParameters } = await trainClassifier(vectors, options)
  const still = { ...options, initialParameters, epochs: 1, optimizer: { learningRate: 1e-12 } }
  const { parameters, history } = await trainClassifier(vectors, still)
  t.deepEqual(parameters, initialParameters)
  t.true((history[0]?.trainingAccuracy ?? 0) > 0.97)
})

test('a training that runs away says so', async (t) => {
  const wild = { ...options, optimizer: { learningRate: 1e30 } }
  await t.throwsAsync(() => trainClassifier(vectors, wild), { code: 'ERR_NLSH_TRAINING', message: /epoch/ })
})

test('takes the graph of the stage before', async (t) => {
  const neighbors = await buildKnnGraph(vectors, { dimensions })
  const { history } = await trainClassifier(vectors, { ...options, neighbors })
  t.true((history.at(-1)?.validationAccuracy ?? 0) > 0.9)
})
