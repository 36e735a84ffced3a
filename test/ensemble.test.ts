import { getEventListeners } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import anyTest, { type TestFn } from 'ava'
import { writeEnsembleFile } from '../lib/formats/ensemble-file.js'
import {
  ClosedError,
  Ensemble,
  type EnsembleBuildOptions,
  type EnsembleProgress,
  FileError,
  NeuralLSH,
  type SearchOptions,
  type SearchResult
} from '../lib/index.js'
import { learnMergedRecall, singleRecallFor } from '../lib/stages/merged-recall.js'
import { type TemporaryFolder, temporaryFolder } from './formats/temporary-folder.js'
import { recallOf, words } from './support/recall.js'
import { rejectsArgument } from './support/rejection.js'
import { clustered, findFault, integers, metrics, ranking } from './support/vectors.js'

const dimensions = 12
const rows = 1500
/** Groups that overlap, so that every partition parts some neighbors. */
const vectors = clustered(rows, dimensions, 16, 1, 1.5)
const count = 50
const queries = clustered(count, dimensions, 16, 2, 1.5)
const query = queries.slice(0, dimensions)
const queryRow = (row: number) => queries.slice(row * dimensions, (row + 1) * dimensions)
const small = { dimensions, bins: 16, classifier: { hidden: [32], epochs: 4 } } satisfies EnsembleBuildOptions
const quick = { dimensions, bins: 16, method: 'kmeans' } satisfies EnsembleBuildOptions

const test = anyTest as TestFn<{ ensemble: Ensemble; folder: TemporaryFolder; saved: string }>

test.before(async (t) => {
  const folder = temporaryFolder()
  const ensemble = await Ensemble.build(vectors, { ...small, partitions: 3, seed: 7 })
  const saved = folder.path('saved')
  await ensemble.save(saved)
  t.context = { ensemble, folder, saved }
})

test.after.always((t) => t.context.folder.remove())

// ------------------------------------------------------------------------------------------------------ what it is

test('an ensemble tells what it is: indexes of the same vectors, each with a seed of its own', async (t) => {
  const { ensemble } = t.context
  t.like(ensemble, { size: rows, dimensions, bins: 16, metric: 'euclidean' })
  t.deepEqual(
    ensemble.partitions.map(({ options }) => options.seed),
    [7, 8, 9]
  )
  const alone = await NeuralLSH.build(vectors, { ...small, seed: 8 })
  t.deepEqual(ensemble.partitions[1]?.report.history, alone.report.history)
  t.deepEqual(await ensemble.partitions[1]?.searchBatch(queries), await alone.searchBatch(queries))
  t.not(ensemble.partitions[0]?.report.edgeCut, ensemble.partitions[1]?.report.edgeCut)
  t.deepEqual(ensemble.vector(777), vectors.slice(777 * dimensions, 778 * dimensions))
})

test('there are two partitions unless more are asked for', async (t) => {
  t.is((await Ensemble.build(vectors, quick)).partitions.length, 2)
})

// ---------------------------------------------------------------------------------------------------------- search

/** The k nearest of the answers, and the sums. */
function mergeByForce(answers: SearchResult[], k: number) {
  const all = answers.flatMap(({ ids, distances }) =>
    Array.from(ids, (id, i) => ({ id, distance: distances[i] as number }))
  )
  all.sort((a, b) => a.distance - b.distance || a.id - b.id)
  const nearest = all.filter(({ id }, i) => all.findIndex((other) => other.id === id) === i).slice(0, k)
  return {
    ids: Int32Array.from(nearest, ({ id }) => id),
    distances: Float32Array.from(nearest, ({ distance }) => distance),
    candidates: answers.reduce((sum, { candidates }) => sum + candidates, 0),
    probes: answers.reduce((sum, { probes }) => sum + probes, 0)
  }
}

const asked: SearchOptions[] = [{ k: 7, probes: 2 }, { k: 5, mass: 0.6 }, { probes: 1 }, { k: 300, probes: 1 }]

