/** The engine in TypeScript on worker threads: the same results as on one, and no worse manners. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import type { JobOptions, SearchRequest, SearchState } from '../../lib/engines/engine.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { approximateNeighbors } from '../../lib/engines/typescript/knn-graph.js'
import type { Crew, Pool } from '../../lib/engines/typescript/team.js'
import { nodeWorkers } from '../../lib/engines/typescript/threads/node-workers.js'
import { WorkerPool, type WorkerSource } from '../../lib/engines/typescript/threads/pool.js'
import { EngineError } from '../../lib/errors.js'
import { bestDelays, leastMilliseconds, millisecondsOf } from '../support/times.js'
import { clustered, metrics } from '../support/vectors.js'
import { readWords } from '../support/words.js'

/** Two cores, whatever there are: up to four threads. */
const source: WorkerSource = { ...nodeWorkers, cores: 2 }

/** Tells how many threads each job had that asked for some. */
class CountingPool implements Pool {
  readonly gathered: number[] = []
  constructor(private readonly pool: Pool) {}
  get threads() {
    return this.pool.threads
  }
  get worthwhile() {
    return this.pool.worthwhile
  }
  async gather(threads: number): Promise<Crew | undefined> {
    const crew = await this.pool.gather(threads)
    this.gathered.push(crew?.threads ?? 1)
    return crew
  }
}

const pool = new CountingPool(new WorkerPool(source))
const engine = createTypescriptEngine(pool)
const words = readWords(2100)
const exact = { neighbors: 10, method: 'exact', seed: 1 } as const

/** The same from one, two, three and all threads. */
async function isSame<T>(t: import('ava').ExecutionContext, work: (job: JobOptions) => Promise<T>): Promise<T> {
  const before = pool.gathered.length
  const expected = await work({ threads: 1 })
  t.is(pool.gathered.length, before)
  for (const threads of [2, 3, 0]) t.deepEqual(await work({ threads }), expected)
  t.deepEqual(pool.gathered.slice(before), [2, 3, 2])
  return expected
}

const onOrdinaryMemory = (arrays: object) =>
  Object.values(arrays).every((array) => !ArrayBuffer.isView(array) || array.buffer instanceof ArrayBuffer)

for (const metric of metrics) {
  test.serial(`${metric}: the graph and exact search do not depend on threads`, async (t) => {
    const { vectors, dimensions } = await words
    const prepared = await engine.prepareVectors(vectors, dimensions, metric, 'vectors', { threads: 1 })
    const graph = await isSame(t, (job) => engine.knnGraph(prepared, dimensions, metric, exact, job))
    t.true(onOrdinaryMemory(graph))
    const queries = prepared.slice(7 * dimensions, 1300 * dimensions)
    t.true(
      onOrdinaryMemory(await isSame(t, (job) => engine.exactSearch(prepared, queries, dimensions, metric, 5, job)))
    )
  })
}

test.serial('bytes share numbers, and ties come by row number, on any number of threads', async (t) => {
  const vectors = clustered(2000, 130, 30).map((x) => Math.max(0, Math.min(3, Math.round(2 + x))))
  await isSame(t, (job) => engine.knnGraph(vectors, 130, 'euclidean', exact, job))
})

test.serial('k-means does not depend on threads, with bounded bins and without', async (t) => {
  const { vectors, dimensions } = await words
  for (const largest of [undefined, 1.05]) {
    const options = { bins: 60, iterations: 20, seed: 1, largest }
    t.true(onOrdinaryMemory(await isSame(t, (job) => engine.kmeans(vectors, dimensions, options, job))))
  }
})

for (const metric of metrics) {
  test.serial(`${metric}: NN-descent does not depend on threads`, async (t) => {
    const { vectors, dimensions } = await words
    const prepared = await engine.prepareVectors(vectors, dimensions, metric, 'vectors', { threads: 1 })
    const asked = { vectors: prepared, dimensions, metric, neighbors: 10, seed: 1 }
    t.true(onOrdinaryMemory(await isSame(t, (job) => approximateNeighbors(asked, job, pool))))
  })
}

