import test from 'ava'
import { wantedAccuracies } from '../../lib/evaluation/needed.js'
import { type Comparison, type ComparisonProgress, compareMethods, NeuralLSH, readVectors } from '../../lib/index.js'
import { wordsFile } from '../cli/run.js'
import { rejectsArgument } from '../support/rejection.js'
import { ranking } from '../support/vectors.js'

const rows = 1200
const asked = 60
const k = 10
const metric = 'cosine'
const classifier = { hidden: [32], epochs: 3 }
const methods = ['kmeans', 'neural-lsh'] as const
const bins = [8, 16]

let base: Float32Array
let queries: Float32Array
let dimensions: number
let comparison: Comparison
const progress: ComparisonProgress[] = []

test.before(async () => {
  const words = await readVectors(wordsFile, { limit: rows + asked })
  dimensions = words.dimensions
  base = words.vectors.slice(0, rows * dimensions)
  queries = words.vectors.slice(rows * dimensions)
  const options = { dimensions, methods, bins, k, metric, classifier } as const
  comparison = await compareMethods(base, queries, { ...options, onProgress: (one) => progress.push(one) })
})

const resultOf = (method: string, count: number) =>
  comparison.results.find((one) => one.method === method && one.bins === count) as Comparison['results'][number]

const pointsOf = (method: string, count: number, type: string) =>
  resultOf(method, count).curves.find(({ probing }) => probing === type)?.points ?? []

/** NumPy's default: linear between the order statistics. */
function quantile(values: readonly number[], share: number) {
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const [below, above] = [sorted[Math.floor(position)] as number, sorted[Math.ceil(position)] as number]
  return below + (above - below) * (position % 1)
}

for (const method of methods) {
  test(`every point is what searching with it reads and finds: ${method}`, async (t) => {
    const trained = method === 'neural-lsh' && { classifier }
    const index = await NeuralLSH.build(base, { dimensions, method, bins: 8, metric, ...trained })
    t.teardown(() => index.close())
    const truth = Array.from({ length: asked }, (_, query) =>
      ranking(base, queries, query, dimensions, metric)
        .slice(0, k)
        .map(({ id }) => id)
    )
    for (const probing of ['probes', 'recall'] as const) {
      const points = pointsOf(method, 8, probing)
      t.true(points.length > 3)
      for (const point of points) {
        const found = await index.searchBatch(queries, { k, [probing]: point.asked })
        const candidates = Array.from(found.candidates)
        const mean = candidates.reduce((sum, one) => sum + one, 0) / asked
        t.is(point.candidatesMean, mean, `${probing} ${point.asked}`)
        t.true(Math.abs(point.candidatesQ95 - quantile(candidates, 0.95)) < 1e-9)
        // So few vectors are compared exactly: a true neighbor that was seen is returned.
        const hits = truth.flatMap((ids, query) => {
          const returned = found.ids.subarray(query * k, (query + 1) * k)
          return ids.filter((id) => returned.includes(id))
        })
        t.is(point.accuracy, hits.length / (asked * k), `${probing} ${point.asked}`)
      }
    }
  })
}

test('curves rise to where everything is found, and probes are counted from 1', (t) => {
  for (const { curves, bins } of comparison.results) {
    for (const { probing, points } of curves) {
      for (const [i, point] of points.entries()) {
        if (probing === 'probes') t.is(point.asked, i + 1)
        t.true(point.accuracy >= (points[i - 1]?.accuracy ?? 0))
        t.true(point.candidatesMean > (points[i - 1]?.candidatesMean ?? 0))
      }
    }
    const [probes] = curves
    t.is(probes?.points.at(-1)?.accuracy, 1)
    t.true((probes?.points.length ?? 0) <= bins)
    t.true((probes?.points.at(-2)?.accuracy ?? 0) < 1)
  }
})

test('candidates for an accuracy lie on the line between the points around it', (t) => {
  for (const { method, bins, needed } of comparison.results) {
    t.true(needed.length >= wantedAccuracies.length)
    for (const { accuracy, probing, candidatesMean, candidatesQ95, meanToKmeans, q95ToKmeans } of needed) {
      const points = pointsOf(method, bins, probing)
      const above = points.find((point) => point.accuracy >= accuracy)
      const below = points.findLast((point) => point.accuracy < accuracy)
      if (above === undefined) return t.fail()
      // Where the line through both points is at this accuracy.
      const between = (low: number, high: number) =>
        below ? low + ((high - low) * (accuracy - below.accuracy)) / (above.accuracy - below.accuracy) : high
      t.true(Math.abs(candidatesMean - between(below?.candidatesMean ?? 0, above.candidatesMean)) < 1e-9)
      t.true(Math.abs(candidatesQ95 - between(below?.candidatesQ95 ?? 0, above.candidatesQ95)) < 1e-9)
      const kmeans = resultOf('kmeans', bins).needed.find(
        (one) => one.probing === 'probes' && one.accuracy === accuracy
      )
      t.is(meanToKmeans, candidatesMean / (kmeans?.candidatesMean as number))
      t.is(q95ToKmeans, candidatesQ95 / (kmeans?.candidatesQ95 as number))
    }
  }
})