test("merged answers are what brute force makes of the indexes' answers", async (t) => {
  const { ensemble } = t.context
  for (const options of asked) {
    const k = options.k ?? 10
    const batch = await ensemble.searchBatch(queries, options)
    t.is(batch.k, k)
    t.is(batch.ids.length, count * k)
    for (let row = 0; row < count; row++) {
      const answers = ensemble.partitions.map((index) => index.searchSync(queryRow(row), options))
      const right = mergeByForce(answers, k)
      const range = [row * k, (row + 1) * k] as const
      t.deepEqual(await ensemble.search(queryRow(row), options), right)
      t.deepEqual(ensemble.searchSync(queryRow(row), options), right)
      t.deepEqual(batch.ids.slice(...range), right.ids)
      t.deepEqual(batch.distances.slice(...range), right.distances)
      t.is(batch.candidates[row], right.candidates)
      t.is(batch.probes[row], right.probes)
    }
  }
})

for (const metric of metrics) {
  test(`${metric}: with every bin read, each vector comes once, where it belongs`, async (t) => {
    const ensemble = await Ensemble.build(vectors, { ...quick, metric })
    for (let row = 0; row < count; row++) {
      const { ids, distances, candidates } = await ensemble.search(queryRow(row), { k: 40, probes: 16 })
      t.is(findFault(ids, distances, ranking(vectors, queries, row, dimensions, metric), 1e-4), undefined)
      t.is(candidates, 2 * rows, 'each index has compared all')
    }
  })
}

test('equal distances come by row number, whichever index found them', async (t) => {
  const points = integers(400, 3)
  const ensemble = await Ensemble.build(points, { dimensions: 3, bins: 8, method: 'kmeans', partitions: 3 })
  for (let row = 0; row < 20; row++) {
    const point = points.slice(row * 3, row * 3 + 3)
    for (const options of [
      { k: 50, probes: 8 },
      { k: 20, probes: 1 }
    ]) {
      const answers = ensemble.partitions.map((index) => index.searchSync(point, options))
      t.deepEqual(ensemble.searchSync(point, options), mergeByForce(answers, options.k))
    }
    const all = ensemble.searchSync(point, { k: 50, probes: 8 })
    const right = ranking(points, points, row, 3, 'euclidean').slice(0, 50)
    t.deepEqual(
      Array.from(all.ids),
      right.map(({ id }) => id)
    )
  }
})

test('an ensemble finds what any of its indexes finds, and more than each', async (t) => {
  const { ensemble } = t.context
  const set = { base: vectors, queries, dimensions }
  for (const probes of [1, 2, 4]) {
    const together = await recallOf(ensemble, set, { probes })
    for (const index of ensemble.partitions) {
      const alone = await recallOf(index, set, { probes })
      t.true(together > alone, `${probes} probes: ${together}, but ${alone}`)
    }
  }
})

test('a query may be changed right after search was called', async (t) => {
  const { ensemble } = t.context
  const own = query.slice()
  const promise = ensemble.search(own)
  own.fill(100)
  t.deepEqual(await promise, ensemble.searchSync(query))
})

test('vectors that are all alike, and only two of them', async (t) => {
  for (const size of [2, 40]) {
    const same = new Float32Array(size * 4).fill(0.5)
    const ensemble = await Ensemble.build(same, { dimensions: 4, bins: 2, method: 'kmeans' })
    t.deepEqual(Array.from(ensemble.searchSync(same.slice(0, 4), { k: size }).ids), [...Array(size).keys()])
  }
})

// ---------------------------------------------------------------------------------------------------------- recall

