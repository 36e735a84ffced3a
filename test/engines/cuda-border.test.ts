/** The way from TypeScript through the addon to the table of native/cuda/interface.h and back, over a library that needs
 * no GPU (test/support/fake-cuda.c). Serial: what the library does wrong is told by the environment. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { createCudaEngine } from '../../lib/engines/cuda.js'
import type { Engine, Searcher, SearchState } from '../../lib/engines/engine.js'
import { createNativeEngine, loadAddon, run } from '../../lib/engines/native.js'
import { selectEngine } from '../../lib/engines/select.js'
import { ArgumentError, ClosedError, EngineError } from '../../lib/errors.js'
import { type BuildOptions, buildKnnGraph, type KnnGraphOptions, NeuralLSH } from '../../lib/index.js'
import { fakeCuda, withEnvironment } from '../support/fake-cuda.js'
import { bestDelays, leastMilliseconds, millisecondsOf } from '../support/times.js'
import { clustered, integers, metrics } from '../support/vectors.js'
import { nearest } from './brute-force.js'
import { randomState } from './cuda-checks.js'

const folder = fakeCuda()
process.env.NEURAL_LSH_CUDA_LIBRARY = folder
const native = createNativeEngine()
const engine = await createCudaEngine({ device: 0 })
const job = { threads: 1 }
const exact = (neighbors: number) => ({ neighbors, method: 'exact', seed: 1 }) as const
const failing = <T>(failure: string, body: () => Promise<T>) => withEnvironment({ FAKE_CUDA_FAILS: failure }, body)
const pausing = <T>(body: () => Promise<T>) => withEnvironment({ FAKE_CUDA_PAUSE: '2000' }, body)

/** The statuses of native/cuda/interface.h. */
const status = { cancelled: 1, badArgument: 2, outOfMemory: 3, failed: 4, deviceLost: 5 }

test.serial('the engine says what it computes on', async (t) => {
  t.is(engine.name, 'cuda')
  t.is(engine.description, `cuda (Fake GPU 0, CUDA 13.0, cuBLAS 13.0.2, cuDNN 9.13.0; ${native.description})`)
  t.is(engine.hardwareThreads, native.hardwareThreads)
  t.regex((await createCudaEngine({ device: 1 })).description, /Fake GPU 1/)
  const { devices, device, versions, path } = await run(loadAddon().openCuda, { ...places(), device: 1 }, job)
  t.is(devices, 2)
  t.deepEqual(device, {
    name: 'Fake GPU 1',
    computeCapability: '9.0',
    multiprocessors: 132,
    totalBytes: 1e9,
    freeBytes: 1e9
  })
  t.deepEqual(versions, { driver: 13000, runtime: 13000, cublas: 130002, cudnn: 91300 })
  t.is(path, `${folder}/neural_lsh_cuda.so`)
})

const places = () => ({ libraries: [`${folder}/neural_lsh_cuda.so`], folders: [], device: 0 })

async function bytesUsed(): Promise<number> {
  const { device } = await run(loadAddon().openCuda, places(), job)
  return 1e9 - (device?.freeBytes ?? 0)
}

// ------------------------------------------------------------------------------------------------------ neighbors

for (const metric of metrics) {
  test.serial(`the exact graph and exact search are those of plain loops: ${metric}`, async (t) => {
    const [rows, dimensions, k] = [120, 7, 9]
    const raw = metric === 'cosine' ? clustered(rows, dimensions) : integers(rows, dimensions)
    const vectors = await engine.prepareVectors(raw, dimensions, metric, 'vectors', job)
    const queries = vectors.slice(0, 20 * dimensions).reverse()
    const graph = await engine.knnGraph(vectors, dimensions, metric, exact(k), job)
    const found = await engine.exactSearch(vectors, queries, dimensions, metric, k, job)
    t.is(graph.neighbors, k)
    for (let i = 0; i < rows; i++)
      t.deepEqual(
        [...graph.ids.subarray(i * k, (i + 1) * k)],
        nearest(metric, vectors, vectors, i, dimensions, k, i).map(({ id }) => id)
      )
    for (let i = 0; i < 20; i++) {
      const expected = nearest(metric, vectors, queries, i, dimensions, k)
      t.deepEqual(
        [...found.ids.subarray(i * k, (i + 1) * k)],
        expected.map(({ id }) => id)
      )
      t.deepEqual(
        [...found.distances.subarray(i * k, (i + 1) * k)],
        expected.map(({ distance }) => Math.fround(distance))
      )
    }
  })
}