test('bins, router, stages, training and speed are told of every index', (t) => {
  t.deepEqual(
    comparison.results.map(({ method, bins }) => [method, bins]),
    bins.flatMap((count) => methods.map((method) => [method, count]))
  )
  for (const { method, bins, binSizes, balance, routerDistances, stages, history, speeds } of comparison.results) {
    t.is(binSizes.length, bins)
    t.is(
      binSizes.reduce((sum, size) => sum + size, 0),
      rows
    )
    t.true(Math.abs(balance - Math.max(...binSizes) / (rows / bins)) < 1e-6)
    t.is(routerDistances, method === 'kmeans' ? bins : (dimensions * 32 + 32 * bins) / dimensions)
    t.true(stages.every(({ seconds, peakBytes }) => seconds >= 0 && peakBytes > 1e6))
    t.is(history.length, method === 'kmeans' ? 0 : classifier.epochs)
    for (const { wantedAccuracy, accuracy, recall, queriesPerSecond } of speeds) {
      t.true(accuracy >= wantedAccuracy)
      t.is(recall, accuracy)
      t.true(queriesPerSecond > 0)
    }
  }
})

test('the sample names rows and, for each index, their bins', (t) => {
  const { sample } = comparison
  t.is(new Set(sample).size, rows, 'fewer than can be drawn: all of them')
  for (const { binSizes, sampleBins } of comparison.results) {
    const sizes = binSizes.map(() => 0)
    for (const bin of sampleBins) sizes[bin] = (sizes[bin] as number) + 1
    t.deepEqual(sizes, binSizes)
  }
})

test('progress names the index that is being built', (t) => {
  t.is(progress[0]?.stage, 'exact-search')
  t.is(progress[0]?.method, undefined)
  t.true(progress.some(({ method, bins, stage }) => method === 'kmeans' && bins === 16 && stage === 'partition'))
  t.true(progress.some(({ method, stage }) => method === 'neural-lsh' && stage === 'search'))
})

test('the verdict names the best, and what speaks against it', (t) => {
  const { verdict, results } = comparison
  const entries = results.flatMap((result) => result.needed.map((needed) => ({ result, needed })))
  const at90 = entries.filter(({ needed }) => needed.accuracy === 0.9)
  const [best] = at90.sort((a, b) => a.needed.candidatesMean - b.needed.candidatesMean)
  const title = best?.result.method === 'kmeans' ? 'k-means' : 'Neural LSH'
  t.regex(verdict, new RegExp(`best is ${title} with ${best?.result.bins} bins`))
  t.true(verdict.includes(`${Math.round(best?.needed.candidatesMean as number)} for 90 %`))
  t.regex(verdict, /comparisons a query/)
})

test('a truth that is given is not computed again, and is believed', async (t) => {
  const stages: string[] = []
  const truth = new Int32Array(asked * k).map((_, place) => place % k)
  const { results } = await compareMethods(base, queries, {
    dimensions,
    methods: ['kmeans'],
    bins: [8],
    truth,
    onProgress: ({ stage, method }) => stages.push(`${method} ${stage}`)
  })
  t.false(stages.includes('undefined exact-search'))
  t.true((results[0]?.curves[0]?.points.at(-1)?.accuracy as number) === 1)
})

test('a method whose training diverges is left out, and fails the comparison only if it is the only one', async (t) => {
  const optimizer = { type: 'sgd', learningRate: 1e9 } as const
  const options = { dimensions, bins: [8], classifier: { hidden: [16], epochs: 2, optimizer } } as const
  const { results, failures } = await compareMethods(base, queries, { ...options, methods })
  t.deepEqual(
    results.map(({ method }) => method),
    ['kmeans']
  )
  t.like(failures, [{ method: 'neural-lsh', bins: 8 }])
  t.regex(failures[0]?.message ?? '', /diverged/)
  const alone = compareMethods(base, queries, { ...options, methods: ['neural-lsh'] })
  await t.throwsAsync(alone, { code: 'ERR_NLSH_TRAINING' })
})

test('an abort stops the comparison with its reason', async (t) => {
  const reason = new Error('enough')
  const stop = new AbortController()
  const running = compareMethods(base, queries, {
    dimensions,
    methods,
    bins,
    signal: stop.signal,
    onProgress: ({ method }) => method === 'neural-lsh' && stop.abort(reason)
  })
  t.is(await t.throwsAsync(running), reason)
})

test('wrong options are refused before anything is built', async (t) => {
  const ask = (options: object) => () =>
    compareMethods(base, queries, { dimensions, methods, bins, ...options } as Parameters<typeof compareMethods>[2])
  await rejectsArgument(t, ask({ methods: ['k-means'] }), 'methods[0]', /did you mean 'kmeans'\?/)
  await rejectsArgument(
    t,
    ask({ methods: ['kmeans', 'faiss'] }),
    'methods[1]',
    /there are neural-lsh, two-level, lecture/
  )
  await rejectsArgument(t, ask({ methods: [] }), 'methods', /must not be empty/)
  await rejectsArgument(t, ask({ methods: undefined }), 'methods', /is required/)
  await rejectsArgument(t, ask({ bins: [8, rows + 1] }), 'bins[1]', /2 to 1200/)
  await rejectsArgument(t, ask({ methods: ['itq'], bins: [10] }), 'bins', /power of two/)
  await rejectsArgument(t, ask({ router: 'own' }), 'router', /its own/)
  await rejectsArgument(t, ask({ partition: { method: 'kmeans' } }), 'partition.method', /its own/)
  await rejectsArgument(t, ask({ methods: ['kmeans'], classifier }), 'classifier', /none of the methods/)
  await rejectsArgument(t, ask({ truth: new Int32Array(7) }), 'truth')
  await rejectsArgument(t, ask({ bin: [8] }), 'bin', /did you mean bins\?/)
  await rejectsArgument(
    t,
    () => compareMethods(base, queries.subarray(1), { dimensions, methods }),
    'queries',
    /multiple of dimensions/
  )
})
