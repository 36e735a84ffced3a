/** What every engine must come to, whatever the input: random vectors with ties, duplicates and odd sizes, against plain
 * loops. The engine in TypeScript runs twice: on one thread, and on workers that no job is too small for. */
import test from 'ava'
import fc from 'fast-check'
import { networkOf } from '../../lib/baselines/rules.js'
import type { Engine, Metric, SearchState, SimilarityGraph } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { nodeWorkers } from '../../lib/engines/typescript/threads/node-workers.js'
import { WorkerPool } from '../../lib/engines/typescript/threads/pool.js'
import { ArgumentError } from '../../lib/errors.js'
import { findFault, type Neighbor } from '../support/vectors.js'
import { distance, nearest } from './brute-force.js'
import { cudaEngines } from './cuda-engines.js'

const job = { threads: 2 }
const engines: [string, Engine][] = [
  ['native', createNativeEngine()],
  ['typescript', createTypescriptEngine()],
  ['typescript on workers', createTypescriptEngine(new WorkerPool({ ...nodeWorkers, cores: 2 }, { worthwhile: 0 }))],
  ...(await cudaEngines())
]
const [[, reference]] = engines as [[string, Engine]]

// ------------------------------------------------------------------------------------------------- random vectors

interface Sample {
  vectors: Float32Array<ArrayBuffer>
  dimensions: number
  rows: number
}

/** Whole numbers and halves, few of them: distances are exact, ties and duplicates are many. Or bytes, or numbers of any
 * size far from the origin. */
const numbers: Record<string, fc.Arbitrary<number>> = {
  few: fc.integer({ min: 0, max: 2 }),
  halves: fc.integer({ min: -5, max: 5 }).map((x) => x / 2),
  bytes: fc.integer({ min: 0, max: 255 }),
  negative: fc.integer({ min: -400, max: -300 })
}

const sampleOf = (mostRows: number, leastRows = 2): fc.Arbitrary<Sample> =>
  fc
    .record({
      rows: fc.integer({ min: leastRows, max: mostRows }),
      dimensions: fc.integer({ min: 1, max: 24 }),
      kind: fc.constantFrom(...Object.keys(numbers))
    })
    .chain(({ rows, dimensions, kind }) =>
      fc
        .array(numbers[kind] as fc.Arbitrary<number>, { minLength: rows * dimensions, maxLength: rows * dimensions })
        .map((values) => ({ vectors: Float32Array.from(values), dimensions, rows }))
    )

const metric = fc.constantFrom<Metric>('euclidean', 'inner-product')
const runs = (numRuns: number) => ({ numRuns, seed: 1 })

/** A share of what there is, at least one. */
const share = fc.double({ min: 0, max: 1, noNaN: true })
const upTo = (most: number, part: number) => 1 + Math.floor(part * (most - 1))

const sizesOf = (labels: Int32Array, bins: number) => {
  const sizes = new Array<number>(bins).fill(0)
  for (const label of labels) (sizes[label] as number)++
  return sizes
}

const isNear = (a: number, b: number, tolerance = 1e-5) => Math.abs(a - b) <= tolerance * (1 + Math.abs(a))