test.serial('without queries there is nothing to find', async (t) => {
  const vectors = integers(10, 2)
  const { ids } = await engine.exactSearch(vectors, new Float32Array(0), 2, 'euclidean', 3, job)
  t.is(ids.length, 0, 'not the graph, which is asked for by the absence of queries')
})

test.serial('an approximate graph is exact as long as that is quick', async (t) => {
  const vectors = integers(300, 5)
  const options = { neighbors: 4, method: 'approximate', seed: 1 } as const
  const [approximate, whole] = [
    await engine.knnGraph(vectors, 5, 'euclidean', options, job),
    await engine.knnGraph(vectors, 5, 'euclidean', exact(4), job)
  ]
  t.deepEqual(approximate, whole)
})

test.serial('progress comes through, and an abort gets in', async (t) => {
  const vectors = integers(200, 3)
  const seen: number[] = []
  await engine.knnGraph(vectors, 3, 'euclidean', exact(2), { ...job, onProgress: (done) => seen.push(done) })
  t.is(seen.at(-1), 200)
  await pausing(async () => {
    const milliseconds = await leastMilliseconds(300, () => {
      const stop = new AbortController()
      const onProgress = (done: number) => done > 3 && stop.abort(new Error('enough'))
      const running = engine.knnGraph(vectors, 3, 'euclidean', exact(2), { ...job, signal: stop.signal, onProgress })
      return millisecondsOf(t.throwsAsync(running, { message: 'enough' }))
    })
    t.true(milliseconds < 300, `${milliseconds} ms, all of it would take 400`)
  })
})

test.serial('the event loop is free while the device works', async (t) => {
  await pausing(async () => {
    const late = await bestDelays(() => engine.knnGraph(integers(60, 3), 3, 'euclidean', exact(2), job))
    t.true(late.length >= 4 && (late.at(-1) ?? 0) < 60, `ticks late by ${late} ms in 120 ms`)
  })
})

test.serial('a wrong argument of the library, and a device that is full even of small tiles, are errors', async (t) => {
  const find = () => engine.knnGraph(integers(20, 3), 3, 'euclidean', exact(2), job)
  const search = () => engine.exactSearch(integers(20, 3), integers(2, 3), 3, 'euclidean', 2, job)
  for (const call of [find, search]) {
    const fails = (code: number) => failing(`find_neighbors ${code}`, () => t.throwsAsync(call))
    const argument = await fails(status.badArgument)
    t.true(argument instanceof ArgumentError && argument.argument === 'find_neighbors')
    const full = await fails(status.outOfMemory)
    t.true(full instanceof EngineError)
    t.is((full as EngineError).code, 'ERR_NLSH_ENGINE')
    t.regex(full?.message ?? '', /not enough memory: cudaErrorOfTest in find_neighbors/)
    await t.notThrowsAsync(call)
  }
})