test.serial('similarity graphs and partitions do not depend on threads', async (t) => {
  const { vectors, dimensions } = await words
  const knn = await engine.knnGraph(vectors, dimensions, 'euclidean', { ...exact, neighbors: 3 }, { threads: 1 })
  const work = new CountingPool(new WorkerPool(source, { worthwhile: 0 }))
  const parallel = createTypescriptEngine(work)
  const graph = await engine.similarityGraph(knn, { threads: 1 })
  const options = { bins: 12, mode: 'fastsocial', imbalance: 0.03, seed: 1, seeds: 3 } as const
  const partition = await engine.partition(graph, options, { threads: 1 })
  for (const threads of [2, 3]) {
    const found = await parallel.similarityGraph(knn, { threads })
    t.deepEqual(found, graph)
    t.true(onOrdinaryMemory(found))
    const cut = await parallel.partition(graph, options, { threads })
    t.deepEqual(cut, partition)
    t.true(onOrdinaryMemory(cut))
  }
  t.deepEqual(work.gathered, [2, 2, 3, 3])
  const loop = { ...graph, adjncy: Int32Array.from(graph.adjncy) }
  loop.adjncy[0] = 0
  await t.throwsAsync(() => parallel.partition(loop, options, { threads: 2 }), { code: 'ERR_NLSH_ARGUMENT' })
  const twice = { neighbors: 3, ids: knn.ids.map((id, i) => (i === 3001 ? (knn.ids[3000] as number) : id)) }
  await t.throwsAsync(() => parallel.similarityGraph(twice, { threads: 2 }), {
    code: 'ERR_NLSH_ARGUMENT',
    message: 'knnGraph: row 1000 has a neighbor twice'
  })
})

for (const method of ['itq', 'pca-tree', 'rp-tree', 'kd-tree', 'cross-polytope'] as const) {
  test.serial(`${method}: projections do not depend on threads`, async (t) => {
    const { vectors, dimensions } = await words
    const parallel = createTypescriptEngine(new WorkerPool(source, { worthwhile: 0 }))
    const options = { method, bins: 16, iterations: 5, seed: 1 }
    const expected = await engine.projectionPartition(vectors, dimensions, options, { threads: 1 })
    const found = await parallel.projectionPartition(vectors, dimensions, options, { threads: 2 })
    t.deepEqual(found, expected)
    t.true(onOrdinaryMemory(found))
  })
}

test.serial('codes of four bits do not depend on threads', async (t) => {
  const { vectors, dimensions } = await words
  const labels = Int32Array.from({ length: vectors.length / dimensions }, (_, row) => (row * row) % 7)
  const to = new Float32Array(vectors.length)
  const grouped = await engine.groupIntoBins(labels, 9, { from: vectors, to, dimensions }, { threads: 1 })
  const state = { metric: 'euclidean', dimensions, bins: grouped, vectors: to } as const
  t.true(onOrdinaryMemory(await isSame(t, (job) => engine.encodeFourBits(state, 1, job))))
})

/** An index whose bins are those of a k-means. */
async function opened(queriesBy = createTypescriptEngine(pool)) {
  const { vectors, dimensions } = await words
  const bins = 20
  const { labels, centroids } = await engine.kmeans(
    vectors,
    dimensions,
    { bins, iterations: 5, seed: 1 },
    { threads: 1 }
  )
  const to = new Float32Array(vectors.length)
  const grouped = await engine.groupIntoBins(labels, bins, { from: vectors, to, dimensions }, { threads: 1 })
  const state: SearchState = {
    metric: 'euclidean',
    dimensions,
    vectors: to,
    bins: grouped,
    scan: 'exact',
    classifier: {
      network: { inputShape: [dimensions, 1, 1], layers: [{ type: 'linear', outputs: bins, bias: false }] },
      parameters: centroids,
      buffers: new Float32Array(0),
      input: { unitLength: false, mean: new Float32Array(dimensions), scale: new Float32Array(dimensions).fill(1) },
      temperature: 1
    }
  }
  return { searcher: await queriesBy.openSearcher(state, { threads: 1 }), vectors, dimensions }
}

