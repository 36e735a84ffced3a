import { getEventListeners } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import anyTest, { type TestFn } from 'ava'
import { writeIndexFile } from '../lib/formats/index-file.js'
import {
  type BuildOptions,
  type ClassifierOptions,
  FileError,
  type InputShape,
  type Layer,
  NeuralLSH,
  type Progress,
  readVectors,
  type VectorFile
} from '../lib/index.js'
import { type TemporaryFolder, temporaryFolder } from './formats/temporary-folder.js'
import { clustered, findFault, integers, metrics, ranking } from './support/vectors.js'

const dimensions = 12
const rows = 1500
/** Groups that overlap, so that every partition cuts some edges. */
const vectors = clustered(rows, dimensions, 16, 1, 1.5)
const queries = clustered(50, dimensions, 16, 2, 1.5)
const small = { dimensions, bins: 16, classifier: { hidden: [32], epochs: 4 } } satisfies BuildOptions
const firstQuery = queries.slice(0, dimensions)
const stages = [
  'prepare',
  'knn-graph',
  'similarity-graph',
  'partition',
  'assignment',
  'classifier',
  'exact-search',
  'bins',
  'recall'
] as const

const test = anyTest as TestFn<{ index: NeuralLSH; words: VectorFile; folder: TemporaryFolder }>

test.before(async (t) => {
  const words = await readVectors(fileURLToPath(new URL('../demo/words.txt.gz', import.meta.url)), { limit: 4000 })
  t.context = { index: await NeuralLSH.build(vectors, small), words, folder: temporaryFolder() }
})

test.after.always((t) => t.context.folder.remove())

const queryRow = (row: number) => queries.slice(row * dimensions, (row + 1) * dimensions)

// ------------------------------------------------------------------------------------------------------ what it is

test('an index tells what it is and how it came to be', (t) => {
  const { index } = t.context
  t.like(index, { size: rows, dimensions, bins: 16, metric: 'euclidean', engine: 'native', words: undefined })
  t.like(index.options, { ...small, seed: 1, graph: { neighbors: Math.floor(Math.sqrt(rows)), method: 'exact' } })
  const { report } = index
  t.deepEqual(
    report.stages.map(({ name }) => name),
    [...stages]
  )
  t.true(
    report.stages.every(({ seconds, peakBytes }) => seconds > 0 && seconds < 100 && peakBytes > vectors.byteLength)
  )
  t.true(report.balance >= 1 && report.balance <= 1.1)
  t.true((report.edgeCut ?? 0) > 0)
  t.deepEqual(
    report.history.map(({ epoch }) => epoch),
    [1, 2, 3, 4]
  )
  t.is(report.bestEpoch, 4)
  t.true((report.calibration?.temperature ?? 0) > 0)
})

// ---------------------------------------------------------------------------------------------------------- search

for (const metric of metrics) {
  test(`${metric}: reading every bin finds what brute force in double precision finds`, async (t) => {
    const index = await NeuralLSH.build(vectors, { ...small, metric })
    const batch = await index.searchBatch(queries, { k: 20, probes: 16 })
    for (let query = 0; query < 50; query++) {
      const ranked = ranking(vectors, queries, query, dimensions, metric)
      const { ids, distances, candidates, probes } = await index.search(queryRow(query), { k: 20, probes: 16 })
      t.is(findFault(ids, distances, ranked, 1e-4), undefined)
      t.is(candidates, rows)
      t.is(probes, 16)
      const range = [query * 20, (query + 1) * 20] as const
      t.is(findFault(batch.ids.subarray(...range), batch.distances.subarray(...range), ranked, 1e-4), undefined)
    }
  })
}

test('equal distances come by row number', async (t) => {
  const points = integers(400, 3)
  const index = await NeuralLSH.build(points, { dimensions: 3, bins: 8, classifier: { hidden: [8], epochs: 1 } })
  for (let query = 0; query < 20; query++) {
    const right = ranking(points, points, query, 3, 'euclidean').slice(0, 50)
    const { ids, distances } = index.searchSync(points.subarray(query * 3, query * 3 + 3), { k: 50, mass: 1 })
    t.deepEqual(
      Array.from(ids),
      right.map(({ id }) => id)
    )
    t.deepEqual(
      Array.from(distances),
      right.map(({ distance }) => distance)
    )
  }
})

