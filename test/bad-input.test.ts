/** Everything that a caller can get wrong at the public door gives a typed error that names the argument. */
import anyTest, { type TestFn } from 'ava'
import {
  type BuildOptions,
  buildKnnGraph,
  buildSimilarityGraph,
  ClosedError,
  exactSearch,
  FileError,
  groupIntoBins,
  type KnnGraph,
  NeuralLSH,
  partitionGraph,
  type SimilarityGraph,
  trainClassifier
} from '../lib/index.js'
import { rejectsArgument } from './support/rejection.js'
import { clustered } from './support/vectors.js'

const dimensions = 4
const rows = 60
const vectors = clustered(rows, dimensions, 4)
const small = { dimensions, bins: 4, graph: { neighbors: 5 }, classifier: { hidden: [8], epochs: 2 } }

const test = anyTest as TestFn<{ index: NeuralLSH; cosine: NeuralLSH }>

test.before(async (t) => {
  const [index, cosine] = await Promise.all([
    NeuralLSH.build(vectors, small),
    NeuralLSH.build(vectors, { ...small, metric: 'cosine' })
  ])
  t.context = { index, cosine }
})

const build = (values: unknown, options: object = small) =>
  NeuralLSH.build(values as Float32Array, options as BuildOptions)

function detached(): Float32Array {
  const array = clustered(rows, dimensions)
  structuredClone(array, { transfer: [array.buffer as ArrayBuffer] })
  return array
}

const withValue = (source: Float32Array, at: number, value: number) => {
  const copy = source.slice()
  copy[at] = value
  return copy
}

/** node 20 knows resizable buffers, its types do not. */
const ResizableBuffer = ArrayBuffer as unknown as new (size: number, options: { maxByteLength: number }) => ArrayBuffer

const notVectors: [string, unknown, RegExp][] = [
  ['undefined', undefined, /must be a Float32Array, but is undefined/],
  ['null', null, /null/],
  ['a number', 7, /but is 7/],
  ['number[]', Array.from(vectors), /an array of 240 values: Float32Array\.from\(values\)/],
  [
    'number[][]',
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8]
    ],
    /an array of arrays: Float32Array\.from\(rows\.flatMap/
  ],
  ['Float32Array[]', [vectors], /an array of arrays/],
  ['Float64Array', Float64Array.from(vectors), /of type Float64Array: Float32Array\.from\(values\)/],
  ['Int32Array', new Int32Array(240), /of type Int32Array/],
  ['a Buffer', Buffer.alloc(960), /a Buffer: new Float32Array\(b\.buffer, b\.byteOffset, b\.byteLength \/ 4\)/],
  ['an ArrayBuffer', vectors.buffer, /of type ArrayBuffer/],
  ['an empty array', new Float32Array(0), /positive multiple of dimensions = 4, but is 0/],
  ['a length that does not fit', new Float32Array(7), /multiple of dimensions = 4, but is 7/],
  ['a detached buffer', detached(), /detached/],
  ['a shared buffer', new Float32Array(new SharedArrayBuffer(960)), /SharedArrayBuffer.*new Float32Array\(/],
  ['a resizable buffer', new Float32Array(new ResizableBuffer(960, { maxByteLength: 1920 })), /resizable/]
]

for (const [what, values, message] of notVectors) {
  test(`vectors: ${what}`, (t) => rejectsArgument(t, () => build(values), 'vectors', message))
  test(`queries: ${what}`, (t) =>
    rejectsArgument(t, () => t.context.index.searchBatch(values as Float32Array), 'queries', message))
}

for (const [what, values, message] of notVectors.slice(0, 7)) {
  test(`query: ${what}`, (t) =>
    rejectsArgument(t, () => t.context.index.search(values as Float32Array), 'query', message))
}

test('vectors: a single row', (t) => rejectsArgument(t, () => build(new Float32Array(4)), 'vectors', /at least 2 rows/))

