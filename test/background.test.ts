/** What an index does beside the event loop: it leaves the loop free, stops when told, and shares the machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import anyTest, { type TestFn } from 'ava'
import { type BuildOptions, exactSearch, NeuralLSH, type StageName } from '../lib/index.js'
import { type TemporaryFolder, temporaryFolder } from './formats/temporary-folder.js'
import { bestDelays, leastMilliseconds, millisecondsOf } from './support/times.js'
import { clustered } from './support/vectors.js'

const test = anyTest as TestFn<{ folder: TemporaryFolder }>

test.before((t) => {
  t.context = { folder: temporaryFolder() }
})

test.after.always((t) => t.context.folder.remove())

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test.serial('a 10 ms timer fires on time while an index is built, saved, opened and asked', async (t) => {
  const dimensions = 64
  const vectors = clustered(20_000, dimensions, 100)
  const path = t.context.folder.path('free.nlsh')
  const late = await bestDelays(async () => {
    const index = await NeuralLSH.build(vectors, { dimensions, classifier: { hidden: [256], epochs: 5 } })
    await index.save(path)
    const same = await NeuralLSH.open(path)
    await same.searchBatch(vectors, { probes: 4 })
    // Millions of results.
    await same.searchRadiusBatch(vectors.subarray(0, 5000 * dimensions), { radius: 1e6, probes: 4 })
    await same.evaluate(vectors.subarray(0, 1000 * dimensions), { probes: [1, 8] })
  })
  const longest = late.at(-1) ?? 0
  const typical = late[Math.floor(0.9 * late.length)] ?? 0
  t.true(longest < 100, `${longest} ms late`)
  t.true(typical < 20, `one in ten is ${typical} ms late`)
  t.true(late.length > 30, `${late.length} ticks: too short a work to tell`)
})

/** Builds in which one stage takes far longer than the test waits. */
const endless: [StageName, number, Partial<BuildOptions>][] = [
  ['knn-graph', 150_000, {}],
  ['partition', 12_000, { bins: 512, partition: { mode: 'strong' } }],
  ['classifier', 2000, { classifier: { epochs: 10_000 } }]
]

for (const [stage, rows, options] of endless) {
  test.serial(`a build that is aborted in the middle of ${stage} stops within a second`, async (t) => {
    const dimensions = 32
    const vectors = clustered(rows, dimensions, 50)
    const milliseconds = await leastMilliseconds(1000, async () => {
      const controller = new AbortController()
      let begin = () => {}
      const begun = new Promise<void>((resolve) => {
        begin = resolve
      })
      const onProgress = (progress: { stage: StageName }) => progress.stage === stage && begin()
      const build = NeuralLSH.build(vectors, { dimensions, ...options, signal: controller.signal, onProgress })
      await begun
      await sleep(150)
      controller.abort()
      return millisecondsOf(t.throwsAsync(build, { any: true, name: 'AbortError' }))
    })
    t.true(milliseconds < 1000, `${milliseconds} ms`)
  })
}

test.serial('aborted builds leave no memory behind', async (t) => {
  const dimensions = 128
  const vectors = clustered(60_000, dimensions, 50)
  async function abortedBuild() {
    const controller = new AbortController()
    const onProgress = ({ stage }: { stage: StageName }) => {
      if (stage === 'knn-graph') setTimeout(() => controller.abort(), 50)
    }
    const build = NeuralLSH.build(vectors, { dimensions, signal: controller.signal, onProgress })
    await t.throwsAsync(build, { any: true, name: 'AbortError' })
    await sleep(20)
    collectGarbage()
    await sleep(20)
  }
  await abortedBuild()
  const before = process.memoryUsage()
  for (let i = 0; i < 6; i++) await abortedBuild()
  // On a busy machine the last build's arrays are let go of later; what leaks never is.
  for (let i = 0; i < 50 && process.memoryUsage().arrayBuffers - before.arrayBuffers >= 2 ** 20; i++) {
    await sleep(20)
    collectGarbage()
  }
  const after = process.memoryUsage()
  t.true(
    after.arrayBuffers - before.arrayBuffers < 2 ** 20,
    `${after.arrayBuffers - before.arrayBuffers} bytes of arrays`
  )
  // The allocator may keep some of the 30 MB that each build had; a leak has six times that.
  t.true(after.rss - before.rss < 3 * vectors.byteLength, `${after.rss - before.rss} bytes resident`)
})