test('search, searchSync and searchBatch give the same, for probes and for mass', async (t) => {
  const { index } = t.context
  for (const options of [{ k: 7, probes: 3 }, { k: 5, mass: 0.6 }, {}]) {
    const batch = await index.searchBatch(queries, options)
    const k = options.k ?? 10
    t.is(batch.k, k)
    t.is(batch.ids.length, 50 * k)
    for (let query = 0; query < 50; query++) {
      const single = await index.search(queryRow(query), options)
      t.deepEqual(index.searchSync(queryRow(query), options), single)
      t.deepEqual(batch.ids.slice(query * k, (query + 1) * k), single.ids)
      t.deepEqual(batch.distances.slice(query * k, (query + 1) * k), single.distances)
      t.is(batch.candidates[query], single.candidates)
      t.is(batch.probes[query], single.probes)
    }
  }
})

test('candidates are the vectors of the bins that route names, most probable first', async (t) => {
  const { index } = t.context
  for (let query = 0; query < 50; query++) {
    const { bins, probabilities } = await index.route(queryRow(query))
    t.deepEqual(
      Array.from(bins).sort((a, b) => a - b),
      Array.from({ length: 16 }, (_, bin) => bin)
    )
    t.true(probabilities.every((value, place) => value >= 0 && value <= (probabilities[place - 1] ?? 1)))
    t.true(Math.abs(probabilities.reduce((sum, value) => sum + value, 0) - 1) < 1e-5)
    const few = await index.route(queryRow(query), { probes: 3 })
    t.deepEqual(few, { bins: bins.slice(0, 3), probabilities: probabilities.slice(0, 3) })
    const reached = Array.from(probabilities, (_, place) => probabilities.slice(0, place + 1).reduce((a, b) => a + b))
    const right = 1 + reached.findIndex((sum) => sum >= 0.7)
    const { probes } = await index.search(queryRow(query), { k: 1, mass: 0.7 })
    t.is(probes, right, `${probabilities}`)
  }
})

test('k results come back even where the probed bins hold fewer', async (t) => {
  const { index } = t.context
  const { ids, probes, candidates } = await index.search(firstQuery, { k: 500, probes: 1 })
  t.is(new Set(ids).size, 500)
  t.true(candidates >= 500)
  t.true(probes > 1)
  t.is((await index.search(firstQuery, { k: rows, probes: 1 })).candidates, rows)
})

test('a query may be changed right after search was called', async (t) => {
  const { index } = t.context
  const query = firstQuery.slice()
  const promise = index.search(query)
  query.fill(100)
  t.deepEqual(await promise, await index.search(firstQuery))
})

test('vector gives the rows back', async (t) => {
  const { index } = t.context
  for (const id of [0, 1, 777, rows - 1]) {
    t.deepEqual(index.vector(id), vectors.slice(id * dimensions, (id + 1) * dimensions))
  }
})

test('the caller keeps its vectors as they were', async (t) => {
  const own = vectors.slice()
  await NeuralLSH.build(own, { ...small, metric: 'cosine' })
  t.deepEqual(own, vectors)
})

test('real words: neighbors in the same bins, nearly all of them', async (t) => {
  const { vectors: glove, dimensions: width, words: names = [] } = t.context.words
  const build = { dimensions: width, metric: 'cosine', bins: 32, classifier: { hidden: [128] } } satisfies BuildOptions
  const index = await NeuralLSH.build(glove, build)
  const row = names.indexOf('three')
  const { ids } = await index.search(index.vector(row), { k: 5 })
  const found = Array.from(ids, (id) => names[id])
  t.is(found[0], 'three')
  t.true(found.includes('four') && found.includes('two'), `${found}`)
  const sample = glove.subarray(0, 300 * width)
  const { curve, queries: count, k } = await index.evaluate(sample, { probes: [1, 8, 32], mass: [0.9] })
  t.is(count, 300)
  t.is(k, 10)
  const accuracy = curve.map((point) => point.accuracy)
  t.true((accuracy[0] ?? 0) < (accuracy[1] ?? 0) && (accuracy[1] ?? 0) > 0.7, `${accuracy}`)
  t.is(accuracy[2], 1)
  t.is(curve[2]?.recall, 1)
})