test.serial(
  'where the device is lost or a library fails, the CPU finds the neighbors, and one warning says so',
  async (t) => {
    const vectors = integers(40, 3)
    const expected = await native.knnGraph(vectors, 3, 'euclidean', exact(2), job)
    const searched = await native.exactSearch(vectors, vectors, 3, 'euclidean', 2, job)
    const warnings = await warningsOf(async () => {
      for (const code of [status.deviceLost, status.failed, 99]) {
        await failing(`find_neighbors ${code}`, async () => {
          t.deepEqual(await engine.knnGraph(vectors, 3, 'euclidean', exact(2), job), expected, `${code}`)
          t.deepEqual(await engine.exactSearch(vectors, vectors, 3, 'euclidean', 2, job), searched, `${code}`)
        })
      }
    })
    t.deepEqual(warnings, [
      'Finding neighbors on the CPU: the device answers no more: cudaErrorOfTest in find_neighbors'
    ])
  }
)

/** What was warned of meanwhile. */
async function warningsOf(body: () => Promise<void>): Promise<string[]> {
  const messages: string[] = []
  const listen = (warning: Error & { code?: string }) => {
    if (warning.code === 'NEURAL_LSH_FALLBACK') messages.push(warning.message)
  }
  process.on('warning', listen)
  await body()
  await setTimeout(1)
  process.off('warning', listen)
  return messages
}

test.serial('the products are as precise as is asked for', async (t) => {
  const vectors = integers(20, 3)
  for (const [number, precision] of ['fp32', 'tf32', 'bf16', 'fp16'].entries()) {
    await withEnvironment({ FAKE_CUDA_PRECISION: `${number}` }, async () => {
      const options = { dimensions: 3, neighbors: 2, engine: 'cuda', precision } as KnnGraphOptions
      await t.notThrowsAsync(buildKnnGraph(vectors, options))
      const classifier = { epochs: 1, hidden: [], softLabels: 0 }
      const build = { dimensions: 3, bins: 2, engine: 'cuda', graph: { precision }, classifier } as BuildOptions
      for (const partition of [{ method: 'kahip' }, { method: 'regression-lsh' }] as const)
        await t.notThrowsAsync(NeuralLSH.build(vectors, { ...build, partition }))
      const other = precision === 'fp32' ? 'tf32' : 'fp32'
      const error = await t.throwsAsync(buildKnnGraph(vectors, { ...options, precision: other }))
      t.true(error instanceof ArgumentError)
    })
  }
  await withEnvironment({ FAKE_CUDA_PRECISION: '3' }, () =>
    t.notThrowsAsync(buildKnnGraph(vectors, { dimensions: 3, engine: 'cuda' }))
  )
  const graphs = (['fp32', 'bf16'] as const).map((precision) =>
    buildKnnGraph(vectors, { dimensions: 3, engine: 'native', precision })
  )
  t.deepEqual(await graphs[0], await graphs[1], 'the CPU does not look at it')
})

test.serial('bad arguments are refused before the library is asked', async (t) => {
  const addon = loadAddon()
  const { library } = await run(addon.openCuda, places(), job)
  const vectors = integers(20, 3)
  const good = { library, device: 0, precision: 'tf32', metric: 'euclidean', dimensions: 3, vectors, k: 2 }
  await failing(`find_neighbors ${status.failed}`, async () => {
    for (const [argument, value] of Object.entries({
      device: 2,
      precision: 'fp8',
      metric: 'manhattan',
      dimensions: 0,
      vectors: new Float32Array(4),
      queries: new Float64Array(3),
      k: 20
    })) {
      const error = await t.throwsAsync(() => run(addon.cudaFindNeighbors, { ...good, [argument]: value }, job))
      t.true(error instanceof ArgumentError, `${argument}: ${error}`)
      const named = argument === 'dimensions' ? 'vectors' : argument
      t.is((error as ArgumentError).argument, named)
    }
  })
})

// ------------------------------------------------------------------------------------------------------- searches