const request: SearchRequest = { k: 10, probing: { probes: 14 }, reranked: 0 }

test.serial('a batch of searches does not depend on threads; the first query that is none is told', async (t) => {
  const { searcher, vectors, dimensions } = await opened()
  const found = await isSame(t, (job) => searcher.searchBatch(vectors, request, job))
  t.true(onOrdinaryMemory(found))
  t.deepEqual(
    Array.from(found.ids.filter((_, i) => i % 10 === 0)).slice(0, 50),
    Array.from({ length: 50 }, (_, i) => i)
  )
  const spoiled = vectors.slice()
  for (const row of [2050, 1203, 407, 411, 900]) spoiled[row * dimensions + 3] = Number.NaN
  for (const threads of [1, 2, 3]) {
    await t.throwsAsync(() => searcher.searchBatch(spoiled, request, { threads }), {
      code: 'ERR_NLSH_ARGUMENT',
      message: /^queries: row 407, column 3 is NaN/
    })
  }
  const before = pool.gathered.length
  await searcher.searchBatch(vectors.subarray(0, 20 * dimensions), request, { threads: 2 })
  t.is(pool.gathered.length, before, 'a few queries wake no worker')
  searcher.close()
})

test.serial('routes and what lies within a radius do not depend on threads', async (t) => {
  const { searcher, vectors, dimensions } = await opened(
    createTypescriptEngine(new WorkerPool(source, { worthwhile: -1e9 }))
  )
  const { searcher: alone } = await opened(createTypescriptEngine())
  const route = (by: typeof searcher, threads: number) => by.route(vectors, 5, { threads })
  const within = (by: typeof searcher, threads: number) =>
    by.searchRadius(vectors, { radius: 30, probing: request.probing }, 'queries', { threads })
  const [routes, matches] = [await route(alone, 1), await within(alone, 1)]
  t.true(matches.ids.length > (3 * vectors.length) / dimensions)
  for (const threads of [2, 3]) {
    t.deepEqual(await route(searcher, threads), routes)
    t.deepEqual(await within(searcher, threads), matches)
  }
  t.true(onOrdinaryMemory(await route(searcher, 2)))
  t.true(onOrdinaryMemory(await within(searcher, 2)))
  const spoiled = vectors.slice()
  spoiled[7 * dimensions] = Number.NaN
  await t.throwsAsync(
    () => searcher.searchRadius(spoiled, { radius: 1, probing: request.probing }, 'asked', { threads: 2 }),
    {
      message: /^asked: row 7, column 0 is NaN/
    }
  )
  searcher.close()
})

test.serial('progress rises to all there is; what onProgress throws stops the job', async (t) => {
  const { vectors, dimensions } = await words
  const shares: number[] = []
  const onProgress = (done: number, total: number) => shares.push(done / total)
  await engine.knnGraph(vectors, dimensions, 'euclidean', exact, { threads: 2, onProgress })
  t.is(shares.at(-1), 1)
  t.true(shares.length > 2)
  t.deepEqual(
    shares,
    shares.toSorted((a, b) => a - b)
  )
  const thrown = new Error('mine')
  const throwing = { threads: 2, onProgress: () => raise(thrown) }
  t.is(await t.throwsAsync(engine.knnGraph(vectors, dimensions, 'euclidean', exact, throwing)), thrown)
})

function raise(error: Error): never {
  throw error
}

