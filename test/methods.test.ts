import test from 'ava'
import { type Method, NeuralLSH } from '../lib/index.js'
import { methodNames, withMethod } from '../lib/methods.js'
import { resolveBuild } from '../lib/options.js'
import { rejectsArgument } from './support/rejection.js'
import { clustered } from './support/vectors.js'

const dimensions = 8
const vectors = clustered(600, dimensions, 16, 1, 3)
const resolve = (options: object) => resolveBuild(vectors, { dimensions, bins: 16, ...options }).index

test('a method says what its options are where nothing else does', (t) => {
  const lecture = resolve({ method: 'lecture' })
  t.deepEqual(lecture.classifier.hidden, [512, 512])
  t.is(lecture.classifier.softLabels, 0)
  t.is(lecture.classifier.batchSize, 32)
  t.is(lecture.assignment, 'partition')
  const paper = resolve({ method: 'paper' })
  t.deepEqual([paper.graph.neighbors, paper.classifier.softLabels, paper.assignment], [10, 50, 'router'])
  t.deepEqual([paper.classifier.batchNorm, paper.classifier.dropout, paper.classifier.batchSize], [true, 0.1, 64])
  t.is(resolve({ method: 'kmeans' }).router, 'centroids')
  t.deepEqual(resolve({ method: 'neural-lsh' }), resolve({}))
})

test('what is given overrules the method', (t) => {
  const given = resolve({ method: 'lecture', classifier: { hidden: [64] }, partition: { mode: 'eco' } })
  t.deepEqual(given.classifier.hidden, [64])
  t.is(given.classifier.batchSize, 32)
  t.deepEqual([given.partition.method, given.partition.mode], ['kahip', 'eco'])
  const layers = [{ type: 'linear', outputs: 8 }, { type: 'relu' }]
  const whole = resolve({ method: 'paper', classifier: { layers } })
  t.is(whole.classifier.hidden, undefined)
  t.is(whole.classifier.layers?.length, 2)
})

test('every method is resolved to options that a file can keep', (t) => {
  for (const method of methodNames) {
    const index = resolve({ method })
    t.is(index.method, method)
    t.deepEqual(JSON.parse(JSON.stringify(index)).partition.method, index.partition.method)
    t.notThrows(() => withMethod({ method }))
  }
})

test('a method that there is not is refused', async (t) => {
  const build = () => NeuralLSH.build(vectors, { dimensions, method: 'k-means' as Method })
  await rejectsArgument(t, build, 'method', /'kmeans'/)
})

test('a partition that does not rank bins has no rule of its own', async (t) => {
  await rejectsArgument(t, () => NeuralLSH.build(vectors, { dimensions, router: 'own' }), 'router', /partition.method/)
})

for (const [method, bins] of [
  ['itq', 12],
  ['regression-lsh', 12],
  ['cross-polytope', 7]
] as const) {
  test(`${method} cannot make ${bins} bins`, async (t) => {
    await rejectsArgument(t, () => NeuralLSH.build(vectors, { dimensions, method, bins }), 'bins', /but is/)
  })
}

test('soft labels may be of more neighbors than the graph that is partitioned', async (t) => {
  const graph = { neighbors: 5 }
  const index = await NeuralLSH.build(vectors, {
    dimensions,
    bins: 8,
    graph,
    classifier: { softLabels: 30, epochs: 2 }
  })
  const fewer = await NeuralLSH.build(vectors, { dimensions, bins: 8, graph, classifier: { softLabels: 5, epochs: 2 } })
  // The same graph is cut, whatever the labels are made of.
  t.is(index.report.edgeCut, fewer.report.edgeCut)
  t.not(index.report.history[0]?.trainingLoss, fewer.report.history[0]?.trainingLoss)
  await rejectsArgument(
    t,
    () => NeuralLSH.build(vectors, { dimensions, classifier: { softLabels: 600 } }),
    'classifier.softLabels',
    /599/
  )
})

test('bins of any partition can be ranked by their means', async (t) => {
  const index = await NeuralLSH.build(vectors, { dimensions, bins: 16, router: 'centroids' })
  const { curve } = await index.evaluate(vectors.slice(0, 100 * dimensions), { probes: [1, 4, 16] })
  const accuracies = curve.map(({ accuracy }) => accuracy)
  t.true((accuracies[0] as number) > 0.3)
  t.true((accuracies[1] as number) > (accuracies[0] as number))
  t.is(accuracies[2], 1)
  index.close()
})