test.serial('queries are judged as they are on the CPU', async (t) => {
  const state = await randomState({ metric: 'cosine' })
  const device = await engine.openSearcher(state, job)
  const cpu = await native.openSearcher(state, job)
  const good = clustered(3, 6)
  for (const change of [
    (queries: Float32Array) => queries.fill(0, 6, 12),
    (queries: Float32Array) => queries.fill(Number.NaN, 7, 8),
    (queries: Float32Array) => queries.fill(3e38, 12)
  ]) {
    const queries = good.slice()
    change(queries)
    const errors = []
    for (const searcher of [device, cpu])
      errors.push(await t.throwsAsync(searcher.searchBatch(queries, asks, job), { instanceOf: ArgumentError }))
    t.is(errors[0]?.message, errors[1]?.message)
  }
  t.is((await device.searchBatch(new Float32Array(0), asks, job)).ids.length, 0)
  device.close()
  cpu.close()
})

const asks = { k: 5, probing: { probes: 4 }, reranked: 0 } as const

test.serial('codes are not asked: the device compares exactly', async (t) => {
  const state = await randomState()
  const codes = await native.encodeFourBits(state, 1, job)
  const [plain, coded] = [
    await engine.openSearcher(state, job),
    await engine.openSearcher({ ...state, scan: 'pq4', codes }, job)
  ]
  const queries = clustered(30, 6, 16, 5)
  const few = { k: 5, probing: { probes: 12 }, reranked: 5 }
  t.false(coded.usesCodes)
  t.deepEqual(await coded.searchBatch(queries, few, job), await plain.searchBatch(queries, few, job))
  for (const searcher of [plain, coded]) searcher.close()
})

test.serial('what is no batch is answered by the CPU, as are routers of other kinds', async (t) => {
  const state = await randomState()
  const other: SearchState = {
    ...state,
    classifier: {
      ...state.classifier,
      network: { ...state.classifier.network, layers: [...state.classifier.network.layers, { type: 'tanh' }] }
    }
  }
  const [device, tanh, cpu] = [
    await engine.openSearcher(state, job),
    await engine.openSearcher(other, job),
    await native.openSearcher(other, job)
  ]
  const queries = clustered(30, 6, 16, 5)
  await failing(`search ${status.badArgument}`, async () => {
    t.deepEqual(await tanh.searchBatch(queries, asks, job), await cpu.searchBatch(queries, asks, job))
    const query = queries.subarray(0, 6)
    t.deepEqual(device.searchSync(query, asks), await device.search(query, asks))
    t.is((await device.route(queries, 3, job)).bins.length, 90)
    t.is((await device.searchTimed(queries, asks, job)).seconds.length, 30)
    const within = { radius: 1, probing: asks.probing }
    t.is((await device.searchRadius(queries, within, 'queries', job)).offsets.length, 31)
    await t.throwsAsync(device.searchBatch(queries, asks, job), { instanceOf: ArgumentError })
  })
  for (const searcher of [device, tanh, cpu]) searcher.close()
})

test.serial('where the device is lost or full or fails, the CPU answers, and one warning says so', async (t) => {
  const state = await randomState()
  const [device, cpu] = [await engine.openSearcher(state, job), await native.openSearcher(state, job)]
  const queries = clustered(30, 6, 16, 5)
  const expected = await cpu.searchBatch(queries, asks, job)
  const warnings = await warningsOf(async () => {
    for (const code of [status.outOfMemory, status.deviceLost, status.failed]) {
      await failing(`search ${code}`, async () =>
        t.deepEqual(await device.searchBatch(queries, asks, job), expected, `${code}`)
      )
      await failing(`open_index ${code}`, async () => {
        const searcher = await engine.openSearcher(state, job)
        t.deepEqual(await searcher.searchBatch(queries, asks, job), expected)
        searcher.close()
      })
    }
  })
  t.deepEqual(warnings, ['Searching on the CPU: the device has not enough memory: cudaErrorOfTest in search'])
  await failing(`open_index ${status.badArgument}`, () =>
    t.throwsAsync(engine.openSearcher(state, job), { instanceOf: ArgumentError })
  )
  for (const searcher of [device, cpu]) searcher.close()
})