for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
  test(`vectors: ${value}, with its row`, (t) =>
    rejectsArgument(t, () => build(withValue(vectors, 4 * 37 + 2, value)), 'vectors', /\b37\b/))

  test(`query: ${value}, with its place`, async (t) => {
    const query = withValue(vectors.subarray(0, 4), 2, value)
    const message = /column 2 is (NaN|infinite); every value must be a finite number/
    await rejectsArgument(t, () => t.context.index.search(query), 'query', message)
    await rejectsArgument(t, () => t.context.index.route(query), 'query', message)
    t.throws(() => t.context.index.searchSync(query), { code: 'ERR_NLSH_ARGUMENT', message })
  })

  test(`queries: ${value}, with its row`, async (t) => {
    const queries = withValue(vectors, 4 * 41 + 1, value)
    await rejectsArgument(t, () => t.context.index.searchBatch(queries), 'queries', /\b41\b/)
    await rejectsArgument(t, () => t.context.index.evaluate(queries), 'queries', /\b41\b/)
    await rejectsArgument(t, () => exactSearch(vectors, queries, { dimensions }), 'queries', /\b41\b/)
  })
}

test('a vector without a direction has no cosine', async (t) => {
  const zeros = vectors.slice().fill(0, 4 * 5, 4 * 6)
  await rejectsArgument(t, () => build(zeros, { ...small, metric: 'cosine' }), 'vectors', /\b5\b/)
  await rejectsArgument(t, () => t.context.cosine.search(new Float32Array(4)), 'query', /all zeros/)
  await rejectsArgument(t, () => t.context.cosine.searchBatch(zeros), 'queries', /\b5\b/)
  await t.notThrowsAsync(() => t.context.index.search(new Float32Array(4)), 'but it has a distance')
})

test('build: options out of their range', async (t) => {
  await rejectsArgument(t, () => build(vectors, { ...small, dimensions: 0 }), 'dimensions', /1 to 65536/)
  await rejectsArgument(t, () => build(vectors, { ...small, bins: 1 }), 'bins', /2 to 60/)
  await rejectsArgument(t, () => build(vectors, { ...small, bins: 61 }), 'bins', /2 to 60/)
  await rejectsArgument(t, () => build(vectors, { ...small, graph: { neighbors: 60 } }), 'graph.neighbors', /1 to 59/)
  await rejectsArgument(t, () => build(vectors, { ...small, probes: 4 }), 'probes', /not an option/)
  const layers = [{ type: 'linear', outputs: 3 }, { type: 'step' }]
  await rejectsArgument(t, () => build(vectors, { ...small, classifier: { layers } }), 'classifier.layers[1].type')
  await rejectsArgument(
    t,
    () => NeuralLSH.build(vectors, undefined as unknown as BuildOptions),
    'dimensions',
    /required/
  )
})

