/** The engine in TypeScript as users meet it: an index built by the native engine, opened without it. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import test from 'ava'
import {
  buildKnnGraph,
  buildSimilarityGraph,
  type EngineError,
  type KnnGraph,
  type Metric,
  NeuralLSH,
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

test('what it cannot do yet is an error that says what to do', async (t) => {
  for (const partition of [{ method: 'kahip' }, { method: 'kmeans' }, { method: 'pca-tree' }] as const) {
    const error = await t.throwsAsync(NeuralLSH.build(base, { dimensions, engine: 'typescript', partition }), {
      code: 'ERR_NLSH_ENGINE',
      message: /does not train their routers yet: build with the engine 'native'/
    })
    t.is((error as EngineError).name, 'EngineError')
  }
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
  import { exactSearch, NeuralLSH } from ${JSON.stringify(new URL('../../lib/index.ts', import.meta.url).href)}
  const warnings = []
  process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }))
  const [path] = process.argv.slice(-1)
  const errorOf = (promise) => promise.then(() => undefined, ({ code, message }) => ({ code, message }))
  const index = await NeuralLSH.open(path)
  const again = await NeuralLSH.open(path)
  const { ids } = await index.search(index.vector(3), { k: 3 })
  const vectors = new Float32Array(64).map((_, i) => i)
  const build = await errorOf(NeuralLSH.build(vectors, { dimensions: 4 }))
  const named = await errorOf(NeuralLSH.open(path, { engine: 'native' }))
  await new Promise(setImmediate)
  console.log(JSON.stringify({ engines: [index.engine, again.engine], first: ids[0], build, named, warnings }))
`

test('where no binary loads, an index is opened all the same, with one warning; a build is an error', async (t) => {
  const path = await built('fallback.nlsh')
  const script = folder.write('open.mjs', withoutBinary)
  const run = (env: NodeJS.ProcessEnv) =>
    promisify(execFile)(process.execPath, [`--import=${import.meta.resolve('tsx')}`, script, path], {
      env: { ...process.env, PREBUILDS_ONLY: '1', ...env }
    })
  const said = JSON.parse((await run({})).stdout)
  t.deepEqual(said.engines, ['typescript', 'typescript'])
  t.is(said.first, 3)
  t.is(said.build.code, 'ERR_NLSH_ENGINE')
  t.is(said.named.code, 'ERR_NLSH_ENGINE')
  t.is(said.warnings.length, 1)
  t.is(said.warnings[0].code, 'NEURAL_LSH_FALLBACK')
  t.regex(said.warnings[0].message, /native engine cannot be loaded .* Install a C\+\+20 compiler/)
  await t.throwsAsync(run({ NEURAL_LSH_ENGINE: 'native' }), { message: /native engine cannot be loaded/ })
  const forced = JSON.parse((await run({ NEURAL_LSH_ENGINE: 'typescript' })).stdout)
  t.deepEqual(forced.warnings, [], 'asked for by name, it is no surprise')
})