test('evaluate takes the truth that is given', async (t) => {
  const { index } = t.context
  const truth = Int32Array.from({ length: 50 * 12 }, (_, at) => {
    return ranking(vectors, queries, Math.floor(at / 12), dimensions, 'euclidean')[at % 12]?.id ?? -1
  })
  const given = await index.evaluate(queries, { truth, probes: [2] })
  const computed = await index.evaluate(queries, { probes: [2] })
  t.is(given.curve[0]?.accuracy, computed.curve[0]?.accuracy)
  t.is(given.curve[0]?.recall, computed.curve[0]?.recall)
  t.is(given.routerDistances, (dimensions * 32 + 32 * 16) / dimensions)
})

// ------------------------------------------------------------------------------------------------------ odd vectors

for (const count of [2, 3, 5]) {
  test(`an index of ${count} vectors`, async (t) => {
    const points = clustered(count, 3)
    for (const metric of metrics) {
      for (const bins of new Set([2, count])) {
        const index = await NeuralLSH.build(points, {
          dimensions: 3,
          bins,
          metric,
          classifier: { hidden: [4], epochs: 1 }
        })
        for (let row = 0; row < count; row++) {
          const { ids, distances } = await index.search(points.slice(row * 3, row * 3 + 3), { k: count, probes: 1 })
          t.is(findFault(ids, distances, ranking(points, points, row, 3, metric), 1e-4), undefined)
        }
      }
    }
  })
}

test('vectors that are all alike, in many bins', async (t) => {
  for (const metric of metrics) {
    const same = new Float32Array(40 * 4).fill(0.5)
    const index = await NeuralLSH.build(same, {
      dimensions: 4,
      bins: 8,
      metric,
      classifier: { hidden: [8], epochs: 3 }
    })
    const { ids, distances } = await index.search(same.slice(0, 4), { k: 40 })
    t.deepEqual(Array.from(ids), Array.from(ids.keys()), metric)
    t.true(
      distances.every((distance) => Math.abs(distance - (metric === 'inner-product' ? -1 : 0)) < 1e-6),
      metric
    )
    t.true(index.report.history.every(({ trainingLoss }) => Number.isFinite(trainingLoss)))
  }
})

test('every vector twice: both are found', async (t) => {
  const twice = new Float32Array(2 * vectors.length)
  twice.set(vectors)
  twice.set(vectors, vectors.length)
  const index = await NeuralLSH.build(twice, { ...small, classifier: { hidden: [32], epochs: 6 } })
  for (const row of [0, 7, 1000]) {
    const { ids } = await index.search(vectors.slice(row * dimensions, (row + 1) * dimensions), { k: 2, probes: 16 })
    t.deepEqual(Array.from(ids), [row, row + rows])
  }
})

test('all zeros but for cosine, and as many bins as vectors', async (t) => {
  const index = await NeuralLSH.build(new Float32Array(20), {
    dimensions: 1,
    bins: 20,
    classifier: { hidden: [], epochs: 1 }
  })
  t.is((await index.search(new Float32Array(1), { k: 20, probes: 1 })).ids.length, 20)
})

// ----------------------------------------------------------------------------------------------------- save and open

test('a reopened index gives identical answers', async (t) => {
  const { folder } = t.context
  for (const metric of metrics) {
    const index = await NeuralLSH.build(vectors, { ...small, metric })
    const path = folder.path(`${metric}.nlsh`)
    await index.save(path)
    const same = await NeuralLSH.open(path)
    t.deepEqual(same.options, index.options)
    t.deepEqual(same.report, { ...index.report, stages: [] })
    t.like(same, { size: rows, dimensions, bins: 16, metric, engine: 'native', words: undefined })
    for (const options of [{ probes: 2 }, { mass: 0.8, k: 3 }]) {
      t.deepEqual(await same.searchBatch(queries, options), await index.searchBatch(queries, options))
    }
    t.deepEqual(await same.route(firstQuery), await index.route(firstQuery))
    t.deepEqual(same.vector(5), index.vector(5))
    await same.save(folder.path(`${metric}-again.nlsh`))
    t.deepEqual(await readFile(folder.path(`${metric}-again.nlsh`)), await readFile(path))
  }
})