const trained = { bins: 64, graph: { neighbors: 20 }, classifier: { epochs: 20 } }
const recallCases: [string, Omit<EnsembleBuildOptions, 'dimensions'>][] = [
  ['two partitions with a router that knows the words by heart', trained],
  ['four partitions by k-means, compared by codes', { bins: 64, method: 'kmeans', partitions: 4, scan: 'pq4' }]
]
for (const [what, options] of recallCases) {
  test.serial(`recall .95 on word vectors: ${what}`, async (t) => {
    const set = await words()
    const ensemble = await Ensemble.build(set.base, { dimensions: set.dimensions, metric: 'cosine', ...options })
    t.teardown(() => ensemble.close())
    const [lower, middle, higher] = [
      await recallOf(ensemble, set, { recall: 0.8 }),
      await recallOf(ensemble, set, {}),
      await recallOf(ensemble, set, { recall: 0.99 })
    ]
    const alone = await recallOf(ensemble.partitions[0] as NeuralLSH, set, {})
    t.log(`asked for .80, .95, .99, found ${lower}, ${middle}, ${higher}; one index alone, asked for .95: ${alone}`)
    t.true(Math.abs(middle - 0.95) <= 0.02, `found ${middle}`)
    t.true(lower < middle && middle < higher)
    t.deepEqual(await ensemble.searchBatch(set.queries, { recall: 0.95 }), await ensemble.searchBatch(set.queries))
    const { candidates } = await ensemble.searchBatch(set.queries, { recall: 1 })
    t.true(candidates.every((one) => one > 0))
  })
}

test('what is asked of each index comes from what they find together', async (t) => {
  /** Finds the first so many of ten neighbors, or the last: 10 is the query itself. */
  const index = (order: number[]) => ({
    searchBatch: async (_: Float32Array, { recall, k }: { recall: number; k: number }) => {
      t.is(k, 11)
      const found = Math.round(recall * 10)
      return { ids: Int32Array.from({ length: k }, (_, place) => (place < found ? (order[place] ?? -1) : -1)) }
    }
  })
  const ascending = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  const asks = {
    queries: new Float32Array(1),
    truth: Int32Array.from(ascending),
    distances: new Float32Array(10),
    k: 10
  }
  const learn = (...orders: number[][]) => learnMergedRecall(orders.map(index), asks, { threads: 1 })
  const apart = await learn(ascending, ascending.toReversed())
  t.is(singleRecallFor(apart, 0.8), 0.4)
  t.true(Math.abs(singleRecallFor(apart, 0.9) - 0.45) < 1e-12, 'between the points in proportion')
  t.is(singleRecallFor(apart, 1), 0.5)
  const alike = await learn(ascending, ascending)
  for (const wanted of [0.3, 0.75, 0.99, 1]) t.true(Math.abs(singleRecallFor(alike, wanted) - wanted) < 1e-12)
  for (const curve of [apart, alike])
    for (const entries of [curve.single, curve.merged]) {
      t.is(entries.at(-1), 1)
      t.deepEqual(entries, [...entries].sort())
    }
})

// ----------------------------------------------------------------------------------------------------- save and open

test('a reopened ensemble gives identical answers', async (t) => {
  const { ensemble, folder, saved } = t.context
  t.deepEqual((await readdir(saved)).sort(), ['0.nlsh', '1.nlsh', '2.nlsh', 'ensemble.json'])
  const same = await Ensemble.open(saved)
  t.like(same, { size: rows, dimensions, bins: 16, metric: 'euclidean' })
  for (const options of [...asked, {}, { recall: 0.8 }])
    t.deepEqual(await same.searchBatch(queries, options), await ensemble.searchBatch(queries, options))
  await same.save(folder.path('again/and/again'))
  for (const name of await readdir(saved))
    t.deepEqual(await readFile(folder.path(`again/and/again/${name}`)), await readFile(join(saved, name)))
})

test('an ensemble takes the place of another, of more partitions as well', async (t) => {
  const { saved, folder } = t.context
  const path = folder.path('replaced')
  await cp(saved, path, { recursive: true })
  const ensemble = await Ensemble.build(vectors, quick)
  await ensemble.save(path)
  const same = await Ensemble.open(path)
  t.is(same.partitions.length, 2)
  t.deepEqual(await same.searchBatch(queries), await ensemble.searchBatch(queries))
})

test('one that is half written over another is refused, and so are files of two', async (t) => {
  const { folder, saved } = t.context
  const [path, other] = [folder.path('mixed'), folder.path('other')]
  await cp(saved, path, { recursive: true })
  await (await Ensemble.build(vectors, { ...small, partitions: 3, seed: 10 })).save(other)
  await cp(join(other, '1.nlsh'), join(path, '1.nlsh'))
  const isStranger = {
    instanceOf: FileError,
    message: /1\.nlsh: is not the file that .*ensemble\.json was written for/
  }
  t.is((await t.throwsAsync(() => Ensemble.open(path), isStranger))?.path, join(path, '1.nlsh'))
  await cp(other, path, { recursive: true })
  t.is((await Ensemble.open(path)).partitions[1]?.options.seed, 11)
})