test.serial('an abort in the middle stops all threads within a second, and the pool goes on', async (t) => {
  const vectors = clustered(30_000, 64, 50)
  const reason = new Error('enough')
  const few = vectors.subarray(0, 6000 * 64)
  const graph = await engine.similarityGraph(await engine.knnGraph(few, 64, 'euclidean', exact, { threads: 1 }), {
    threads: 1
  })
  const strong = { bins: 60, mode: 'strongsocial', imbalance: 0.03, seed: 1, seeds: 4 } as const
  const asked = { vectors, dimensions: 64, metric: 'euclidean', neighbors: 10, seed: 1 } as const
  const tree = { method: 'pca-tree', bins: 4096, iterations: 1, seed: 1 } as const
  const jobs: ((job: JobOptions) => Promise<unknown>)[] = [
    (job) => approximateNeighbors(asked, job, pool),
    (job) => engine.partition(graph, strong, job),
    (job) => engine.projectionPartition(vectors, 64, tree, job),
    (job) => engine.knnGraph(vectors, 64, 'euclidean', exact, job),
    (job) => engine.exactSearch(vectors, vectors, 64, 'euclidean', 10, job),
    (job) => engine.kmeans(vectors, 64, { bins: 200, iterations: 1000, seed: 1 }, job)
  ]
  for (const start of jobs) {
    const milliseconds = await leastMilliseconds(1000, async () => {
      const controller = new AbortController()
      const running = start({ threads: 2, signal: controller.signal })
      await new Promise((resolve) => setTimeout(resolve, 300))
      controller.abort(reason)
      return millisecondsOf(t.throwsAsync(running, { is: reason }))
    })
    t.true(milliseconds < 1000, `${milliseconds} ms`)
    t.is(pool.gathered.at(-1), 2)
  }
  const late = engine.knnGraph(vectors, 64, 'euclidean', exact, { threads: 2, signal: AbortSignal.abort(reason) })
  t.is(await t.throwsAsync(late), reason)
  await isSame(t, (job) => engine.knnGraph(vectors.subarray(0, 3000 * 64), 64, 'euclidean', exact, job))
})

test.serial('the event loop is free while threads compute', async (t) => {
  const vectors = clustered(8000, 64, 50)
  const late = await bestDelays(() => engine.knnGraph(vectors, 64, 'euclidean', exact, { threads: 2 }))
  t.true(late.length > 20, `${late.length} ticks: too short a work to tell`)
  t.true((late.at(-1) ?? 0) < 100, `${late.at(-1)} ms late`)
})

test.serial('a job that comes while threads are busy does without them', async (t) => {
  const { vectors, dimensions } = await words
  const graph = () => engine.knnGraph(vectors, dimensions, 'euclidean', exact, { threads: 2 })
  const before = pool.gathered.length
  const [one, other] = await Promise.all([graph(), graph()])
  t.deepEqual(other, one)
  t.deepEqual(pool.gathered.slice(before).sort(), [1, 2])
})

test.serial('jobs of any size, aborted or not, use the same memory; idle workers end, and start again', async (t) => {
  const workers: Worker[] = []
  const start = () => {
    const worker = source.start()
    workers.push(worker)
    return worker
  }
  const engine = createTypescriptEngine(new WorkerPool({ cores: 2, start }, { worthwhile: 0, longestIdle: 500 }))
  const vectors = clustered(30_000, 64, 50)
  async function stopped(rows: number) {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 60)
    const job = { threads: 2, signal: controller.signal }
    const graph = engine.knnGraph(vectors.subarray(0, rows * 64), 64, 'euclidean', exact, job)
    await t.throwsAsync(graph, { any: true, name: 'AbortError' })
  }
  const sizes = [30_000, 20_000, 29_000, 25_000]
  for (const rows of sizes) await stopped(rows)
  const before = process.memoryUsage().arrayBuffers
  for (const rows of [...sizes, ...sizes]) await stopped(rows)
  const grown = process.memoryUsage().arrayBuffers - before
  t.true(grown < vectors.byteLength, `${grown} bytes more`)
  t.is(workers.length, 2)
  const alive = setInterval(() => {}, 100) // as nothing else here keeps the process
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))))
  clearInterval(alive)
  const few = { ...exact, neighbors: 3 }
  const graph = (threads: number) => engine.knnGraph(vectors.subarray(0, 640), 64, 'euclidean', few, { threads })
  t.deepEqual(await graph(2), await graph(1))
  t.is(workers.length, 4)
})