test('words are kept in the file', async (t) => {
  const { index, folder } = t.context
  const path = folder.path('words.nlsh')
  const words = Array.from({ length: rows }, (_, row) => `word ${row} é 🎹`)
  await index.save(path, { words })
  const same = await NeuralLSH.open(path)
  t.deepEqual(same.words, words)
  await same.save(folder.path('words-again.nlsh'))
  t.deepEqual((await NeuralLSH.open(folder.path('words-again.nlsh'))).words, words)
})

test('an index without held-out rows or of one layer comes back as well', async (t) => {
  const path = t.context.folder.path('linear.nlsh')
  const classifier = { hidden: [], validationFraction: 0, epochs: 2 }
  const index = await NeuralLSH.build(vectors, { dimensions, classifier })
  await index.save(path)
  const same = await NeuralLSH.open(path)
  t.deepEqual(same.report.history, index.report.history)
  t.is(same.report.history[0]?.validationLoss, Number.NaN)
  t.deepEqual(await same.search(firstQuery), await index.search(firstQuery))
})

const classifiers: [string, ClassifierOptions][] = [
  ['batch norm and dropout', { hidden: [16], batchNorm: true, dropout: 0.3, input: 'standardize', epochs: 3 }],
  [
    'convolutions',
    {
      inputShape: [1, 3, 4],
      layers: [{ type: 'conv2d', channels: 4, kernel: 2 }, { type: 'batch-norm' }, { type: 'relu' }],
      input: 'normalize',
      optimizer: { type: 'nadam' },
      epochs: 3
    }
  ],
  [
    'early stopping',
    { hidden: [16], epochs: 40, optimizer: { learningRate: 0.5 }, earlyStopping: { monitor: 'neighbor-accuracy' } }
  ]
]
for (const [what, classifier] of classifiers) {
  test(`an index with ${what} comes back as it was`, async (t) => {
    const path = t.context.folder.path(`${what}.nlsh`)
    const index = await NeuralLSH.build(vectors, { dimensions, bins: 8, classifier })
    t.like(index.options.classifier, { epochs: classifier.epochs, input: classifier.input ?? 'center' })
    await index.save(path)
    const same = await NeuralLSH.open(path)
    t.deepEqual(same.options, index.options)
    t.deepEqual(same.report, { ...index.report, stages: [] })
    t.true(index.report.history.length < 40)
    t.true(index.report.bestEpoch <= index.report.history.length)
    t.deepEqual(await same.route(firstQuery), await index.route(firstQuery))
    t.deepEqual(await same.searchBatch(queries, { probes: 2 }), await index.searchBatch(queries, { probes: 2 }))
    t.deepEqual(await same.search(firstQuery), same.searchSync(firstQuery))
  })
}

test('the same seed gives the same file, byte for byte, and another seed another', async (t) => {
  const { folder } = t.context
  const save = async (name: string, options: object) => {
    await (await NeuralLSH.build(vectors, { ...small, ...options })).save(folder.path(name))
    return readFile(folder.path(name))
  }
  const first = await save('first', {})
  t.deepEqual(await save('second', { threads: 1, onProgress() {}, signal: new AbortController().signal }), first)
  t.notDeepEqual(await save('third', { seed: 2 }), first)
})

test('two builds at once give the same as one alone', async (t) => {
  const { folder } = t.context
  const both = await Promise.all([NeuralLSH.build(vectors, small), NeuralLSH.build(vectors, small)])
  await t.context.index.save(folder.path('alone'))
  for (const [i, index] of both.entries()) {
    await index.save(folder.path(`at-once-${i}`))
    t.deepEqual(await readFile(folder.path(`at-once-${i}`)), await readFile(folder.path('alone')))
  }
})

