import test from 'ava'
import { readBuildReport } from '../lib/checks/build-report.js'
import { closest } from '../lib/checks/fields.js'
import { ArgumentError, type BuildOptions, type EvaluateOptions, type SearchOptions } from '../lib/index.js'
import { resolveBuild, resolveExactSearch } from '../lib/options.js'
import { SearchArguments } from '../lib/search-arguments.js'

const rows = 1000
const vectors = new Float32Array(rows * 4)
const resolve = (options: object) => resolveBuild(vectors, { dimensions: 4, ...options } as BuildOptions)
const forRows = (count: number, options: object = {}) =>
  resolveBuild(new Float32Array(count), { dimensions: 1, ...options } as BuildOptions).index

test('every option has its documented default', (t) => {
  t.deepEqual(resolveBuild(vectors, { dimensions: 4 }), {
    engine: 'auto',
    device: 0,
    run: { threads: 0, signal: undefined, onProgress: undefined },
    index: {
      method: 'neural-lsh',
      dimensions: 4,
      bins: 32,
      groups: 1,
      metric: 'euclidean',
      graph: { neighbors: 31, method: 'auto', precision: 'fp16' },
      partition: { method: 'auto', mode: 'fastsocial', imbalance: 0.03, seeds: 1, iterations: 10, largest: undefined },
      router: 'classifier',
      assignment: 'auto',
      classifier: {
        hidden: [512],
        activation: 'relu',
        batchNorm: false,
        dropout: 0,
        layers: undefined,
        inputShape: [4, 1, 1],
        input: 'center',
        initialization: { type: 'uniform' },
        loss: { type: 'cross-entropy', labelSmoothing: 0, classWeights: 'none' },
        softLabels: 15,
        optimizer: { type: 'adam', learningRate: 0.003, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        schedule: { type: 'cosine', minimum: 0, epochs: 10, warmup: 0 },
        regularization: { l1: 0, l2: 0, inputNoise: 0, clipNorm: 0 },
        epochs: 10,
        batchSize: 512,
        validationFraction: 0.05,
        earlyStopping: undefined,
        monitoredProbes: 1,
        calibrate: true,
        precision: 'tf32',
        deterministic: true
      },
      scan: 'auto',
      seed: 1
    }
  })
})

test('undefined is as good as not given', (t) => {
  const options = { bins: undefined, graph: undefined, classifier: { optimizer: { learningRate: undefined } } }
  t.deepEqual(resolve(options), resolve({}))
})

for (const [count, bins] of [
  [2, 2],
  [3, 2],
  [5, 2],
  [24, 4],
  [100, 8],
  [60_000, 256],
  [100_000, 256],
  [1_000_000, 1024]
] as const) {
  test(`${count} vectors go into ${bins} bins by default`, (t) => t.is(forRows(count).bins, bins))
}

test('the graph of few vectors has n - 1 neighbors, and the soft labels follow', (t) => {
  const { graph, classifier } = forRows(5)
  t.is(graph.neighbors, 4)
  t.is(classifier.softLabels, 4)
  t.is(forRows(100, { graph: { neighbors: 50 } }).classifier.softLabels, 15)
  t.is(forRows(100, { graph: { neighbors: 50 }, classifier: { softLabels: 50 } }).classifier.softLabels, 50)
})

for (const [count, neighbors] of [
  [5, 4],
  [60, 10],
  [900, 30],
  [100_000, 50],
  [1_000_000, 20]
] as const) {
  test(`the graph of ${count} vectors has ${neighbors} neighbors by default`, (t) =>
    t.is(forRows(count).graph.neighbors, neighbors))
}

test('limits themselves are allowed', (t) => {
  const { index, run } = resolve({
    bins: rows,
    graph: { neighbors: rows - 1 },
    partition: { imbalance: 1 },
    classifier: { hidden: [], epochs: 1, batchSize: 1, softLabels: 0, validationFraction: 0.5 },
    threads: 1024,
    seed: 2 ** 31 - 1
  })
  t.is(index.bins, rows)
  t.is(index.graph.neighbors, rows - 1)
  t.deepEqual(index.classifier.hidden, [])
  t.is(run.threads, 1024)
})

test('arrays are copied, so that a later change changes nothing', (t) => {
  const hidden = [8, 8]
  const { index } = resolve({ classifier: { hidden } })
  hidden[0] = 9
  t.deepEqual(index.classifier.hidden, [8, 8])
})

const wrong: [object, string, RegExp][] = [
  [{ bins: 1 }, 'bins', /an integer from 2 to 1000 \(the number of vectors\), but is 1/],
  [{ bins: 1001 }, 'bins', /but is 1001/],
  [{ bins: 2.5 }, 'bins', /2\.5/],
  [{ bins: Number.NaN }, 'bins', /NaN/],
  [{ bins: Number.POSITIVE_INFINITY }, 'bins', /Infinity/],
  [{ bins: '64' }, 'bins', /"64"/],
  [{ bins: null }, 'bins', /null/],
  [{ bins: 8n }, 'bins', /8n/],
  [{ metric: 'l2' }, 'metric', /'euclidean' or 'cosine' or 'inner-product'/],
  [{ metric: 1 }, 'metric', /but is 1/],
  [{ graph: 10 }, 'graph', /an object, but is 10/],
  [{ graph: [10] }, 'graph', /an object/],
  [{ graph: null }, 'graph', /an object, but is null/],
  [{ graph: { neighbors: 0 } }, 'graph.neighbors', /from 1 to 999/],
  [{ graph: { neighbors: 1000 } }, 'graph.neighbors', /one less than the number of vectors/],
  [{ graph: { neighbors: Number.NaN } }, 'graph.neighbors', /NaN/],
  [{ graph: { method: 'guess' } }, 'graph.method', /'auto' or 'exact' or 'approximate'/],
  [{ graph: { precision: 'fp8' } }, 'graph.precision', /'fp32' or 'tf32' or 'bf16' or 'fp16', but is "fp8"/],
  [{ graph: { neighbours: 5 } }, 'graph.neighbours', /did you mean graph\.neighbors\?/],
  [{ partition: { method: 'metis' } }, 'partition.method', /'kahip'/],
  [{ partition: { mode: 'slow' } }, 'partition.mode', /'ecosocial'/],
  [{ partition: { seeds: 0 } }, 'partition.seeds', /1 to 100/],
  [{ partition: { iterations: 1001 } }, 'partition.iterations', /1 to 1000/],
  [{ partition: { method: 'kmeans', largest: 0.9 } }, 'partition.largest', /1 to 1000/],
  [{ router: 'tree' }, 'router', /'classifier' or 'centroids'/],
  [{ router: 'centroids', classifier: {} }, 'classifier', /router 'centroids'/],
  [{ router: 'own' }, 'router', /needs a partition\.method/],
  [{ router: 'centroids', assignment: 'router' }, 'assignment', /must be 'partition'/],
  [
    { router: 'centroids', partition: { method: 'kmeans' }, classifier: {} },
    'classifier',
    /cannot be given together with router 'centroids'/
  ],
  [{ scan: 'pq8' }, 'scan', /'auto' or 'exact' or 'int8' or 'pq4'/],
  [{ partition: { imbalance: -0.01 } }, 'partition.imbalance', /0 to 1/],
  [{ partition: { imbalance: 1.01 } }, 'partition.imbalance', /0 to 1/],
  [{ partition: { imbalance: Number.NaN } }, 'partition.imbalance', /NaN/],
  [{ classifier: { hidden: 512 } }, 'classifier.hidden', /an array/],
  [{ classifier: { hidden: [512, 0] } }, 'classifier.hidden', /\[512, 0\]/],
  [{ classifier: { hidden: [65537] } }, 'classifier.hidden', /1 to 65536/],
  [{ classifier: { hidden: [Number.NaN] } }, 'classifier.hidden', /NaN/],
  [{ classifier: { hidden: new Array(65).fill(1) } }, 'classifier.hidden', /an array of 65/],
  [{ classifier: { epochs: 0 } }, 'classifier.epochs', /1 to 10000 /],
  [{ classifier: { epochs: 10_001 } }, 'classifier.epochs', /1 to 10000 /],
  [{ classifier: { batchSize: 0 } }, 'classifier.batchSize', /from 1/],
  [
    { classifier: { optimizer: { type: 'sdg' } } },
    'classifier.optimizer.type',
    /'adam' or 'adamw' or .*, but is "sdg"/
  ],
  [{ classifier: { optimizer: { learningRate: 0 } } }, 'classifier.optimizer.learningRate', /above 0/],
  [{ classifier: { optimizer: { learningRate: Number.NaN } } }, 'classifier.optimizer.learningRate', /NaN/],
  [
    { classifier: { optimizer: { learningRate: Number.POSITIVE_INFINITY } } },
    'classifier.optimizer.learningRate',
    /finite/
  ],
  [
    { classifier: { optimizer: { momentum: 0.9 } } },
    'classifier.optimizer.momentum',
    /is not an option of adam; there are type, learningRate, beta1, beta2, epsilon/
  ],
  [{ classifier: { softLabels: 1000 } }, 'classifier.softLabels', /0 to 999/],
  [{ classifier: { softLabels: -1 } }, 'classifier.softLabels', /0 to 999/],
  [{ classifier: { validationFraction: 0.51 } }, 'classifier.validationFraction', /0 to 0\.5/],
  [{ classifier: { validationFraction: Number.NaN } }, 'classifier.validationFraction', /NaN/],
  [{ engine: 'opencl' }, 'engine', /'auto' or 'native' or 'typescript' or 'cuda', but is "opencl"/],
  [{ device: -1 }, 'device', /0 to 255, but is -1/],
  [{ threads: -1 }, 'threads', /0 to 1024/],
  [{ threads: 1025 }, 'threads', /0 to 1024/],
  [{ seed: -1 }, 'seed', /from 0/],
  [{ seed: 2 ** 31 }, 'seed', /2147483647/],
  [{ seed: 0.5 }, 'seed', /an integer/],
  [{ signal: {} }, 'signal', /an AbortSignal, but is an object/],
  [{ signal: new AbortController() }, 'signal', /of type AbortController/],
  [{ onProgress: 'yes' }, 'onProgress', /a function/],
  [{ dimension: 4 }, 'dimension', /did you mean dimensions\?/],
  [{ Bins: 4 }, 'Bins', /did you mean bins\?/],
  [{ completelyUnknown: 4 }, 'completelyUnknown', /is not an option; there are method, dimensions, bins/],
  [{ dimensions: 0 }, 'dimensions', /1 to 65536, but is 0/],
  [{ dimensions: 65537 }, 'dimensions', /1 to 65536/],
  [{ dimensions: Number.NaN }, 'dimensions', /NaN/],
  [{ dimensions: '4' }, 'dimensions', /"4"/],
  [{ dimensions: undefined }, 'dimensions', /is required: an integer from 1 to 65536/],
  [{ dimensions: 3 }, 'vectors', /multiple of dimensions = 3, but is 4000/]
]

for (const [options, argument, message] of wrong) {
  test(`wrong: ${argument} in ${JSON.stringify(options, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))}, ${message}`, (t) => {
    const error = t.throws(() => resolve(options), { instanceOf: ArgumentError, code: 'ERR_NLSH_ARGUMENT' })
    t.is((error as ArgumentError | undefined)?.argument, argument)
    t.regex(error?.message ?? '', message)
    t.true(error?.message.startsWith(`${argument}: `))
  })
}

test('options that are no object are refused', (t) => {
  for (const options of [null, 4, 'dimensions', [], vectors]) {
    t.throws(() => resolveBuild(vectors, options as unknown as BuildOptions), {
      instanceOf: ArgumentError,
      message: /^options: /
    })
  }
})

test('a graph of more than 2^31 directed edges is refused, with the number of neighbors that is possible', (t) => {
  const many = new Float32Array(3_000_000)
  const error = t.throws(() => resolveBuild(many, { dimensions: 1, graph: { neighbors: 400 } }), {
    instanceOf: ArgumentError
  })
  t.regex(error?.message ?? '', /^graph\.neighbors: .*at most 357 for 3000000 vectors/)
  t.is(resolveBuild(many, { dimensions: 1, graph: { neighbors: 357 } }).index.graph.neighbors, 357)
})

const curve = {
  recall: [0.5, 0.9, 1],
  probability: [0.3, 0.1, 0],
  candidates: [100, 200, 1000],
  reranked: [1, 4, 8],
  loss: [0.1, 0.002, 0.0001]
}
const exactCurve = { ...curve, reranked: [], loss: [] }
const shape = { size: 1000, dimensions: 2, bins: 8, metric: 'euclidean' } as const

test('a search takes one of recall, probes and mass, and a recall of 95 % by default', (t) => {
  const search = new SearchArguments({ ...shape, size: 100 }, exactCurve)
  const query = new Float32Array(2)
  t.deepEqual(search.forSearch(query, undefined), search.forSearch(query, { recall: 0.95 }))
  t.deepEqual(search.forSearch(query, { k: 100, probes: 8 }), { k: 100, probing: { probes: 8 }, reranked: 0 })
  t.deepEqual(search.forSearch(query, { mass: 1 }), { k: 10, probing: { mass: 1 }, reranked: 0 })
  const refused: [SearchOptions, RegExp][] = [
    [{ probes: 4, mass: 0.5 }, /^mass: cannot be given together with probes/],
    [{ mass: 0.5, recall: 0.5 }, /^recall: cannot be given together with mass/],
    [{ recall: 0 }, /^recall: .*above 0/],
    [{ recall: 1.01 }, /^recall: .*at most 1/],
    [{ probes: 0 }, /^probes: .*1 to 8/],
    [{ probes: 9 }, /^probes: .*number of bins/],
    [{ probes: Number.NaN }, /^probes: .*NaN/],
    [{ mass: 0 }, /^mass: .*above 0/],
    [{ mass: 1.5 }, /^mass: .*at most 1/],
    [{ mass: Number.NaN }, /^mass: .*NaN/],
    [{ k: 0 }, /^k: .*1 to 100/],
    [{ k: 101 }, /^k: .*number of vectors/],
    [{ k: Number.NaN }, /^k: .*NaN/],
    [{ limit: 3 } as SearchOptions, /^limit: is not an option/],
    [{ threads: 3 } as SearchOptions, /^threads: is not an option/]
  ]
  for (const [options, message] of refused) {
    t.throws(() => search.forSearch(query, options), { instanceOf: ArgumentError, message })
  }
})

test('a recall is found on the curve: which bins reach it, and as many compared again as it allows', (t) => {
  const request = (options: SearchOptions) => new SearchArguments(shape, curve).forSearch(new Float32Array(2), options)
  // A tenth of what may be missed is left to the codes: 0.2 % here, which further bins must bring.
  const wanted = 0.98 / (1 - 0.002)
  const { probing, reranked } = request({ recall: 0.98 })
  t.is(probing.probability?.toFixed(9), (0.1 - (wanted - 0.9)).toFixed(9))
  t.is('candidates' in probing && probing.candidates, Math.ceil(200 + 8000 * (wanted - 0.9)))
  t.is(reranked, 40)
  t.deepEqual(request({ recall: 1 }), { k: 10, probing: { probability: 0, candidates: 1000 }, reranked: 80 })
  t.deepEqual(request({ recall: 0.01 }).probing, { probability: 0.3, candidates: 100 })
  t.is(request({ probes: 1 }).reranked, 40, 'a loss of at most .0025')
  t.is(request({ probes: 1, k: 300 }).reranked, 1000, 'no more than there are')
})

test('an index of fewer than ten vectors gives as many as there are by default', (t) => {
  const search = new SearchArguments({ ...shape, size: 3, dimensions: 1, bins: 2 }, exactCurve)
  t.is(search.forSearch(new Float32Array(1), {}).k, 3)
  t.is(resolveExactSearch(new Float32Array(3), new Float32Array(1), { dimensions: 1 }).k, 3)
})

test('the points of an evaluation default to powers of two', (t) => {
  const search = new SearchArguments(shape, exactCurve)
  const points = (options: EvaluateOptions) =>
    search.forEvaluate(new Float32Array(4), options).request.points.map(({ asked }) => asked)
  t.deepEqual(points({}), [{ probes: 1 }, { probes: 2 }, { probes: 4 }, { probes: 8 }])
  t.deepEqual(points({ mass: [0.5] }), [{ mass: 0.5 }])
  t.deepEqual(points({ probes: [3], recall: [0.5, 0.9] }), [{ probes: 3 }, { askedRecall: 0.5 }, { askedRecall: 0.9 }])
})

test('the nearest name is meant, unless it is too far', (t) => {
  t.is(closest('neighbours', ['neighbors', 'method']), 'neighbors')
  t.is(closest('Seed', ['speed', 'seed']), 'seed')
  t.is(closest('xyz', ['neighbors', 'method']), undefined)
  t.is(closest('', []), undefined)
})

test('what a file says of a build is judged, and null is not a number', (t) => {
  const epoch = { epoch: 1, learningRate: 0.1, trainingLoss: 2, trainingAccuracy: 0.5 }
  const unknown = { validationLoss: null, validationAccuracy: null, neighborAccuracy: null }
  const { NaN: nan } = Number
  const choices = [{ option: 'scan', value: 'exact', reason: 'Why not.' }]
  const report = { choices, edgeCut: 7, balance: 1.5, history: [{ ...epoch, ...unknown }], bestEpoch: 1 }
  t.deepEqual(readBuildReport(report), {
    ...report,
    stages: [],
    meanSquaredError: undefined,
    history: [{ ...epoch, validationLoss: nan, validationAccuracy: nan, neighborAccuracy: nan }],
    calibration: undefined
  })
  const calibration = { temperature: 1.5, errorBefore: 0.2, errorAfter: 0.1 }
  t.deepEqual(readBuildReport({ ...report, calibration }).calibration, calibration)
  const refused: [object, RegExp][] = [
    [{ ...report, history: undefined }, /^report\.history: is required/],
    [{ ...report, bestEpoch: null }, /^report\.bestEpoch: must be a number, but is null/],
    [{ ...report, calibration: { temperature: 1 } }, /^report\.calibration\.errorBefore: is required/],
    [
      { ...report, history: [{ ...epoch, ...unknown, trainingLoss: null }] },
      /^report\.history\[0\]\.trainingLoss: must be a number/
    ]
  ]
  for (const [wrongReport, message] of refused) t.throws(() => readBuildReport(wrongReport), { message })
})

test('a value that nests without end is told in a few words', (t) => {
  const seed = JSON.parse('['.repeat(20_000) + ']'.repeat(20_000)) as number
  t.throws(() => resolve({ seed }), { instanceOf: ArgumentError, message: /but is \[an array of 1\]/ })
})