test.serial('a batch is stopped, and one that runs ends before the index is closed', async (t) => {
  const searcher = await engine.openSearcher(await randomState(), job)
  const queries = clustered(100, 6, 16, 5)
  await pausing(async () => {
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('enough'))
    const stopped = searcher.searchBatch(queries, asks, { ...job, signal: stop.signal, onProgress })
    await t.throwsAsync(stopped, { message: 'enough' })
    const running = searcher.searchBatch(queries, asks, job)
    searcher.close()
    searcher.close()
    t.is((await running).ids.length, 500)
    await t.throwsAsync(searcher.searchBatch(queries, asks, job), { instanceOf: ClosedError })
  })
})

test.serial('the memory of many indexes is freed by closing them, and by the garbage collector', async (t) => {
  const state = await randomState()
  const bytes = state.vectors.length * 4
  const collect = exposeCollector()
  const isFreed = () => {
    collect()
    return bytesUsed().then((used) => used === 0)
  }
  await until(isFreed)
  let searchers: Searcher[] = []
  for (let i = 0; i < 6; i++) searchers.push(await engine.openSearcher(state, job))
  const queries = clustered(5, 6)
  const found = await Promise.all(searchers.map((searcher) => searcher.searchBatch(queries, asks, job)))
  for (const one of found) t.deepEqual(one, found[0])
  t.is(await bytesUsed(), 6 * bytes)
  for (const searcher of searchers.slice(0, 4)) searcher.close()
  await until(async () => (await bytesUsed()) === 2 * bytes)
  searchers = []
  await until(isFreed)
  t.is(await bytesUsed(), 0)
})

test.serial('memory is freed, closed or forgotten, while the event loop goes on', async (t) => {
  const state = await randomState()
  const collect = exposeCollector()
  const isFreed = async () => (await bytesUsed()) === 0
  await until(isFreed)
  for (const letGo of [(searcher: Searcher) => searcher.close(), () => undefined]) {
    const late = await bestDelays(async () => {
      letGo(await engine.openSearcher(state, job))
      await withEnvironment({ FAKE_CUDA_PAUSE: '600000' }, async () => {
        t.false(await isFreed())
        collect()
        await until(isFreed)
        t.true(await isFreed())
      })
    }, 450)
    t.true((late.at(-1) ?? 0) < 450, `the event loop stood still for ${late.at(-1)} ms, freeing takes 600`)
  }
})

for (const [what, closes] of [
  ['open', false],
  ['closed', true]
] as const) {
  test.serial(`a worker thread that ends with an index just ${what} leaves nothing on the device`, async (t) => {
    const { classifier, bins, ...rest } = await randomState()
    const { input, parameters, temperature } = classifier
    const router = { widths: [6, 12], hasBias: [1], parameters, ...input, temperature }
    const request = { device: 0, ...rest, ...bins, router }
    const search = { queries: clustered(200, 6), k: 5, probes: 4 }
    const root = fileURLToPath(new URL('../..', import.meta.url))
    await withEnvironment({ FAKE_CUDA_PAUSE: '20000' }, async () => {
      const worker = new Worker(
        `const { workerData, parentPort } = require('node:worker_threads')
        const { root, places, request, search, closes } = workerData
        const addon = require(root + '/node_modules/node-gyp-build')(root)
        const options = { threads: 1 }
        addon.openCuda(places, options).promise.then(async ({ library }) => {
          const { handle } = await addon.openCudaIndex({ library, ...request }, options).promise
          const index = new addon.CudaIndex(handle)
          index.search(search, options).promise.catch(() => {})
          if (closes) index.close()
          parentPort.postMessage('ready')
        })`,
        { eval: true, execArgv: [], workerData: { root, places: places(), request, search, closes } }
      )
      await once(worker, 'message')
      t.true((await bytesUsed()) > 0)
      await worker.terminate()
    })
    t.is(await bytesUsed(), 0)
  })
}