/** What an index file of four vectors in three bins, one of them empty, holds. */
const fourVectors = () => ({
  state: {
    metric: 'euclidean' as const,
    dimensions: 1,
    classifier: {
      network: {
        inputShape: [1, 1, 1] as InputShape,
        layers: [{ type: 'linear', outputs: 3, bias: true }] as Layer[]
      },
      parameters: new Float32Array(6),
      buffers: new Float32Array(0),
      input: { unitLength: false, mean: new Float32Array(1), scale: Float32Array.of(1) },
      temperature: 1
    },
    bins: { offsets: Int32Array.of(0, 2, 2, 4), ids: Int32Array.of(1, 3, 0, 2) },
    vectors: Float32Array.of(10, 30, 0, 20),
    scan: 'exact' as const
  },
  description: {
    options: { dimensions: 1, bins: 3, classifier: { hidden: [] } },
    report: { choices: [], edgeCut: 0, balance: 1.5, history: [], bestEpoch: 0 },
    curve: { recall: [1], probability: [0], candidates: [4], reranked: [], loss: [] }
  }
})

test('empty bins are read and passed over', async (t) => {
  const path = t.context.folder.path('empty.nlsh')
  await writeIndexFile(path, fourVectors())
  const index = await NeuralLSH.open(path)
  t.is(index.bins, 3)
  for (const probes of [1, 2, 3]) {
    const { ids, distances } = await index.search(Float32Array.of(21), { k: 4, probes })
    t.deepEqual(Array.from(ids), [2, 3, 1, 0])
    t.deepEqual(Array.from(distances), [1, 81, 121, 441])
  }
  t.is((await index.route(Float32Array.of(21))).bins.length, 3)
})

const falsified: [string, (contents: ReturnType<typeof fourVectors>) => unknown, RegExp][] = [
  ['ids that are no permutation', ({ state }) => state.bins.ids.fill(1), /ids/],
  ['an id out of range', ({ state }) => state.bins.ids.fill(9, 0, 1), /ids/],
  ['offsets that fall', ({ state }) => state.bins.offsets.fill(3, 1, 2), /offsets/],
  ['vectors that are not finite', ({ state }) => state.vectors.fill(Number.NaN, 2, 3), /vectors/],
  [
    'weights that are not finite',
    ({ state }) => state.classifier.parameters.fill(Number.POSITIVE_INFINITY),
    /parameters/
  ],
  [
    'options that do not exist',
    ({ description }) => Object.assign(description.options, { shards: 3 }),
    /shards: is not an option/
  ],
  [
    'options of another index',
    ({ description }) => Object.assign(description.options, { bins: 4 }),
    /options.bins: .* 4, but the index has 3/
  ],
  [
    'options of another network',
    ({ description }) => Object.assign(description.options.classifier, { hidden: [3] }),
    /options.classifier: the options describe another network/
  ],
  [
    'a report that is none',
    ({ description }) => Object.assign(description, { report: 7 }),
    /report: must be an object/
  ],
  [
    'a curve that falls',
    ({ description }) => Object.assign(description.curve, { recall: [1, 0] }),
    /curve\.recall: .*rising/
  ],
  [
    'a curve that ends too early',
    ({ description }) => Object.assign(description.curve, { recall: [0.9] }),
    /curve\.recall: must end with 1/
  ],
  [
    'a curve with half a side',
    ({ description }) => Object.assign(description.curve, { candidates: [] }),
    /curve\.recall: .*as long as/
  ],
  ['losses without depths', ({ description }) => Object.assign(description.curve, { loss: [0.5] }), /curve\.loss/]
]

for (const [what, falsify, message] of falsified) {
  test(`a file with ${what} is refused`, async (t) => {
    const path = t.context.folder.path(`${what}.nlsh`)
    const contents = fourVectors()
    falsify(contents)
    await writeIndexFile(path, contents)
    const error = await t.throwsAsync(() => NeuralLSH.open(path), { instanceOf: FileError, message })
    t.is((error as FileError | undefined)?.path, path)
  })
}

test('the longest training that is allowed leaves a history that a file can hold', async (t) => {
  const points = Float32Array.from({ length: 120 }, (_, i) => Math.sin(i))
  const classifier = { hidden: [], epochs: 10_000, batchSize: 60 }
  const index = await NeuralLSH.build(points, { dimensions: 2, bins: 2, classifier })
  const path = t.context.folder.path('long.nlsh')
  await index.save(path)
  t.deepEqual((await NeuralLSH.open(path)).report.history, index.report.history)
})

