import test from 'ava'
import type { JobOptions, Probing, SearchState } from '../../lib/engines/engine.js'
import { ArgumentError } from '../../lib/errors.js'
import { type EvaluationPoint, type EvaluationSubject, evaluate } from '../../lib/evaluation/evaluate.js'

const dimensions = 3
const k = 5
const bins = 7
const point = (probing: Probing): EvaluationPoint => ({ asked: probing, request: { k, probing, reranked: 0 } })

/** Reproducible numbers in [0, 1). */
function randomNumbers(seed: number) {
  let state = seed
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32
    return state / 2 ** 32
  }
}

/** Points of the cube's corners only, so that nearly every distance ties with many others. */
function corners(rows: number, seed: number) {
  const random = randomNumbers(seed)
  return Float32Array.from({ length: rows * dimensions }, () => Math.round(random()))
}

const rowOf = (vectors: Float32Array, row: number) => vectors.subarray(row * dimensions, (row + 1) * dimensions)

function distance(a: Float32Array, b: Float32Array) {
  return a.reduce((sum, value, i) => sum + (value - (b[i] as number)) ** 2, 0)
}

/** The first k of the rows `among`, nearest first; ties in the order of `tieOrder`. */
function nearest(
  vectors: Float32Array,
  query: Float32Array,
  among: number[],
  count: number,
  tieOrder: (row: number) => number
) {
  const far = (row: number) => distance(rowOf(vectors, row), query)
  return among.toSorted((a, b) => far(a) - far(b) || tieOrder(a) - tieOrder(b)).slice(0, count)
}

/** A made-up index of which every part is known: labels, ranking of the bins for each query, and brute force for the rest. */
function makeSubject(rows: number, asked: number) {
  const random = randomNumbers(1)
  const original = corners(rows, 2)
  const queries = corners(asked, 3)
  // Bin 3 is empty; ids run backwards through the bins, so that stored order and original order disagree everywhere.
  const labels = Array.from({ length: rows }, () => Math.floor(random() * bins)).map((bin) => (bin === 3 ? 4 : bin))
  const order = Array.from(labels.keys()).sort((a, b) => (labels[a] as number) - (labels[b] as number) || b - a)
  const ids = Int32Array.from(order)
  const offsets = Int32Array.from({ length: bins + 1 }, (_, bin) => labels.filter((label) => label < bin).length)
  const vectors = Float32Array.from(order.flatMap((row) => [...rowOf(original, row)]))
  const rankings = Array.from({ length: asked }, () => {
    const keys = Array.from({ length: bins }, random)
    return Array.from(keys.keys()).sort((a, b) => (keys[a] as number) - (keys[b] as number))
  })
  const probesOf = (query: number, { probes, mass }: Probing) =>
    probes ?? 1 + (Math.floor((mass as number) * 10 + query) % bins)
  const candidatesOf = (query: number, reach: number) => {
    const read = new Set(rankings[query]?.slice(0, reach))
    return Array.from(labels.keys()).filter((row) => read.has(labels[row] as number))
  }
  const queryNumber = (slice: Float32Array) => (slice.byteOffset - queries.byteOffset) / 4 / dimensions
  const exactDepths: number[] = []

  const state: SearchState = {
    metric: 'euclidean',
    dimensions,
    classifier: {
      network: { inputShape: [dimensions, 1, 1], layers: [{ type: 'linear', outputs: bins, bias: true }] },
      parameters: new Float32Array(0),
      buffers: new Float32Array(0),
      input: { unitLength: false, mean: new Float32Array(dimensions), scale: new Float32Array(dimensions) },
      temperature: 1
    },
    bins: { offsets, ids },
    vectors,
    scan: 'exact'
  }
  const subject: EvaluationSubject = {
    state,
    engine: {
      prepareVectors: async (given) => given.slice(),
      exactSearch: async (base, given, _dimensions, _metric, depth, job: JobOptions) => {
        exactDepths.push(depth)
        const all = Array.from({ length: rows }, (_, row) => row)
        const found = Array.from({ length: given.length / dimensions }, (_, i) =>
          nearest(base, rowOf(given, i), all, depth, (row) => row)
        )
        job.onProgress?.(1, 1)
        const distances = found.flatMap((list, i) => list.map((row) => distance(rowOf(base, row), rowOf(given, i))))
        return { ids: Int32Array.from(found.flat()), distances: Float32Array.from(distances) }
      }
    },
    searcher: {
      route: async (slice, probes) => {
        const first = queryNumber(slice)
        const chosen = rankings
          .slice(first, first + slice.length / dimensions)
          .flatMap((ranking) => ranking.slice(0, probes))
        return { bins: Int32Array.from(chosen), probabilities: new Float32Array(chosen.length) }
      },
      searchBatch: async (given, { k: count, probing }) => {
        const probes = Int32Array.from({ length: asked }, (_, query) => probesOf(query, probing))
        const candidates = Array.from(probes, (reach, query) => candidatesOf(query, reach))
        const results = candidates.map((rows, query) =>
          nearest(original, rowOf(given, query), rows, count, (row) => row)
        )
        return {
          ids: Int32Array.from(results.flatMap((list) => [...list, ...Array(count - list.length).fill(-1)])),
          distances: new Float32Array(asked * count),
          candidates: Int32Array.from(candidates, (rows) => rows.length),
          probes
        }
      }
    }
  }
  const truth = Array.from({ length: asked }, (_, query) =>
    nearest(original, rowOf(queries, query), Array.from(labels.keys()), k, (row) => row)
  )
  return { subject, queries, truth, probesOf, candidatesOf, exactDepths }
}

