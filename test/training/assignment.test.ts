import test from 'ava'
import type { Classifier } from '../../lib/engines/engine.js'
import { NeuralLSH } from '../../lib/index.js'
import { randomNumbers } from '../engines/brute-force.js'
import { eachEngine } from '../engines/each-engine.js'
import { rejectsArgument } from '../support/rejection.js'
import { clustered } from '../support/vectors.js'

/** A linear classifier of random weights. */
function linear(dimensions: number, bins: number): Classifier {
  const random = randomNumbers(3)
  const zeros = new Float32Array(dimensions)
  return {
    network: { inputShape: [dimensions, 1, 1], layers: [{ type: 'linear', outputs: bins, bias: true }] },
    parameters: Float32Array.from({ length: bins * (dimensions + 1) }, () => 0.4 * random() - 0.2),
    buffers: new Float32Array(0),
    input: { unitLength: false, mean: zeros, scale: zeros.map(() => 1) },
    temperature: 1
  }
}

/** The documented rule, word for word, in double precision. */
function plainAssignment(
  { parameters }: Classifier,
  vectors: Float32Array,
  dimensions: number,
  bins: number,
  largest: number
) {
  const rows = vectors.length / dimensions
  const logits = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: bins }, (_, bin) => {
      let logit = parameters[bins * dimensions + bin] as number
      for (let i = 0; i < dimensions; i++)
        logit += (parameters[bin * dimensions + i] as number) * (vectors[row * dimensions + i] as number)
      return logit
    })
  )
  const sureness = (row: number) => {
    const of = logits[row] as number[]
    const most = Math.max(...of)
    return 1 / of.reduce((sum, logit) => sum + Math.exp(logit - most), 0)
  }
  const sizes = new Array<number>(bins).fill(0)
  const labels = new Int32Array(rows)
  const order = Array.from({ length: rows }, (_, row) => ({ row, sure: Math.fround(sureness(row)) }))
  for (const { row } of order.sort((a, b) => b.sure - a.sure || a.row - b.row)) {
    const of = logits[row] as number[]
    const open = Array.from(of.keys()).filter((bin) => (sizes[bin] as number) < largest)
    const best = open.reduce((best, bin) => ((of[bin] as number) > (of[best] as number) ? bin : best))
    sizes[best] = (sizes[best] as number) + 1
    labels[row] = best
  }
  return { labels, sizes }
}

eachEngine(({ engine, test }) => {
  for (const [rows, dimensions, bins, slack] of [
    [500, 5, 7, 1],
    [3000, 4, 40, 1.05],
    [1000, 3, 200, 1.5],
    [300, 6, 5, 1000]
  ] as const) {
    test(`${rows} vectors in ${bins} bins with ${slack} times the room: each where the router would look first`, async (t) => {
      const vectors = clustered(rows, dimensions, 10, 1, 3)
      const classifier = linear(dimensions, bins)
      const largest = Math.min(rows, Math.floor(slack * Math.ceil(rows / bins)))
      const labels = await engine.assignToBins(classifier, vectors, largest, { threads: 0 })
      const plain = plainAssignment(classifier, vectors, dimensions, bins, largest)
      // Where two rows are equally sure but for rounding, either may come first, and the next ones follow.
      const same = labels.reduce((count, bin, row) => count + (bin === plain.labels[row] ? 1 : 0), 0)
      t.true(same >= 0.98 * rows, `${same} of ${rows} as by the plain rule`)
      t.true(plain.sizes.every((size) => size <= largest))
      const sizes = new Array<number>(bins).fill(0)
      for (const bin of labels) sizes[bin] = (sizes[bin] as number) + 1
      t.true(sizes.every((size) => size <= largest))
      t.deepEqual(await engine.assignToBins(classifier, vectors, largest, { threads: 1 }), labels)
    })
  }

  test('vectors in one place fill bin after bin', async (t) => {
    const labels = await engine.assignToBins(linear(4, 30), new Float32Array(4 * 100).fill(1), 4, { threads: 0 })
    const sizes = new Array<number>(30).fill(0)
    for (const bin of labels) sizes[bin] = (sizes[bin] as number) + 1
    t.deepEqual(
      sizes.filter((size) => size > 0),
      new Array(25).fill(4)
    )
  })
})

test('an index is assigned by its router: bins of bounded size, and more of the neighbors in the first bins', async (t) => {
  const dimensions = 12
  const vectors = clustered(4000, dimensions, 60, 1, 2)
  const queries = clustered(300, dimensions, 60, 1, 2).map((x, i) => x + 0.01 * Math.sin(i))
  const build = (assignment: 'partition' | 'router' | 'router-bounded' | undefined) =>
    NeuralLSH.build(vectors, { dimensions, bins: 32, partition: { method: 'kahip' }, assignment })
  const accuracies: Record<string, number> = {}
  for (const assignment of ['partition', 'router', 'router-bounded'] as const) {
    const index = await build(assignment)
    const { curve } = await index.evaluate(queries, { probes: [2] })
    accuracies[assignment] = curve[0]?.accuracy as number
    if (assignment === 'router') t.true(index.report.balance > 1.04)
    else t.true(index.report.balance <= (1.03 * Math.ceil(4000 / 32) * 32) / 4000 + 1e-9)
    t.is(index.options.assignment, assignment)
    index.close()
  }
  t.true((accuracies.router as number) > (accuracies.partition as number))
  t.true((accuracies['router-bounded'] as number) > (accuracies.partition as number))
  const byDefault = await build(undefined)
  t.is(byDefault.options.assignment, 'router-bounded')
  byDefault.close()
})

test('a router that is not trained assigns nothing', async (t) => {
  const vectors = clustered(100, 3)
  const partition = { method: 'kmeans' } as const
  const build = () => NeuralLSH.build(vectors, { dimensions: 3, partition, router: 'centroids', assignment: 'router' })
  await rejectsArgument(t, build, 'assignment', /'partition' with router 'centroids'/)
})
