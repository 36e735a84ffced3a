/** The engine in TypeScript as users meet it: indexes that are opened and built without native code. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import test from 'ava'
import {
  type BuildOptions,
  buildKnnGraph,
  buildSimilarityGraph,
  type KnnGraph,
  type Metric,
  NeuralLSH,
  type Progress,
  partitionGraph
} from '../../lib/index.js'
import { temporaryFolder } from '../formats/temporary-folder.js'
import { clustered } from '../support/vectors.js'

const folder = temporaryFolder()
test.after.always(() => folder.remove())

const dimensions = 16
const all = clustered(2100, dimensions, 60)
const [base, queries] = [all.slice(0, 2000 * dimensions), all.slice(2000 * dimensions)]

async function built(name: string, metric: Metric = 'euclidean'): Promise<string> {
  const path = folder.path(name)
  const options = { dimensions, metric, bins: 32, partition: { method: 'kmeans' }, classifier: { epochs: 3 } } as const
  const index = await NeuralLSH.build(base, options)
  await index.save(path, { words: Array.from({ length: 2000 }, (_, i) => `word ${i}`) })
  index.close()
  return path
}

for (const metric of ['euclidean', 'cosine', 'inner-product'] as const) {
  test(`${metric}: opened without native code, an index says the same, keeps its recall, and is saved alike`, async (t) => {
    const path = await built(`${metric}.nlsh`, metric)
    const [native, typescript] = await Promise.all(
      (['native', 'typescript'] as const).map((engine) => NeuralLSH.open(path, { engine }))
    )
    if (!native || !typescript) return t.fail()
    t.is(native.engine, 'native')
    t.is(typescript.engine, 'typescript')
    t.deepEqual(typescript.words, native.words)
    t.deepEqual(typescript.vector(77), native.vector(77))
    t.deepEqual(typescript.options, native.options)

    const asked = { k: 10, recall: [0.9], probes: [1, 32] }
    const [right, found] = [await native.evaluate(queries, asked), await typescript.evaluate(queries, asked)]
    for (const [i, point] of found.curve.entries()) {
      const expected = right.curve[i] as typeof point
      t.true(Math.abs(point.accuracy - expected.accuracy) < 0.01, `${point.accuracy}, not ${expected.accuracy}`)
      t.true(Math.abs(point.candidatesMean - expected.candidatesMean) < 0.02 * expected.candidatesMean)
    }
    t.is(found.curve[1]?.recall, 1)
    t.true((found.curve[2] as { recall: number }).recall > 0.85)

    const saved = await Promise.all(
      [native, typescript].map(async (index) => {
        const again = folder.path(`${metric}-${index.engine}.nlsh`)
        await index.save(again)
        return readFileSync(again)
      })
    )
    t.deepEqual(saved[1], saved[0])
    const pending = typescript.search(queries.subarray(0, dimensions))
    typescript.close()
    t.is((await pending).ids.length, 10, 'what is under way finishes')
    await t.throwsAsync(() => typescript.search(queries.subarray(0, dimensions)), { code: 'ERR_NLSH_CLOSED' })
    native.close()
  })
}

// ------------------------------------------------------------------------------------------ built without native code

/** Clusters that overlap, so that a few bins do not hold all neighbors. */
const harder = clustered(2300, dimensions, 60, 1, 1.2)
const [points, questions] = [harder.slice(0, 2100 * dimensions), harder.slice(2100 * dimensions)]

const recipes: Record<string, Omit<BuildOptions, 'dimensions'>> = {
  'the default recipe': {},
  "KaHIP's place taken by its own partitioner, bins assigned by the router": {
    metric: 'cosine',
    partition: { method: 'kahip' },
    scan: 'exact'
  },
  'codes of bytes, soft labels, early stopping': {
    scan: 'int8',
    partition: { method: 'kmeans' },
    classifier: { hidden: [64], softLabels: 5, earlyStopping: { patience: 1 }, epochs: 6 }
  },
  'two levels': { method: 'two-level', bins: 64, classifier: { hidden: [48], epochs: 3 } },
  'codes of four bits': { scan: 'pq4', partition: { method: 'kmeans' } },
  'a tree of hyperplanes with its own rule': { method: 'pca-tree', router: 'own' },
  'signs of principal components with a network': { method: 'itq', router: 'classifier', classifier: { epochs: 4 } },
  'nothing but centroids': { router: 'centroids', partition: { method: 'kmeans' }, metric: 'inner-product' }
}