for (const [name, engine] of engines) {
  test(`${name}: the exact graph is that of plain loops, ties by row number`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sampleOf(180), metric, share, async ({ vectors, dimensions, rows }, metric, part) => {
        const neighbors = upTo(Math.min(rows - 1, 30), part)
        const options = { neighbors, method: 'exact', seed: 1 } as const
        const { ids, distances } = await engine.knnGraph(vectors, dimensions, metric, options, job)
        for (let row = 0; row < rows; row++) {
          const expected = nearest(metric, vectors, vectors, row, dimensions, neighbors, row)
          const own = ids.subarray(row * neighbors, (row + 1) * neighbors)
          t.deepEqual(
            Array.from(own),
            expected.map(({ id }) => id)
          )
          t.true(expected.every(({ distance }, i) => isNear(distance, distances[row * neighbors + i] as number)))
        }
      }),
      runs(40)
    )
  })

  test(`${name}: exact search is that of plain loops`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        sampleOf(200),
        metric,
        share,
        share,
        async ({ vectors, dimensions, rows }, metric, part, own) => {
          const k = upTo(Math.min(rows, 40), part)
          const queries = vectors.slice(0, upTo(rows, own) * dimensions).map((x, i) => x + (i % 3) - 1)
          const { ids } = await engine.exactSearch(vectors, queries, dimensions, metric, k, job)
          for (let query = 0; query * dimensions < queries.length; query++) {
            const expected = nearest(metric, vectors, queries, query, dimensions, k)
            t.deepEqual(
              Array.from(ids.subarray(query * k, (query + 1) * k)),
              expected.map(({ id }) => id)
            )
          }
        }
      ),
      runs(40)
    )
  })

  test(`${name}: unit vectors, and their graph up to rounding`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sampleOf(100), async ({ vectors, dimensions, rows }) => {
        const shifted = vectors.map((x, i) => (i % dimensions === 0 ? x + 1000 : x))
        const unit = await engine.prepareVectors(shifted, dimensions, 'cosine', 'vectors', job)
        const neighbors = Math.min(5, rows - 1)
        const options = { neighbors, method: 'exact', seed: 1 } as const
        const { ids, distances } = await engine.knnGraph(unit, dimensions, 'cosine', options, job)
        for (let row = 0; row < rows; row++) {
          const length = Math.hypot(...shifted.subarray(row * dimensions, (row + 1) * dimensions))
          for (let c = row * dimensions; c < (row + 1) * dimensions; c++)
            t.true(isNear((shifted[c] as number) / length, unit[c] as number, 1e-6))
          const range = [row * neighbors, (row + 1) * neighbors] as const
          const ranked: Neighbor[] = nearest('cosine', unit, unit, row, dimensions, rows, row)
          t.is(findFault(ids.subarray(...range), distances.subarray(...range), ranked, 1e-6), undefined)
        }
      }),
      runs(25)
    )
  })

  test(`${name}: what is no vector is named with its row`, async (t) => {
    const spoiled = fc.constantFrom(
      [Number.NaN, /^vectors: row (\d+), column (\d+) is NaN/],
      [Number.POSITIVE_INFINITY, /^vectors: row (\d+), column (\d+) is infinite/],
      [-1e30, /^vectors: row (\d+) has values so large/]
    ) as fc.Arbitrary<[number, RegExp]>
    await fc.assert(
      fc.asyncProperty(sampleOf(60), spoiled, share, async ({ vectors, dimensions }, [value, message], place) => {
        const at = Math.floor(place * (vectors.length - 1))
        vectors.fill(7) // nothing else is wrong with them
        vectors[at] = value
        for (const metric of ['euclidean', 'cosine'] as const) {
          const error = await t.throwsAsync(engine.prepareVectors(vectors, dimensions, metric, 'vectors', job), {
            instanceOf: ArgumentError,
            message
          })
          const [, row, column = at % dimensions] = message.exec(error.message) as RegExpExecArray
          t.deepEqual([Number(row), Number(column)], [Math.floor(at / dimensions), at % dimensions])
        }
      }),
      runs(25)
    )
    const zeros = new Float32Array(20).fill(1, 0, 15)
    await t.throwsAsync(engine.prepareVectors(zeros, 5, 'cosine', 'queries', job), {
      message: /^queries: row 3 is all/
    })
  })

  test(`${name}: the similarity graph is the one by its definition`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sampleOf(120), share, async ({ vectors, dimensions, rows }, part) => {
        const neighbors = upTo(Math.min(rows - 1, 12), part)
        const options = { neighbors, method: 'exact', seed: 1 } as const
        const knn = await engine.knnGraph(vectors, dimensions, 'euclidean', options, job)
        const found = await engine.similarityGraph(knn, job)
        t.deepEqual(found, plainSimilarity(knn.ids, neighbors))
      }),
      runs(30)
    )
  })

  test(`${name}: partitions keep their bound, and the cut is what they say`, async (t) => {
    const options = fc.record({ bins: fc.integer({ min: 2, max: 9 }), imbalance: fc.constantFrom(0.03, 0.1, 0.5) })
    await fc.assert(
      fc.asyncProperty(sampleOf(250, 20), options, async ({ vectors, dimensions, rows }, { bins, imbalance }) => {
        const knn = { neighbors: 4, method: 'exact', seed: 1 } as const
        const { ids } = await reference.knnGraph(vectors, dimensions, 'euclidean', knn, job)
        const graph = plainSimilarity(ids, 4)
        const asked = { bins, imbalance, mode: 'fastsocial', seed: 1, seeds: 1 } as const
        const made = await engine.partition(graph, asked, job)
        t.true(made.labels.every((label) => label >= 0 && label < bins))
        const most = Math.max(...sizesOf(made.labels, bins))
        t.true(most <= (1 + imbalance) * Math.ceil(rows / bins) + 1e-9, `${most} of ${rows} in ${bins}`)
        t.true(isNear(made.balance, (most * bins) / rows))
        t.is(made.edgeCut, plainCut(graph, made.labels))
      }),
      runs(25)
    )
  })

  test(`${name}: k-means puts each row to its nearest centroid and says how far that is`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sampleOf(150), share, async ({ vectors, dimensions, rows }, part) => {
        const bins = upTo(rows, part / 3)
        const options = { bins, iterations: 5, seed: 1 }
        const { labels, centroids, meanSquaredError, balance } = await engine.kmeans(vectors, dimensions, options, job)
        let sum = 0
        for (let row = 0; row < rows; row++) {
          const [best] = nearest('euclidean', centroids, vectors, row, dimensions, 1) as [Neighbor]
          const own = distance('euclidean', centroids, labels[row] as number, vectors, row, dimensions)
          t.true(own - best.distance <= 1e-3 * (1 + best.distance))
          sum += own
        }
        t.true(isNear(sum / rows, meanSquaredError, 1e-3))
        t.true(isNear(balance, (Math.max(...sizesOf(labels, bins)) * bins) / rows))
      }),
      runs(25)
    )
  })

  test(`${name}: bins hold their rows in ascending order`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sampleOf(200), share, async ({ vectors, dimensions, rows }, part) => {
        const bins = upTo(40, part)
        const labels = Int32Array.from({ length: rows }, (_, row) => (row * row + 3 * row) % bins)
        const to = new Float32Array(vectors.length)
        const { offsets, ids } = await engine.groupIntoBins(labels, bins, { from: vectors, to, dimensions }, job)
        const expected = Array.from({ length: bins }, (_, bin) =>
          [...labels.keys()].filter((row) => labels[row] === bin)
        )
        t.deepEqual(Array.from(ids), expected.flat())
        t.deepEqual(
          Array.from(offsets.subarray(1)),
          expected.map((_, bin) => expected.slice(0, bin + 1).flat().length)
        )
        for (const [place, row] of ids.entries())
          t.deepEqual(
            to.subarray(place * dimensions, (place + 1) * dimensions),
            vectors.subarray(row * dimensions, (row + 1) * dimensions)
          )
      }),
      runs(30)
    )
  })

  test(`${name}: codes of four bits are the same`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sampleOf(150), share, async (sample, part) => {
        const state = await stateOf(sample, upTo(8, part))
        t.deepEqual(await engine.encodeFourBits(state, 3, job), await reference.encodeFourBits(state, 3, job))
      }),
      runs(25)
    )
  })

  test(`${name}: routes are the same, and searches of all bins are those of plain loops`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sampleOf(150, 10), metric, share, async (sample, metric, part) => {
        const { vectors, dimensions, rows } = sample
        const bins = Math.max(2, upTo(Math.min(rows, 12), part))
        const state = { ...(await stateOf(sample, bins)), metric }
        const [searcher, other] = await Promise.all([engine, reference].map((one) => one.openSearcher(state, job)))
        if (!searcher || !other) return t.fail()
        const queries = vectors.slice(0, 7 * dimensions).map((x, i) => x + (i % 2))
        const [found, expected] = [await searcher.route(queries, bins, job), await other.route(queries, bins, job)]
        for (let query = 0; query < 7; query++) {
          const of = (routes: typeof found) => {
            const probabilities = new Float32Array(bins)
            for (let i = query * bins; i < (query + 1) * bins; i++)
              probabilities[routes.bins[i] as number] = routes.probabilities[i] as number
            return probabilities
          }
          const right = of(expected)
          t.true(of(found).every((probability, bin) => Math.abs(probability - (right[bin] as number)) < 0.02))
        }
        const k = Math.min(rows, 9)
        const answer = await searcher.searchBatch(queries, { k, probing: { probes: bins }, reranked: 0 }, job)
        for (let query = 0; query < 7; query++)
          t.deepEqual(
            Array.from(answer.ids.subarray(query * k, (query + 1) * k)),
            nearest(metric, vectors, queries, query, dimensions, k).map(({ id }) => id)
          )
        t.true(answer.candidates.every((count) => count === rows))
        searcher.close()
        other.close()
      }),
      runs(25)
    )
  })

  test(`${name}: bytes are searched as the numbers that they are, and within a radius`, async (t) => {
    const metrics = fc.constantFrom<Metric>('euclidean', 'inner-product', 'cosine')
    await fc.assert(
      fc.asyncProperty(bytesOf(120), metrics, share, async (sample, metric, part) => {
        const { dimensions, rows } = sample
        // Of unit vectors only the axes are bytes.
        const vectors = metric === 'cosine' ? axesOf(sample) : sample.vectors
        const state = await stateOf({ ...sample, vectors }, upTo(8, part))
        const searcher = await engine.openSearcher({ ...state, metric, vectors: Uint8Array.from(state.vectors) }, job)
        const asked = sample.vectors.slice(0, 6 * dimensions).map((x, i) => x + 1 + (i % 3))
        const queries = await engine.prepareVectors(asked, dimensions, metric, 'queries', job)
        const k = upTo(Math.min(rows, 12), part)
        const probing = { probes: 8 }
        const { ids } = await searcher.searchBatch(asked, { k, probing, reranked: 0 }, job)
        for (let query = 0; query < 6; query++) {
          const ranked = nearest(metric, vectors, queries, query, dimensions, rows)
          const own = ids.subarray(query * k, (query + 1) * k)
          const distances = Float32Array.from(own, (id) => distance(metric, vectors, id, queries, query, dimensions))
          t.is(findFault(own, distances, ranked, 1e-6), undefined)
          const radius = (ranked[k - 1] as Neighbor).distance
          const row = asked.slice(query * dimensions, (query + 1) * dimensions)
          const within = await searcher.searchRadius(row, { radius: radius + 1e-4, probing }, 'query', job)
          const expected = ranked.filter(({ distance }) => distance <= radius + 1e-4)
          t.deepEqual(
            Array.from(within.ids).sort((a, b) => a - b),
            expected.map(({ id }) => id).sort((a, b) => a - b)
          )
        }
        searcher.close()
      }),
      runs(25)
    )
  })
}