test.serial('several indexes answer several threads at once', async (t) => {
  const states = await Promise.all([{ rows: 300 }, { rows: 500, asBytes: true }].map(randomState))
  const queries = clustered(40, 6, 16, 5)
  const searchers = await Promise.all(states.map((state) => engine.openSearcher(state, job)))
  const alone = []
  for (const searcher of searchers) alone.push(await searcher.searchBatch(queries, asks, job))
  const together = await Promise.all(
    Array.from({ length: 8 }, (_, i) => searchers[i % 2]?.searchBatch(queries, asks, job))
  )
  for (const [i, found] of together.entries()) t.deepEqual(found, alone[i % 2])
  for (const searcher of searchers) searcher.close()
})

function exposeCollector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200 && !(await holds()); i++) await setTimeout(10)
}

test.serial('an index and a device that do not fit are refused', async (t) => {
  const addon = loadAddon()
  const { library } = await run(addon.openCuda, places(), job)
  const { classifier, bins, ...rest } = await randomState({ rows: 50 })
  const { input, parameters, temperature } = classifier
  const router = { widths: [6, 12], hasBias: [1], parameters, ...input, temperature }
  const good = { library, device: 0, ...rest, ...bins, router }
  await t.notThrowsAsync(run(addon.openCudaIndex, good, job))
  for (const [argument, change] of [
    ['device', { device: 7 }],
    ['bins.ids', { ids: bins.ids.slice(1) }],
    ['bins.ids', { ids: bins.ids.map(() => 3) }],
    ['bins.offsets', { offsets: bins.offsets.map((offset) => offset + 1) }],
    ['router', { router: undefined }],
    ['router.widths', { router: { ...router, widths: [6, 11] } }],
    ['router.widths', { router: { ...router, widths: [5, 12] } }],
    ['router.hasBias', { router: { ...router, hasBias: [] } }],
    ['router.mean', { router: { ...router, mean: new Float32Array(5) } }],
    ['router.parameters', { router: { ...router, parameters: parameters.slice(1) } }],
    ['router.parameters', { router: { ...router, hasBias: [0] } }]
  ] as const) {
    const error = await t.throwsAsync(() => run(addon.openCudaIndex, { ...good, ...change }, job))
    t.is((error as ArgumentError).argument, argument)
  }
})

// --------------------------------------------------------------------------------------------------- whole indexes

test.serial('an index is built and searched with engine: cuda', async (t) => {
  const [rows, dimensions, k] = [600, 8, 5]
  const vectors = clustered(rows, dimensions)
  const options = { dimensions, bins: 8, engine: 'cuda', classifier: { epochs: 2 }, threads: 1 } as const
  const index = await NeuralLSH.build(vectors, options)
  t.is(index.engine, 'cuda')
  const queries = clustered(20, dimensions, 16, 7)
  const { ids } = await index.searchBatch(queries, { k, probes: 8 })
  for (let i = 0; i < 20; i++)
    t.deepEqual(
      [...ids.subarray(i * k, (i + 1) * k)],
      nearest('euclidean', vectors, queries, i, dimensions, k).map(({ id }) => id)
    )
  index.close()
  await t.throwsAsync(NeuralLSH.build(vectors, { ...options, device: 2 }), {
    instanceOf: ArgumentError,
    message: 'device: must be below 2, the devices here, but is 2'
  })
  await t.throwsAsync(NeuralLSH.build(vectors, { ...options, device: -1 }), { instanceOf: ArgumentError })
})

test.serial('the engine is made once a device, by name or by the environment variable, never by auto', async (t) => {
  const selected: Engine = await selectEngine('cuda')
  t.is(selected, await selectEngine('cuda', 0))
  t.not(selected, await selectEngine('cuda', 1))
  t.is((await selectEngine('auto')).name, 'native')
  await withEnvironment({ NEURAL_LSH_ENGINE: 'cuda' }, async () => t.is(await selectEngine('auto'), selected))
})