for (const [name, recipe] of Object.entries(recipes)) {
  test(`built without native code and opened with it, and the other way round: ${name}`, async (t) => {
    const options = { dimensions, bins: 32, ...(recipe.router ? {} : { classifier: { epochs: 4 } }), ...recipe }
    const seen: Progress[] = []
    const [found, native] = await Promise.all([
      NeuralLSH.build(points, { ...options, engine: 'typescript', onProgress: (progress) => seen.push(progress) }),
      NeuralLSH.build(points, { ...options, engine: 'native' })
    ])
    t.is(found.engine, 'typescript')
    t.deepEqual(found.options, native.options)
    t.deepEqual(
      found.report.stages.map((stage) => stage.name),
      native.report.stages.map((stage) => stage.name)
    )
    t.true(seen.every(({ done, total }) => done <= total))
    t.true(found.report.balance < 1.5 * native.report.balance, `${found.report.balance}`)
    t.is(found.report.history.length > 0, native.report.history.length > 0)

    // Its partitions are its own: they are to be about as good.
    const [ours, theirs] = await Promise.all(
      [found, native].map(async (index) => (await index.evaluate(questions, { probes: [1, 2, 4] })).curve)
    )
    for (const [i, { accuracy, probes }] of (ours ?? []).entries()) {
      const right = theirs?.[i]?.accuracy as number
      t.true(accuracy > right - 0.08, `${accuracy} beside ${right} in ${probes} bins`)
    }

    for (const [index, other] of [
      [found, 'native'],
      [native, 'typescript']
    ] as const) {
      const path = folder.path(`${name}-by-${index.engine}.nlsh`)
      await index.save(path)
      const opened = await NeuralLSH.open(path, { engine: other })
      t.is(opened.engine, other)
      const asked = { k: 10, probes: options.bins }
      const [one, another] = [await index.searchBatch(questions, asked), await opened.searchBatch(questions, asked)]
      const same = one.ids.reduce((sum, id, i) => sum + (id === another.ids[i] ? 1 : 0), 0)
      // The native engine ranks by the codes of four bits, and compares only the best of them again.
      const share = recipe.scan === 'pq4' ? 0.95 : 0.995
      t.true(same > share * one.ids.length, `${same} of ${one.ids.length}`)
      const recalls = await Promise.all(
        [index, opened].map(
          async (one) => (await one.evaluate(questions, { recall: [0.9] })).curve[0]?.recall as number
        )
      )
      t.true(Math.min(...recalls) > 0.83, `a recall of 0.9 was asked for: ${recalls}`)
      opened.close()
    }
    found.close()
    native.close()
  })
}

test('the same seed builds the same file', async (t) => {
  const options = {
    dimensions,
    bins: 16,
    engine: 'typescript',
    classifier: { hidden: [32], dropout: 0.1, epochs: 2 }
  } as const
  const [one, same, other] = await Promise.all(
    [1, 1, 2].map(async (seed, i) => {
      const index = await NeuralLSH.build(base.subarray(0, 900 * dimensions), { ...options, seed })
      const path = folder.path(`seed-${i}.nlsh`)
      await index.save(path)
      index.close()
      return readFileSync(path)
    })
  )
  t.deepEqual(same, one)
  t.notDeepEqual(other, one)
})

test("the stages that train nothing are there by name, with the native engine's answers", async (t) => {
  const metric = 'euclidean'
  const [ours, theirs] = await Promise.all(
    (['typescript', 'native'] as const).map((engine) =>
      buildKnnGraph(base, { dimensions, metric, neighbors: 6, engine })
    )
  )
  t.deepEqual(ours?.ids, theirs?.ids)
  const graph = await buildSimilarityGraph(ours as KnnGraph, { engine: 'typescript' })
  t.deepEqual(graph, await buildSimilarityGraph(theirs as KnnGraph, { engine: 'native' }))
  const made = await partitionGraph(graph, { bins: 8, engine: 'typescript' })
  t.true(made.balance <= (1.03 * Math.ceil(base.length / dimensions / 8)) / (base.length / dimensions / 8) + 1e-9)
  const { edgeCut } = await partitionGraph(graph, { bins: 8, engine: 'native' })
  t.true(made.edgeCut > 0 && made.edgeCut <= 1.2 * edgeCut, `${made.edgeCut} beside ${edgeCut}`)
})

/** Runs in a process of its own, which finds no binary: node-gyp-build then looks for prebuilt ones only. */
const withoutBinary = `
  import { NeuralLSH } from ${JSON.stringify(new URL('../../lib/index.ts', import.meta.url).href)}
  const warnings = []
  process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }))
  const [path] = process.argv.slice(-1)
  const errorOf = (promise) => promise.then(() => undefined, ({ code, message }) => ({ code, message }))
  const index = await NeuralLSH.open(path)
  const again = await NeuralLSH.open(path)
  const { ids } = await index.search(index.vector(3), { k: 3 })
  const vectors = new Float32Array(64).map((_, i) => i)
  const built = await NeuralLSH.build(vectors, { dimensions: 4 })
  const named = await errorOf(NeuralLSH.open(path, { engine: 'native' }))
  await new Promise(setImmediate)
  console.log(JSON.stringify({ engines: [index.engine, again.engine, built.engine], first: ids[0], named, warnings }))
`

test('where no binary loads, indexes are opened and built all the same, with one warning', async (t) => {
  const path = await built('fallback.nlsh')
  const script = folder.write('open.mjs', withoutBinary)
  const run = (env: NodeJS.ProcessEnv) =>
    promisify(execFile)(process.execPath, [`--import=${import.meta.resolve('tsx')}`, script, path], {
      env: { ...process.env, PREBUILDS_ONLY: '1', ...env }
    })
  const said = JSON.parse((await run({})).stdout)
  t.deepEqual(said.engines, ['typescript', 'typescript', 'typescript'])
  t.is(said.first, 3)
  t.is(said.named.code, 'ERR_NLSH_ENGINE')
  t.is(said.warnings.length, 1)
  t.is(said.warnings[0].code, 'NEURAL_LSH_FALLBACK')
  t.regex(said.warnings[0].message, /native engine cannot be loaded .* Install a C\+\+20 compiler/)
  await t.throwsAsync(run({ NEURAL_LSH_ENGINE: 'native' }), { message: /native engine cannot be loaded/ })
  const forced = JSON.parse((await run({ NEURAL_LSH_ENGINE: 'typescript' })).stdout)
  t.deepEqual(forced.warnings, [], 'asked for by name, it is no surprise')
})