for (const other of [{ bytes: 12345 }, { checksum: '01234567' }]) {
  test(`a partition of another ${Object.keys(other)[0]} than the description says is refused`, async (t) => {
    const path = t.context.folder.path(`another ${Object.keys(other)[0]}`)
    await withDescription(t.context.saved, path, ({ partitions }) => Object.assign(partitions[2] as object, other))
    const error = await t.throwsAsync(() => Ensemble.open(path), { instanceOf: FileError, message: /is not the file/ })
    t.is(error?.path, join(path, '2.nlsh'))
  })
}

test('a save that is aborted leaves what was there', async (t) => {
  const { saved, folder, ensemble } = t.context
  const path = folder.path('kept')
  await cp(saved, path, { recursive: true })
  const other = await Ensemble.build(vectors, quick)
  await t.throwsAsync(() => other.save(path, { signal: AbortSignal.abort() }), { any: true, name: 'AbortError' })
  t.deepEqual(await (await Ensemble.open(path)).searchBatch(queries), await ensemble.searchBatch(queries))
  await t.throwsAsync(() => other.save(folder.path('never'), { signal: AbortSignal.abort() }), { any: true })
  t.false((await readdir(folder.path(''))).includes('never'))
})

type Description = Record<string, unknown> & { partitions: unknown[]; curve: Record<string, number[]> }

/** Writes a copy of the saved ensemble whose description is another, with the right checksum. */
async function withDescription(saved: string, path: string, change: (description: Description) => void) {
  await cp(saved, path, { recursive: true })
  const { checksum: _, ...description } = JSON.parse(await readFile(join(path, 'ensemble.json'), 'utf8'))
  change(description)
  const checksum = crc32(JSON.stringify(description)).toString(16).padStart(8, '0')
  await writeFile(join(path, 'ensemble.json'), JSON.stringify({ ...description, checksum }))
}

test('the description as it is passes', async (t) => {
  const path = t.context.folder.path('as it is')
  await withDescription(t.context.saved, path, () => {})
  t.is((await Ensemble.open(path)).size, rows)
})

const falsified: [string, (description: Description) => void, RegExp][] = [
  ['another format', (it) => Object.assign(it, { format: 'neural-lsh' }), /format: must be 'neural-lsh-ensemble'/],
  ['a later version', (it) => Object.assign(it, { version: '2' }), /version: must be '1', but is "2"/],
  ['a stranger', (it) => Object.assign(it, { words: 1 }), /words: is not an option/],
  ['one partition', (it) => it.partitions.splice(1), /partitions\.length: .*from 2 to 16.* 1/],
  ['17 partitions', (it) => it.partitions.push(...Array(14).fill(it.partitions[0])), /partitions\.length: .* 17/],
  ['no size', (it) => it.partitions.splice(0, 1, { checksum: '01234567' }), /partitions\[0\]\.bytes: is required/],
  ['no curve', (it) => Object.assign(it, { curve: {} }), /curve\.single: is required/],
  ['a falling curve', (it) => it.curve.merged?.splice(0, 1, 0.99), /curve\.merged: must be .*rising/],
  ['half a curve', (it) => it.curve.single?.splice(0, 1), /curve: must be two lists of the same length/],
  ['a curve that ends early', (it) => Object.assign(it, { curve: { single: [0.5], merged: [0.9] } }), /end with 1/],
  ['a curve from nothing', (it) => Object.assign(it, { curve: { single: [0, 1], merged: [0.5, 1] } }), /merged 0/]
]
for (const [what, change, message] of falsified) {
  test(`a description with ${what} is refused`, async (t) => {
    const path = t.context.folder.path(what)
    await withDescription(t.context.saved, path, change)
    const error = await t.throwsAsync(() => Ensemble.open(path), { instanceOf: FileError, message })
    t.is(error?.path, join(path, 'ensemble.json'))
  })
}