function expectedPoint({ truth, probesOf, candidatesOf }: ReturnType<typeof makeSubject>, probing: Probing) {
  const candidates = truth.map((_, query) => candidatesOf(query, probesOf(query, probing)))
  const hits = truth.flatMap((ids, query) => ids.filter((id) => candidates[query]?.includes(id)))
  const counts = candidates.map((rows) => rows.length).sort((a, b) => a - b)
  return { accuracy: hits.length / (truth.length * k), counts }
}

test('accuracy, recall and candidates are those of an independent count, ties by the smaller original id', async (t) => {
  const made = makeSubject(400, 41)
  const progress: string[] = []
  const evaluation = await evaluate(made.subject, made.queries, {
    k,
    points: [...[1, 2, 7].map((probes) => point({ probes })), point({ mass: 0.3 })],
    threads: 1,
    onProgress: ({ stage, done, total }) => progress.push(`${stage} ${done}/${total}`)
  })
  t.is(evaluation.k, k)
  t.is(evaluation.queries, 41)
  // One linear layer: each bin costs a product of `dimensions` numbers.
  t.is(evaluation.routerDistances, bins)
  t.deepEqual(
    evaluation.curve.map(({ probes, mass }) => probes ?? `mass ${mass}`),
    [1, 2, 7, 'mass 0.3']
  )
  for (const point of evaluation.curve) {
    const { accuracy, counts } = expectedPoint(
      made,
      point.probes ? { probes: point.probes } : { mass: point.mass as number }
    )
    t.is(point.accuracy, accuracy)
    // The made-up search keeps the k nearest candidates by (distance, id), so a true neighbor it has seen is returned.
    t.is(point.recall, accuracy)
    t.is(point.candidatesMean, counts.reduce((sum, one) => sum + one, 0) / counts.length)
    t.is(point.candidatesMedian, counts[20] as number)
    t.is(point.candidatesQ95, counts[38] as number)
    t.true(point.queriesPerSecond > 0)
  }
  t.is(evaluation.curve[2]?.accuracy, 1, 'reading all bins finds everything')
  t.true(made.exactDepths.length > 1, 'the ties reach beyond the first depth')
  t.true(made.exactDepths.every((depth) => depth <= 400))
  t.is(progress.at(-1), 'search 4/4')
  t.true(progress.includes('exact-search 41/41'))
})

test('quantiles interpolate as numpy does', async (t) => {
  const made = makeSubject(400, 4)
  const { curve } = await evaluate(made.subject, made.queries, { k, points: [point({ probes: 2 })], threads: 1 })
  const { counts } = expectedPoint(made, { probes: 2 })
  const [first, second, third, fourth] = counts as [number, number, number, number]
  t.is(curve[0]?.candidatesMedian, (second + third) / 2)
  t.true(first <= second)
  t.true(Math.abs((curve[0]?.candidatesQ95 as number) - (third + 0.85 * (fourth - third))) < 1e-9)
})

test('a given truth is taken as it is, its first k columns', async (t) => {
  const made = makeSubject(60, 9)
  // Row q: the ids q, q + 1 …, then two columns that must not count.
  const truth = Int32Array.from({ length: 9 * (k + 2) }, (_, i) => ((i % (k + 2)) + Math.floor(i / (k + 2))) % 60)
  const { curve } = await evaluate(made.subject, made.queries, { k, truth, points: [point({ probes: 3 })], threads: 1 })
  const hits = Array.from({ length: 9 }, (_, query) => {
    const candidates = made.candidatesOf(query, 3)
    return Array.from({ length: k }, (_, place) => query + place).filter((id) => candidates.includes(id)).length
  })
  t.is(curve[0]?.accuracy, hits.reduce((sum, one) => sum + one, 0) / (9 * k))
  t.deepEqual(made.exactDepths, [], 'nothing is computed that was given')
})

test('a truth id that is not in the index is an ArgumentError naming row and id', async (t) => {
  const made = makeSubject(60, 9)
  for (const stranger of [60, -1]) {
    const truth = new Int32Array(9 * k)
    truth[4 * k + 1] = stranger
    const error = await t.throwsAsync(
      evaluate(made.subject, made.queries, { k, truth, points: [point({ probes: 1 })], threads: 1 }),
      {
        instanceOf: ArgumentError,
        message: /row 4/
      }
    )
    t.true(error?.message.includes(String(stranger)))
  }
})

test('the event loop keeps turning while many rows are counted, and an abort stops the count', async (t) => {
  const made = makeSubject(60, 9)
  const rows = 2_000_000
  const queries = new Float32Array(rows * dimensions)
  const controller = new AbortController()
  let turns = 0
  const timer = setInterval(() => {
    if (++turns === 5) controller.abort(new Error('enough'))
  }, 1)
  const truth = new Int32Array(rows * k)
  const request = { k, truth, points: [point({ probes: 1 })], threads: 1, signal: controller.signal }
  await t.throwsAsync(evaluate(made.subject, queries, request), { message: 'enough' })
  clearInterval(timer)
  t.true(turns >= 5)
})