test.serial('closed indexes leave no memory behind', async (t) => {
  const dimensions = 128
  const vectors = clustered(20_000, dimensions, 50)
  const path = t.context.folder.path('memory.nlsh')
  const classifier = { hidden: [8], epochs: 1 }
  await (await NeuralLSH.build(vectors, { dimensions, graph: { neighbors: 2 }, classifier })).save(path)
  async function openAndClose() {
    const index = await NeuralLSH.open(path)
    await index.search(vectors.slice(0, dimensions))
    index.close()
    collectGarbage()
    await sleep(20)
  }
  await openAndClose()
  const before = process.memoryUsage().rss
  for (let i = 0; i < 12; i++) await openAndClose()
  t.true(process.memoryUsage().rss - before < 3 * vectors.byteLength, 'one has 10 MB')
})

// -------------------------------------------------------------------------------------------------- worker threads

/** TypeScript in a worker: tsx has to be registered there again. `message` is the first that it posts. */
function startWorker(body: string, workerData: object): { worker: Worker; message: Promise<unknown> } {
  const lib = new URL('../lib/index.ts', import.meta.url).href
  const support = new URL('./support/vectors.ts', import.meta.url).href
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    async function main() {
      const { register } = await import('tsx/esm/api')
      register()
      const { NeuralLSH } = await import(${JSON.stringify(lib)})
      const { clustered } = await import(${JSON.stringify(support)})
      const vectors = clustered(workerData.rows, 16)
      ${body}
    }
    main()`
  const worker = new Worker(code, { eval: true, workerData, execArgv: [] })
  return { worker, message: new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)) }
}

test.serial('worker threads build what the main thread builds, all at once', async (t) => {
  const { folder } = t.context
  const options = { dimensions: 16, bins: 8, classifier: { hidden: [32], epochs: 3 } }
  const workers = [0, 1].map((number) =>
    startWorker(
      `const index = await NeuralLSH.build(vectors, workerData.options)
       await index.save(workerData.path)
       const { ids } = await index.search(vectors.slice(0, 16))
       parentPort.postMessage(Array.from(ids))`,
      { rows: 1000, options, path: folder.path(`worker-${number}`) }
    )
  )
  const index = await NeuralLSH.build(clustered(1000, 16), options)
  await index.save(folder.path('main'))
  const { ids } = await index.search(clustered(1000, 16).slice(0, 16))
  for (const [number, { worker, message }] of workers.entries()) {
    t.deepEqual(await message, Array.from(ids))
    await worker.terminate()
    t.deepEqual(await readFile(folder.path(`worker-${number}`)), await readFile(folder.path('main')))
  }
})

test.serial('a worker may end in the middle of a build', async (t) => {
  const milliseconds = await leastMilliseconds(2000, async () => {
    const { worker, message } = startWorker(
      `const onProgress = ({ stage }) => stage === workerData.stage && parentPort.postMessage(stage)
       await NeuralLSH.build(vectors, { dimensions: 16, classifier: { epochs: 10000 }, onProgress })`,
      { rows: 3000, stage: 'classifier' }
    )
    t.is(await message, 'classifier')
    return millisecondsOf(worker.terminate())
  })
  t.true(milliseconds < 2000, `${milliseconds} ms`)
  const vectors = clustered(100, 4)
  t.is((await exactSearch(vectors, vectors, { dimensions: 4, k: 1 })).ids[99], 99, 'the addon still works')
})

test.serial('a process may exit in the middle of a build', async (t) => {
  const lib = new URL('../lib/index.ts', import.meta.url).href
  const support = new URL('./support/vectors.ts', import.meta.url).href
  const code = `
    import { NeuralLSH } from ${JSON.stringify(lib)}
    import { clustered } from ${JSON.stringify(support)}
    const onProgress = ({ stage }) => stage === 'classifier' && setTimeout(() => process.exit(7), 30)
    await NeuralLSH.build(clustered(3000, 16), { dimensions: 16, classifier: { epochs: 10000 }, onProgress })`
  const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '--eval', code], { stdio: 'inherit' })
  t.deepEqual(await once(child, 'exit'), [7, null])
})