const damaged: [string, string, (file: string) => Promise<void>, RegExp][] = [
  ['a description that is missing', 'ensemble.json', (file) => rm(file), /no such file/],
  ['a partition that is missing', '2.nlsh', (file) => rm(file), /no such file/],
  ['a description that is a folder', 'ensemble.json', (file) => rm(file).then(() => mkdir(file)), /is a folder/],
  ['a description that is empty', 'ensemble.json', (file) => writeFile(file, ''), /is empty/],
  ['a description that is cut off', 'ensemble.json', (file) => truncate(file, 200), /is not JSON/],
  ['a description that is no object', 'ensemble.json', (file) => writeFile(file, '[]'), /must be an object/],
  ['a description of megabytes', 'ensemble.json', (file) => writeFile(file, ' '.repeat(1e6)), /at most 65536/],
  [
    'a number in the description that is another',
    'ensemble.json',
    async (file) => writeFile(file, (await readFile(file, 'utf8')).replace(/"merged":\[0\.\d/, '"merged":[0.0')),
    /checksum: is wrong/
  ],
  ['a partition that is cut off', '0.nlsh', (file) => truncate(file, 5000), /is not the file/],
  ['a partition that is cut off early', '0.nlsh', (file) => truncate(file, 20), /is truncated/],
  [
    'a partition with a byte that is another',
    '1.nlsh',
    async (file) => {
      const bytes = await readFile(file)
      bytes[20_000] = (bytes[20_000] as number) ^ 1
      await writeFile(file, bytes)
    },
    /is damaged: the checksum of tensor/
  ]
]
for (const [what, name, damage, message] of damaged) {
  test(`${what}`, async (t) => {
    const path = t.context.folder.path(what)
    await cp(t.context.saved, path, { recursive: true })
    await damage(join(path, name))
    const error = await t.throwsAsync(() => Ensemble.open(path), { instanceOf: FileError, message })
    t.is(error?.path, join(path, name))
  })
}

test('indexes of other vectors are no ensemble', async (t) => {
  const { folder, ensemble } = t.context
  const others: [string, Float32Array, EnsembleBuildOptions][] = [
    ['size', vectors.slice(dimensions), quick],
    ['dimensions', vectors, { ...quick, dimensions: dimensions / 2 }],
    ['metric', vectors, { ...quick, metric: 'cosine' }],
    ['bins', vectors, { ...quick, bins: 8 }]
  ]
  const curve = { single: [1], merged: [1] }
  for (const [name, points, options] of others) {
    const path = folder.path(`of another ${name}`)
    await mkdir(path)
    const changed = name === 'dimensions' ? points.slice(0, rows * (dimensions / 2)) : points
    await ensemble.partitions[0]?.save(join(path, '0.nlsh'))
    await (await NeuralLSH.build(changed, options)).save(join(path, '1.nlsh'))
    await writeEnsembleFile(path, 2, curve, undefined)
    const message = new RegExp(`1\\.nlsh: is of another ensemble: its ${name} is `)
    await t.throwsAsync(() => Ensemble.open(path), { instanceOf: FileError, message })
  }
})

test('a folder that cannot be made', async (t) => {
  const { folder, ensemble, saved } = t.context
  const path = join(saved, 'ensemble.json', 'under a file')
  const error = await t.throwsAsync(() => ensemble.save(path), { instanceOf: FileError })
  t.is(error?.path, path)
  await t.throwsAsync(() => Ensemble.open(folder.path('nowhere')), { instanceOf: FileError, message: /no such file/ })
})

// --------------------------------------------------------------------------------------------- progress, abort, close

test('progress says which partition it is of; what all do together has none', async (t) => {
  const events: EnsembleProgress[] = []
  const onProgress = (progress: EnsembleProgress) => events.push(progress)
  const ensemble = await Ensemble.build(vectors, { ...quick, partitions: 3, onProgress })
  const order = events.map(({ partition }) => partition ?? 3)
  t.deepEqual(order, order.toSorted())
  for (const partition of [0, 1, 2]) {
    const stages = new Set(events.filter((one) => one.partition === partition).map(({ stage }) => stage))
    t.deepEqual([...stages], ['prepare', 'partition', 'classifier', 'exact-search', 'bins', 'recall'])
  }
  const last = events.filter(({ partition }) => partition === undefined)
  t.true(last.length > 2 && last.every(({ stage }) => stage === 'recall'))
  t.deepEqual([last[0]?.done, last.at(-1)?.done], [0, last.at(-1)?.total])
  events.length = 0
  await ensemble.searchBatch(queries, { onProgress })
  t.deepEqual(
    [...new Set(events.map(({ partition, stage }) => `${stage} ${partition}`))],
    ['search 0', 'search 1', 'search 2']
  )
})

/** How many indexes are closed while `work` runs. */
async function closedBy(work: () => Promise<unknown>): Promise<number> {
  const { close } = NeuralLSH.prototype
  let closed = 0
  NeuralLSH.prototype.close = function (this: NeuralLSH) {
    closed++
    close.call(this)
  }
  try {
    await work()
  } finally {
    NeuralLSH.prototype.close = close
  }
  return closed
}

const moments: [string, (progress: EnsembleProgress) => boolean, number][] = [
  ['in the first partition', ({ partition, stage }) => partition === 0 && stage === 'bins', 0],
  ['in the last partition', ({ partition, stage }) => partition === 2 && stage === 'bins', 2],
  ['while it learns', ({ partition }) => partition === undefined, 3]
]
for (const [when, isNow, built] of moments) {
  test.serial(`a build that is aborted ${when} rejects with the reason and closes what is built`, async (t) => {
    const controller = new AbortController()
    const { signal } = controller
    const reason = new Error('enough')
    const onProgress = (progress: EnsembleProgress) => isNow(progress) && controller.abort(reason)
    const closed = await closedBy(async () => {
      t.is(await t.throwsAsync(() => Ensemble.build(vectors, { ...quick, partitions: 3, signal, onProgress })), reason)
    })
    t.is(closed, built)
    t.deepEqual(getEventListeners(signal, 'abort'), [])
  })

  test.serial(`an error that onProgress throws ${when} is what the build rejects with`, async (t) => {
    const mine = new Error('mine')
    const onProgress = (progress: EnsembleProgress) => {
      if (isNow(progress)) throw mine
    }
    const closed = await closedBy(async () => {
      t.is(await t.throwsAsync(() => Ensemble.build(vectors, { ...quick, partitions: 3, onProgress })), mine)
    })
    t.is(closed, built)
  })
}

test.serial('an ensemble that cannot be opened whole is closed', async (t) => {
  const path = t.context.folder.path('not whole')
  await cp(t.context.saved, path, { recursive: true })
  const file = join(path, '2.nlsh')
  const bytes = await readFile(file)
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
  await writeFile(file, bytes)
  const closed = await closedBy(() => t.throwsAsync(() => Ensemble.open(path), { instanceOf: FileError }))
  t.is(closed, 2)
})

test('an aborted signal stops a call before it starts', async (t) => {
  const { ensemble, saved } = t.context
  const signal = AbortSignal.abort()
  const aborted = { any: true, name: 'AbortError' } as const
  await t.throwsAsync(() => Ensemble.build(vectors, { ...quick, signal, onProgress: () => t.fail() }), aborted)
  await t.throwsAsync(() => ensemble.searchBatch(queries, { signal }), aborted)
  await t.throwsAsync(() => Ensemble.open(saved, { signal }), aborted)
})

test('closing lets running calls finish', async (t) => {
  const path = t.context.folder.path('closing')
  const ensemble = await Ensemble.build(vectors, quick)
  const right = await ensemble.searchBatch(queries)
  const running = [ensemble.searchBatch(queries), ensemble.search(query), ensemble.save(path)] as const
  ensemble.close()
  ensemble.close()
  t.deepEqual(await running[0], right)
  await t.notThrowsAsync(Promise.all(running))
  t.is((await Ensemble.open(path)).size, rows)
  const closed = { instanceOf: ClosedError, code: 'ERR_NLSH_CLOSED' }
  await t.throwsAsync(() => ensemble.search(query), closed)
  await t.throwsAsync(() => ensemble.searchBatch(queries), closed)
  await t.throwsAsync(() => ensemble.save(path), closed)
  t.throws(() => ensemble.searchSync(query), closed)
  t.throws(() => ensemble.vector(0), closed)
  for (const index of ensemble.partitions) await t.throwsAsync(() => index.search(query), closed)
  t.is(ensemble.size, rows)
})

test('an ensemble is disposable', async (t) => {
  const ensemble = await Ensemble.build(vectors, quick)
  ensemble[Symbol.dispose]()
  await t.throwsAsync(() => ensemble.search(query), { code: 'ERR_NLSH_CLOSED' })
})

// -------------------------------------------------------------------------------------------------------- arguments

test('build: arguments', async (t) => {
  const wrong: [object, string, RegExp?][] = [
    [{ partitions: 1 }, 'partitions', /2 to 16/],
    [{ partitions: 17 }, 'partitions'],
    [{ partitions: 2.5 }, 'partitions'],
    [{ partitions: 4, seed: 2 ** 31 - 3 }, 'seed', /0 to 2147483644 \(partition i of 4 is built with seed \+ i\)/],
    [{ seed: -1 }, 'seed'],
    [{ bins: 1 }, 'bins'],
    [{ dimensions: undefined }, 'dimensions', /required/],
    [{ onProgress: 3 }, 'onProgress', /a function/],
    [{ copies: 2 }, 'copies', /not an option/]
  ]
  const onProgress = () => t.fail('nothing has begun')
  for (const [options, argument, message] of wrong)
    await rejectsArgument(t, () => Ensemble.build(vectors, { ...quick, onProgress, ...options }), argument, message)
  await rejectsArgument(t, () => Ensemble.build([1] as unknown as Float32Array, quick), 'vectors')
  await rejectsArgument(t, () => Ensemble.build(vectors, 3 as unknown as EnsembleBuildOptions), 'options')
})

test('the largest seed that is allowed', async (t) => {
  const { partitions } = await Ensemble.build(vectors, { ...quick, seed: 2 ** 31 - 2 })
  t.is(partitions[1]?.options.seed, 2 ** 31 - 1)
})

test('search: arguments', async (t) => {
  const { ensemble } = t.context
  const wrong: [object | null, string][] = [
    [{ k: 0 }, 'k'],
    [{ k: rows + 1 }, 'k'],
    [{ probes: 17 }, 'probes'],
    [{ mass: 0 }, 'mass'],
    [{ recall: 0 }, 'recall'],
    [{ recall: 1.01 }, 'recall'],
    [{ recall: '1' }, 'recall'],
    [{ probes: 1, mass: 0.5 }, 'mass'],
    [{ probes: 1, recall: 0.5 }, 'recall'],
    [{ ef: 100 }, 'ef'],
    [null, 'options']
  ]
  for (const [options, argument] of wrong) {
    await rejectsArgument(t, () => ensemble.search(query, options as SearchOptions), argument)
    await rejectsArgument(t, () => ensemble.searchBatch(query, options as SearchOptions), argument)
    const message = new RegExp(`^${argument}: `)
    t.throws(() => ensemble.searchSync(query, options as SearchOptions), { code: 'ERR_NLSH_ARGUMENT', message })
  }
  await rejectsArgument(t, () => ensemble.search(queries), 'query')
  await rejectsArgument(t, () => ensemble.searchBatch(new Float32Array(3)), 'queries')
  await rejectsArgument(t, () => ensemble.searchBatch(queries, { onProgress: 3 } as object), 'onProgress')
  await rejectsArgument(t, () => ensemble.searchBatch(queries, { threads: -1 }), 'threads')
  t.throws(() => ensemble.vector(rows), { code: 'ERR_NLSH_ARGUMENT', message: /^id: / })
})

test('save and open: arguments', async (t) => {
  const { ensemble, saved } = t.context
  await rejectsArgument(t, () => ensemble.save(''), 'folder', /the path of a folder/)
  await rejectsArgument(t, () => ensemble.save(saved, { words: [] } as object), 'words')
  await rejectsArgument(t, () => Ensemble.open(undefined as unknown as string), 'folder')
  await rejectsArgument(t, () => Ensemble.open('/nowhere', { onProgress() {} } as object), 'onProgress')
})