// ------------------------------------------------------------------------------------- progress, abort, close, memory

test('every stage reports its progress from 0 to its total, in order', async (t) => {
  const events: Progress[] = []
  const classifier = { hidden: [256], epochs: 60, batchSize: 64 }
  await NeuralLSH.build(vectors, { ...small, classifier, onProgress: (progress) => events.push(progress) })
  t.deepEqual([...new Set(events.map(({ stage }) => stage))], [...stages])
  for (const name of stages) {
    const own = events.filter(({ stage }) => stage === name)
    t.is(own[0]?.done, 0, name)
    t.is(own.at(-1)?.done, own.at(-1)?.total, name)
    t.true(
      own.every(({ done }, at) => at === 0 || done > (own[at - 1]?.done ?? 0)),
      name
    )
  }
  t.true(events.filter(({ stage }) => stage === 'classifier').length > 2, 'mini-batches are counted')
})

for (const when of stages) {
  test(`an error that onProgress throws in ${when} stops the build and is what it rejects with`, async (t) => {
    const mine = new Error('mine')
    const onProgress = ({ stage }: Progress) => {
      if (stage === when) throw mine
    }
    t.is(await t.throwsAsync(() => NeuralLSH.build(vectors, { ...small, onProgress })), mine)
  })

  test(`a build that is aborted in ${when} rejects with the reason`, async (t) => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const onProgress = ({ stage }: Progress) => stage === when && controller.abort(reason)
    t.is(
      await t.throwsAsync(() => NeuralLSH.build(vectors, { ...small, signal: controller.signal, onProgress })),
      reason
    )
    t.deepEqual(getEventListeners(controller.signal, 'abort'), [])
  })
}

test('an aborted signal stops a call before it starts, and a signal is left without listeners', async (t) => {
  const { index, folder } = t.context
  const signal = AbortSignal.abort()
  const options = { ...small, signal, onProgress: () => t.fail() }
  const aborted = { any: true, name: 'AbortError' } as const
  await t.throwsAsync(() => NeuralLSH.build(vectors, options), aborted)
  await t.throwsAsync(() => index.searchBatch(queries, { signal }), aborted)
  await t.throwsAsync(() => index.evaluate(queries, { signal }), aborted)
  await t.throwsAsync(() => index.save(folder.path('aborted'), { signal }), aborted)
  await t.throwsAsync(() => NeuralLSH.open(folder.path('aborted'), { signal }), aborted)
  const used = new AbortController().signal
  await index.searchBatch(queries, { signal: used })
  await index.evaluate(queries, { signal: used, probes: [1] })
  await index.save(folder.path('not-aborted'), { signal: used })
  await NeuralLSH.open(folder.path('not-aborted'), { signal: used })
  t.deepEqual(getEventListeners(used, 'abort'), [])
})

test('what callbacks of a batch and of an evaluation throw rejects them', async (t) => {
  const mine = new Error('mine')
  const onProgress = () => {
    throw mine
  }
  t.is(await t.throwsAsync(() => t.context.index.searchBatch(queries, { onProgress })), mine)
  t.is(await t.throwsAsync(() => t.context.index.evaluate(queries, { onProgress })), mine)
})

test('closing lets running calls finish', async (t) => {
  const index = await NeuralLSH.build(vectors, small)
  const path = t.context.folder.path('closing')
  const running = [
    index.search(firstQuery),
    index.searchBatch(queries),
    index.route(firstQuery),
    index.evaluate(queries, { probes: [1, 2] }),
    index.save(path)
  ]
  index.close()
  await t.throwsAsync(() => index.search(firstQuery), { code: 'ERR_NLSH_CLOSED' })
  await t.notThrowsAsync(Promise.all(running))
  t.is((await NeuralLSH.open(path)).size, rows)
})

test('an index is disposable', async (t) => {
  const index = await NeuralLSH.build(vectors, small)
  index[Symbol.dispose]()
  await t.throwsAsync(() => index.search(firstQuery), { code: 'ERR_NLSH_CLOSED' })
})