const bytesOf = (mostRows: number) =>
  sampleOf(mostRows, 10).map((sample) => ({
    ...sample,
    vectors: sample.vectors.map((x) => Math.abs(Math.round(x)) % 256)
  }))

function axesOf({ vectors, dimensions, rows }: Sample): Float32Array<ArrayBuffer> {
  const axes = new Float32Array(vectors.length)
  for (let row = 0; row < rows; row++) axes[row * dimensions + ((vectors[row * dimensions] as number) % dimensions)] = 1
  return axes
}

/** {i, j} is an edge where either is the other's neighbor; of weight 2 where each is. */
function plainSimilarity(ids: Int32Array, neighbors: number): SimilarityGraph {
  const rows = Array.from({ length: ids.length / neighbors }, () => new Map<number, number>())
  for (const [i, to] of ids.entries()) {
    const from = Math.floor(i / neighbors)
    for (const [a, b] of [
      [from, to],
      [to, from]
    ] as const)
      rows[a]?.set(b, (rows[a]?.get(b) ?? 0) + 1)
  }
  const entries = rows.map((row) => [...row].sort(([a], [b]) => a - b))
  let end = 0
  return {
    xadj: Int32Array.from([0, ...entries.map((row) => (end += row.length))]),
    adjncy: Int32Array.from(entries.flat(), ([target]) => target),
    adjcwgt: Int32Array.from(entries.flat(), ([, weight]) => weight)
  }
}

