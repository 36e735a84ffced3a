// Indexes by the classical methods, from build to file.
import { readFile } from 'node:fs/promises'
import test from 'ava'
import { type BuildOptions, NeuralLSH } from '../../lib/index.js'
import { type Method, methods } from '../../lib/methods.js'
import { temporaryFolder } from '../formats/temporary-folder.js'
import { rejectsArgument } from '../support/rejection.js'
import { leastMilliseconds, millisecondsOf } from '../support/times.js'
import { clustered } from '../support/vectors.js'
import { partitioners, readWords } from './partition.js'

const folder = temporaryFolder()
test.after.always(() => folder.remove())

const trained: readonly Method[] = ['neural-lsh', 'lecture', 'paper', 'regression-lsh']
const classical = (Object.keys(methods) as Method[]).filter((name) => !trained.includes(name))
const bins = 32
const probes = [1, 2, 3, 5, 8, 12, 18, 25, bins]

const words = readWords(2000)

async function build(options: Partial<BuildOptions>) {
  const { vectors, dimensions } = await words
  const queries = vectors.slice(0, 200 * dimensions)
  const base = vectors.slice(200 * dimensions)
  return { index: await NeuralLSH.build(base, { dimensions, bins, ...options }), queries }
}

for (const method of classical) {
  test(`${method}: more bins never lose a candidate, and all bins hold all neighbors`, async (t) => {
    const { index, queries } = await build({ method })
    const { curve } = await index.evaluate(queries, { k: 10, probes })
    const accuracies = curve.map(({ accuracy }) => accuracy)
    t.log(accuracies.map((accuracy) => accuracy.toFixed(3)).join(' '))
    t.deepEqual(
      accuracies,
      accuracies.toSorted((a, b) => a - b)
    )
    t.is(accuracies.at(-1), 1)
    // Far better than bins at random.
    t.true((accuracies[3] as number) > (2 * 5) / bins)
    index.close()
  })

  test(`${method}: what was saved answers the same, and threads make no difference`, async (t) => {
    const saved = await Promise.all(
      [1, 2].map(async (threads) => {
        const { index, queries } = await build({ method, threads })
        const path = folder.path(`${method}-${threads}.nlsh`)
        await index.save(path)
        const reopened = await NeuralLSH.open(path)
        for (const options of [{ k: 5, probes: 3 }, { k: 10, mass: 0.8 }, { k: 10 }]) {
          const found = await index.searchBatch(queries, options)
          t.deepEqual(await reopened.searchBatch(queries, options), found)
        }
        t.is(reopened.options.router, index.options.router)
        index.close()
        reopened.close()
        return readFile(path)
      })
    )
    t.true(saved[0]?.equals(saved[1] as Buffer))
  })
}

test('a network can be trained on any of the partitions', async (t) => {
  for (const method of ['itq', 'pca-tree', 'balanced-kmeans'] as const) {
    const classifier = { hidden: [64], epochs: 15, batchSize: 64 }
    const { index, queries } = await build({ method, router: 'classifier', classifier })
    const { curve } = await index.evaluate(queries, { k: 10, probes: [5] })
    t.log(`${method}: ${curve[0]?.accuracy}`)
    t.true((curve[0]?.accuracy as number) > 0.6)
    index.close()
  }
})

test('bins are as large as their method says', async (t) => {
  for (const [method, share] of [
    ['balanced-kmeans', 1.05],
    ['pca-tree', 1],
    ['rp-tree', 1],
    ['kd-tree', 1]
  ] as const) {
    const { index } = await build({ method })
    const mean = index.size / bins
    t.true(index.report.balance <= Math.max(Math.ceil(mean), share * mean) / mean, `${method}: ${index.report.balance}`)
    index.close()
  }
})

test('bins that a method cannot make are an error', async (t) => {
  const { vectors, dimensions } = await words
  for (const [method, bins] of [
    ['itq', 48],
    ['itq', 3],
    ['cross-polytope', 7],
    ['cross-polytope', 514]
  ] as const)
    await rejectsArgument(
      t,
      () => NeuralLSH.build(vectors, { dimensions, method, bins }),
      'bins',
      new RegExp(`${bins}$`)
    )
})

for (const { engine, partition } of partitioners) {
  test.serial(`${engine}: a partition that is cancelled stops within a second; progress goes up to all`, async (t) => {
    const vectors = clustered(60_000, 64, 100)
    for (const method of ['itq', 'cross-polytope', 'pca-tree', 'rp-tree', 'kd-tree'] as const) {
      const reason = new Error('enough')
      const asked = { method, bins: method === 'cross-polytope' ? 128 : 1024, iterations: 1000 }
      const milliseconds = await leastMilliseconds(1000, () => {
        const controller = new AbortController()
        setTimeout(() => controller.abort(reason), 5)
        // What ends before the signal must have been quick.
        const running = partition(vectors, 64, asked, { threads: 0, signal: controller.signal }).then(
          () => reason,
          (error: unknown) => error
        )
        return millisecondsOf(running.then((error) => t.is(error, reason)))
      })
      t.true(milliseconds < 1000, `${method}: ${milliseconds} ms`)
    }
    for (const method of ['itq', 'cross-polytope', 'kd-tree'] as const) {
      const shares: number[] = []
      const onProgress = (done: number, total: number) => shares.push(done / total)
      await partition(vectors.subarray(0, 6400), 64, { method, bins: 64 }, { threads: 1, onProgress })
      t.is(shares.at(-1), 1)
      t.deepEqual(
        shares,
        shares.toSorted((a, b) => a - b)
      )
    }
  })
}