// ----------------------------------------------------------------------------------------- where something goes wrong

const notThere = (start: () => Worker): WorkerSource => ({ cores: 2, start })

for (const [name, start] of [
  ['the constructor throws', () => raise(new Error('no threads here'))],
  ['the file is not there', () => new Worker(new URL('./no-such-file.js', import.meta.url))],
  ['they end at once', () => new Worker('process.exit(3)', { eval: true, execArgv: [] })]
] as const) {
  test.serial(`where workers cannot start, as ${name}, the event loop's turns do the work`, async (t) => {
    const lonely = createTypescriptEngine(new WorkerPool(notThere(start)))
    t.is(lonely.hardwareThreads, 2)
    t.regex(lonely.description, /, 2 threads\b/)
    const { vectors, dimensions } = await words
    const graph = (threads: number) => lonely.knnGraph(vectors, dimensions, 'euclidean', exact, { threads })
    t.deepEqual(await graph(2), await graph(1))
    t.is(lonely.hardwareThreads, 1)
    t.regex(lonely.description, /, 1 thread\b/)
    t.deepEqual(await graph(0), await graph(1))
  })
}

/** Workers that say that they are ready and then do this with an order. */
const doing = (body: string) => () =>
  new Worker(
    `const { parentPort } = require('node:worker_threads')
     parentPort.on('message', (order) => { ${body} })
     parentPort.postMessage({ type: 'ready' })`,
    { eval: true, execArgv: [] }
  )

for (const [name, body, message] of [
  ['throws', "throw new Error('broken')", /worker thread .* failed: broken; threads: 1 does without/],
  ['ends', 'process.exit()', /worker thread .* failed: it ended/],
  [
    'fails in a task',
    "parentPort.postMessage({ type: 'failed', part: 0, failure: { error: new TypeError('wrong') } })",
    /worker thread .* failed: wrong/
  ]
] as const) {
  test.serial(`a worker that ${name} is an EngineError, and the next job has another`, async (t) => {
    let isBroken = true
    const engine = createTypescriptEngine(
      new WorkerPool({ cores: 2, start: () => (isBroken ? doing(body)() : source.start()) })
    )
    const { vectors, dimensions } = await words
    const graph = (threads: number) => engine.knnGraph(vectors, dimensions, 'euclidean', exact, { threads })
    await t.throwsAsync(graph(2), { instanceOf: EngineError, code: 'ERR_NLSH_ENGINE', message })
    if (name === 'fails in a task') return
    isBroken = false
    t.deepEqual(await graph(2), await graph(1))
  })
}

test.serial('what is installed has its workers, which let the process end', async (t) => {
  const dist = (path: string) => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href)
  const program = `
    import { buildKnnGraph } from ${dist('index.js')}
    import { nodeWorkers } from ${dist('engines/typescript/threads/node-workers.js')}
    let started = 0
    const { start } = nodeWorkers
    nodeWorkers.cores = 2
    nodeWorkers.start = () => { started++; return start() }
    const vectors = Float32Array.from({ length: 3000 * 64 }, (_, i) => Math.sin(i * i))
    const options = { dimensions: 64, neighbors: 5, engine: 'typescript' }
    const [one, two] = [await buildKnnGraph(vectors, { ...options, threads: 1 }), await buildKnnGraph(vectors, options)]
    console.log(started, one.ids.every((id, i) => id === two.ids[i]))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    timeout: 60_000
  })
  t.is(stdout, '2 true\n')
})