test('search: options', async (t) => {
  const { index } = t.context
  const query = vectors.slice(0, 4)
  const wrong: [object, string][] = [
    [{ k: 0 }, 'k'],
    [{ k: 61 }, 'k'],
    [{ k: Number.NaN }, 'k'],
    [{ probes: 0 }, 'probes'],
    [{ probes: 5 }, 'probes'],
    [{ mass: 0 }, 'mass'],
    [{ mass: 1.01 }, 'mass'],
    [{ mass: Number.NaN }, 'mass'],
    [{ probes: 1, mass: 0.5 }, 'mass'],
    [{ ef: 100 }, 'ef']
  ]
  for (const [options, argument] of wrong) {
    await rejectsArgument(t, () => index.search(query, options), argument)
    await rejectsArgument(t, () => index.searchBatch(query, options), argument)
    t.throws(() => index.searchSync(query, options), {
      code: 'ERR_NLSH_ARGUMENT',
      message: new RegExp(`^${argument}: `)
    })
  }
  await rejectsArgument(t, () => index.search(vectors), 'query', /must be the index's dimensions = 4, but is 240/)
  await rejectsArgument(t, () => index.search(new Float32Array(3)), 'query', /but is 3/)
  await rejectsArgument(t, () => index.searchBatch(query, { threads: -1 }), 'threads')
  await rejectsArgument(t, () => index.route(query, { probes: 5 }), 'probes', /1 to 4/)
})

test('evaluate: options', async (t) => {
  const evaluate = (options: object) => () => t.context.index.evaluate(vectors, options)
  await rejectsArgument(t, evaluate({ k: 61 }), 'k')
  await rejectsArgument(t, evaluate({ probes: 4 }), 'probes', /an array of integers from 1 to 4/)
  await rejectsArgument(t, evaluate({ probes: [] }), 'probes')
  await rejectsArgument(t, evaluate({ probes: [1, 5] }), 'probes', /\[1, 5\]/)
  await rejectsArgument(t, evaluate({ mass: [0] }), 'mass')
  await rejectsArgument(t, evaluate({ truth: [1, 2] }), 'truth', /Int32Array/)
  await rejectsArgument(t, evaluate({ truth: new Int32Array(599) }), 'truth', /at least k = 10 ids/)
  await rejectsArgument(t, evaluate({ truth: new Int32Array(rows * 9) }), 'truth', /but its length is 540/)
  await rejectsArgument(t, evaluate({ truth: new Int32Array(rows * 10).fill(60) }), 'truth', /60/)
})

test('vector: ids', (t) => {
  for (const id of [-1, rows, 0.5, Number.NaN, '3' as unknown as number]) {
    t.throws(() => t.context.index.vector(id), { code: 'ERR_NLSH_ARGUMENT', message: /^id: .*0 to 59/ })
  }
})

test('save and open: paths and words', async (t) => {
  const { index } = t.context
  await rejectsArgument(t, () => index.save(undefined as unknown as string), 'path', /undefined/)
  await rejectsArgument(t, () => index.save(''), 'path')
  await rejectsArgument(t, () => NeuralLSH.open(3 as unknown as string), 'path', /but is 3/)
  await rejectsArgument(t, () => index.save('/nowhere/index', { words: ['one'] }), 'words', /= 60, but is 1/)
  await rejectsArgument(
    t,
    () => index.save('/nowhere/index', { words: 'one' as unknown as string[] }),
    'words',
    /array of 60 strings/
  )
  await rejectsArgument(
    t,
    () => index.save('/nowhere/index', { words: new Array(60).fill(1) }),
    'words',
    /number 0 is 1/
  )
  await rejectsArgument(t, () => index.save('/nowhere/index', { sync: true } as object), 'sync')
  await rejectsArgument(t, () => NeuralLSH.open('/nowhere/index', { onProgress() {} } as object), 'onProgress')
  for (const call of [() => index.save('/nowhere/index'), () => NeuralLSH.open('/nowhere/index')]) {
    const error = await t.throwsAsync(call, { instanceOf: FileError, code: 'ERR_NLSH_FILE' })
    t.is((error as FileError | undefined)?.path, '/nowhere/index')
  }
})

test('a closed index', async (t) => {
  const index = await NeuralLSH.build(vectors, small)
  index.close()
  index.close()
  const query = vectors.subarray(0, 4)
  const closed = { instanceOf: ClosedError, code: 'ERR_NLSH_CLOSED' }
  await t.throwsAsync(() => index.search(query), closed)
  await t.throwsAsync(() => index.searchBatch(vectors), closed)
  await t.throwsAsync(() => index.route(query), closed)
  await t.throwsAsync(() => index.evaluate(vectors), closed)
  await t.throwsAsync(() => index.save('/nowhere/index'), closed)
  t.throws(() => index.searchSync(query), closed)
  t.throws(() => index.vector(0), closed)
  t.is(index.size, rows)
})

// ------------------------------------------------------------------------------------------------ stages by themselves

const knn = (changes: object = {}): KnnGraph =>
  ({ neighbors: 1, ids: Int32Array.of(1, 0, 1), distances: new Float32Array(3), ...changes }) as KnnGraph

test('buildKnnGraph', async (t) => {
  const call = (values: unknown, options: object) => () =>
    buildKnnGraph(values as Float32Array, { dimensions, ...options })
  await rejectsArgument(t, call([1, 2], {}), 'vectors', /Float32Array/)
  await rejectsArgument(t, call(vectors, { neighbors: 0 }), 'neighbors')
  await rejectsArgument(t, call(vectors, { neighbors: 60 }), 'neighbors', /1 to 59/)
  await rejectsArgument(t, call(vectors, { metric: 'hamming' }), 'metric')
  await rejectsArgument(t, call(vectors, { dimensions: 0 }), 'dimensions')
  await rejectsArgument(t, call(withValue(vectors, 4 * 37, Number.NaN), {}), 'vectors', /\b37\b/)
})

test('buildSimilarityGraph', async (t) => {
  const call =
    (graph: unknown, options: object = {}) =>
    () =>
      buildSimilarityGraph(graph as KnnGraph, options)
  await rejectsArgument(t, call(undefined), 'knnGraph', /an object, but is null/)
  await rejectsArgument(t, call(knn({ neighbors: 0 })), 'knnGraph.neighbors')
  await rejectsArgument(t, call(knn({ neighbors: 2 })), 'knnGraph.ids', /multiple of neighbors = 2, but is 3/)
  await rejectsArgument(t, call(knn({ ids: [1, 0, 1] })), 'knnGraph.ids', /Int32Array/)
  await rejectsArgument(t, call(knn({ distances: new Float32Array(2) })), 'knnGraph.distances', /= 3, but is 2/)
  await rejectsArgument(t, call(knn(), { neighbors: 1 }), 'neighbors', /not an option/)
  for (const ids of [Int32Array.of(1, 0, 3), Int32Array.of(1, 0, -1), Int32Array.of(1, 0, 2)]) {
    await rejectsArgument(t, call(knn({ ids })), 'knnGraph', /row 2 has the neighbor/)
  }
})

test('partitionGraph', async (t) => {
  /** The path 0 - 1 - 2 - 3. */
  const path = {
    xadj: Int32Array.of(0, 1, 3, 5, 6),
    adjncy: Int32Array.of(1, 0, 2, 1, 3, 2),
    adjcwgt: new Int32Array(6).fill(1)
  }
  const call =
    (changes: object, options: object = {}) =>
    () =>
      partitionGraph({ ...path, ...changes } as SimilarityGraph, { bins: 2, ...options })
  await t.notThrowsAsync(call({}))
  await rejectsArgument(t, call({}, { bins: 1 }), 'bins', /2 to 4/)
  await rejectsArgument(t, call({}, { bins: 5 }), 'bins', /2 to 4/)
  await rejectsArgument(t, call({}, { bins: undefined }), 'bins', /required/)
  await rejectsArgument(t, call({}, { imbalance: -1 }), 'imbalance')
  await rejectsArgument(t, call({}, { mode: 'quick' }), 'mode')
  await rejectsArgument(t, call({ xadj: undefined }), 'xadj', /Int32Array/)
  await rejectsArgument(t, call({ xadj: Int32Array.of(0, 0) }), 'xadj', /at least 3/)
  await rejectsArgument(t, call({ adjcwgt: new Int32Array(5) }), 'adjcwgt', /= 6, but is 5/)
  await rejectsArgument(t, call({ xadj: Int32Array.of(0, 3, 1, 5, 6) }), 'xadj', /not descend/)
  await rejectsArgument(t, call({ xadj: Int32Array.of(0, 1, 3, 5, 7) }), 'adjncy', /as many entries/)
  await rejectsArgument(t, call({ adjncy: Int32Array.of(1, 0, 2, 1, 4, 2) }), 'adjncy', /neighbor 4/)
  await rejectsArgument(t, call({ adjncy: Int32Array.of(1, 0, 2, 1, -3, 2) }), 'adjncy', /neighbor -3/)
  await rejectsArgument(t, call({ adjncy: Int32Array.of(0, 0, 2, 1, 3, 2) }), 'adjncy', /own neighbor/)
  await rejectsArgument(t, call({ adjncy: Int32Array.of(2, 0, 2, 1, 3, 2) }), 'adjncy', /both directions/)
  await rejectsArgument(t, call({ adjcwgt: Int32Array.of(1, 2, 1, 1, 1, 1) }), 'adjcwgt', /same in both directions/)
  await rejectsArgument(t, call({ adjcwgt: new Int32Array(6) }), 'adjcwgt', /positive/)
  await rejectsArgument(t, call({ adjcwgt: new Int32Array(6).fill(-1) }), 'adjcwgt', /positive/)
})

test('trainClassifier', async (t) => {
  const labels = Int32Array.from({ length: rows }, (_, i) => i % 2)
  const right = { dimensions, labels, bins: 2, hidden: [4], epochs: 1 }
  const call =
    (options: object, values = vectors) =>
    () =>
      trainClassifier(values, { ...right, ...options })
  await t.notThrowsAsync(call({}))
  await rejectsArgument(t, call({ labels: [0, 1] }), 'labels', /Int32Array/)
  await rejectsArgument(t, call({ labels: labels.slice(1) }), 'labels', /= 60, but is 59/)
  await rejectsArgument(t, call({ labels: undefined }), 'labels', /but is undefined/)
  await rejectsArgument(t, call({ bins: 1 }), 'bins')
  await rejectsArgument(t, call({ bins: undefined }), 'bins', /required/)
  await rejectsArgument(t, call({ softLabels: 1 }), 'softLabels', /needs the option neighbors/)
  await rejectsArgument(t, call({ neighbors: knn() }), 'neighbors', /one row for each of the 60/)
  const short = { parameters: new Float32Array(3) }
  await rejectsArgument(t, call({ initial: short }), 'initial.parameters', /= 30, but is 3/)
  const parameters = new Float32Array(30).fill(Number.NaN)
  await rejectsArgument(t, call({ initial: { parameters } }), 'initial.parameters', /finite/)
  const initial = await trainClassifier(vectors, right)
  await rejectsArgument(t, call({ initial, optimizer: { type: 'sgd' } }), 'initial', /30 running values .*has 60/)
  await rejectsArgument(t, call({ initial, hidden: [5] }), 'initial.parameters', /= 37, but is 30/)
  await rejectsArgument(t, call({ initial, activation: 'tanh' }), 'initial.network', /but is another/)
  await rejectsArgument(t, call({ layers: [{ type: 'relu' }], hidden: undefined, activation: 'relu' }), 'activation')
  await rejectsArgument(t, call({ inputShape: [1, 2, 3] }), 'inputShape', /dimensions = 4/)
  await rejectsArgument(t, call({ earlyStopping: {}, validationFraction: 0.01 }), 'earlyStopping', /1 \/ 60/)
  await rejectsArgument(t, call({}, withValue(vectors, 4 * 37, Number.NaN)), 'vectors', /\b37\b/)
  await rejectsArgument(t, call({ labels: labels.slice().fill(2, 7, 8) }), 'labels', /0 to 1, but entry 7 is 2/)
  await rejectsArgument(t, call({ labels: labels.slice().fill(-1, 7, 8) }), 'labels', /entry 7 is -1/)
  const stranger = { neighbors: 1, ids: new Int32Array(rows).fill(60), distances: new Float32Array(rows) }
  await rejectsArgument(t, call({ neighbors: stranger }), 'neighbors', /0 to 59, but entry 0 is 60/)
})

test('groupIntoBins', async (t) => {
  await rejectsArgument(t, () => groupIntoBins([0] as unknown as Int32Array, 2), 'labels', /Int32Array/)
  await rejectsArgument(t, () => groupIntoBins(new Int32Array(0), 2), 'labels', /not be empty/)
  await rejectsArgument(t, () => groupIntoBins(new Int32Array(3), 0), 'bins')
  await rejectsArgument(t, () => groupIntoBins(new Int32Array(3), Number.NaN), 'bins')
  await rejectsArgument(t, () => groupIntoBins(Int32Array.of(0, 2, 1), 2), 'labels', /2/)
  await rejectsArgument(t, () => groupIntoBins(Int32Array.of(0, -1, 1), 2), 'labels', /-1/)
})

test('exactSearch', async (t) => {
  const call =
    (options: object, queries = vectors) =>
    () =>
      exactSearch(vectors, queries, { dimensions, ...options })
  await rejectsArgument(t, call({ k: 0 }), 'k')
  await rejectsArgument(t, call({ k: 61 }), 'k', /1 to 60/)
  await rejectsArgument(t, call({}, new Float32Array(5)), 'queries', /multiple of dimensions = 4/)
  await rejectsArgument(t, call({ metric: 'dot' }), 'metric')
})