function plainCut({ xadj, adjncy, adjcwgt }: SimilarityGraph, labels: Int32Array): number {
  let cut = 0
  for (const [from, label] of labels.entries())
    for (let e = xadj[from] as number; e < (xadj[from + 1] as number); e++)
      if (labels[adjncy[e] as number] !== label) cut += adjcwgt[e] as number
  return cut / 2
}

/** An index whose bins a tree of hyperplanes ranks. */
async function stateOf({ vectors, dimensions, rows }: Sample, bins: number): Promise<SearchState> {
  const leaves = Math.max(2, Math.min(bins, rows))
  const options = { method: 'rp-tree', bins: leaves, iterations: 1, seed: 5 } as const
  const made = await reference.projectionPartition(vectors, dimensions, options, job)
  const to = new Float32Array(vectors.length)
  return {
    metric: 'euclidean',
    dimensions,
    vectors: to,
    bins: await reference.groupIntoBins(made.labels, leaves, { from: vectors, to, dimensions }, job),
    scan: 'exact',
    classifier: {
      network: networkOf('rp-tree', leaves, dimensions),
      parameters: Float32Array.from([...made.weights, ...made.biases]),
      buffers: new Float32Array(0),
      input: { unitLength: false, mean: new Float32Array(dimensions), scale: new Float32Array(dimensions).fill(1) },
      // So that probabilities are not all 0 or 1, where the native router computes in bytes.
      temperature: 1 + dimensions * vectors.reduce((most, x) => Math.max(most, Math.abs(x)), 0) ** 2
    }
  }
}
