import test from 'ava'
import fc from 'fast-check'
import type { SimilarityGraph } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { coarsen } from '../../lib/engines/typescript/coarsen.js'
import { blockWeightsOf, edgeCutOf } from '../../lib/engines/typescript/graph.js'
import { partition } from '../../lib/engines/typescript/partition.js'
import { Random } from '../../lib/engines/typescript/random.js'
import { rebalance, searchLocally } from '../../lib/engines/typescript/refine.js'
import { ArgumentError } from '../../lib/errors.js'
import { finish } from '../support/steps.js'
import { clustered } from '../support/vectors.js'
import { readWords } from '../support/words.js'

const native = createNativeEngine()
const job = { threads: 1 }
const defaults = { mode: 'fastsocial', imbalance: 0.03, seed: 1, seeds: 1 } as const

type Edge = readonly [from: number, to: number, weight: number]

function graphOf(nodes: number, edges: readonly Edge[]): SimilarityGraph {
  const rows = Array.from({ length: nodes }, () => new Map<number, number>())
  for (const [from, to, weight] of edges) {
    if (from === to) continue
    rows[from]?.set(to, weight)
    rows[to]?.set(from, weight)
  }
  const entries = rows.map((row) => [...row].sort(([a], [b]) => a - b))
  let end = 0
  return {
    xadj: Int32Array.from([0, ...entries.map((row) => (end += row.length))]),
    adjncy: Int32Array.from(entries.flat(), ([target]) => target),
    adjcwgt: Int32Array.from(entries.flat(), ([, weight]) => weight)
  }
}

function cutOf({ xadj, adjncy, adjcwgt }: SimilarityGraph, labels: Int32Array): number {
  let cut = 0
  labels.forEach((label, from) => {
    for (let at = xadj[from] as number; at < (xadj[from + 1] as number); at++) {
      if (labels[adjncy[at] as number] !== label) cut += adjcwgt[at] as number
    }
  })
  return cut / 2
}

const sizesOf = (labels: Int32Array, bins: number) =>
  Array.from({ length: bins }, (_, bin) => labels.filter((label) => label === bin).length)

const randomEdges = (nodes: number) =>
  fc.array(
    fc.tuple(
      fc.integer({ min: 0, max: nodes - 1 }),
      fc.integer({ min: 0, max: nodes - 1 }),
      fc.integer({ min: 1, max: 50 })
    ),
    { maxLength: 5 * nodes }
  )
const star = (nodes: number) => Array.from({ length: nodes }, (_, node) => [0, node, 1 + (node % 3)] as const)

const tasks = fc.integer({ min: 2, max: 200 }).chain((nodes) =>
  fc.record({
    nodes: fc.constant(nodes),
    edges: fc.oneof(randomEdges(nodes), fc.constant<Edge[]>([]), fc.constant(star(nodes))),
    bins: fc.oneof(fc.integer({ min: 2, max: nodes }), fc.integer({ min: 2, max: Math.min(8, nodes) })),
    imbalance: fc.constantFrom(0, 0.03, 0.2, 1),
    seed: fc.integer({ min: 0, max: 2 ** 31 - 1 })
  })
)

test('random graphs, also without edges, disconnected or stars: labels in range, the bound kept, the cut recomputed', async (t) => {
  await fc.assert(
    fc.asyncProperty(tasks, async ({ nodes, edges, bins, imbalance, seed }) => {
      const graph = graphOf(nodes, edges)
      const { labels, edgeCut, balance } = await partition(graph, { ...defaults, bins, imbalance, seed }, job)
      const sizes = sizesOf(labels, bins)
      t.is(
        sizes.reduce((sum, size) => sum + size, 0),
        nodes,
        'no label is out of range'
      )
      const largest = Math.max(...sizes)
      t.true(largest <= (1 + imbalance) * Math.ceil(nodes / bins) + 1e-9, `${sizes}`)
      t.is(balance, (largest * bins) / nodes)
      t.is(edgeCut, cutOf(graph, labels))
    }),
    { numRuns: 150, seed: 1 }
  )
})

test('cliques that fill their bins are not cut', async (t) => {
  const edges = Array.from({ length: 40 }, (_, clique) =>
    Array.from({ length: 100 }, (_, i) => [10 * clique + (i % 10), 10 * clique + Math.floor(i / 10), 2] as const)
  )
  const { edgeCut, balance } = await partition(graphOf(400, edges.flat()), { ...defaults, bins: 40, imbalance: 0 }, job)
  t.is(edgeCut, 0)
  t.is(balance, 1)
})

const side = 48
const grid = graphOf(
  side * side,
  Array.from({ length: side * side }, (_, i) => [
    [i, i % side < side - 1 ? i + 1 : i, 1] as const,
    [i, i + side < side * side ? i + side : i, 1] as const
  ]).flat()
)

test('a grid is cut at most 15 % more than by KaHIP', async (t) => {
  const { edgeCut } = await partition(grid, { ...defaults, bins: 16 }, job)
  const expected = await native.partition(grid, { ...defaults, bins: 16 }, job)
  t.true(edgeCut <= 1.15 * expected.edgeCut, `${edgeCut} ${expected.edgeCut}`)
})

/** The grid with heavier nodes, 8 blocks of at most `bound`. */
const weightedGrid = (nodeWeights: Int32Array) => ({
  nodes: side * side,
  offsets: grid.xadj,
  targets: grid.adjncy,
  edgeWeights: grid.adjcwgt,
  nodeWeights,
  weight: nodeWeights.reduce((sum, weight) => sum + weight, 0)
})

test('overloaded blocks give away what is too much, and no more', (t) => {
  const graph = weightedGrid(Int32Array.from({ length: side * side }, (_, node) => 1 + (node % 3)))
  const labels = Int32Array.from({ length: side * side }, (_, node) => (node % 11 === 0 ? 1 : 0))
  const bounds = new Float64Array(8).fill(Math.ceil(graph.weight / 8) + 3)
  finish(rebalance(graph, { labels, bounds }))
  const weights = blockWeightsOf(graph, labels, 8)
  t.true(
    weights.every((weight, block) => weight <= (bounds[block] as number)),
    `${weights}`
  )
  t.true((weights[0] as number) > (bounds[0] as number) - 3)
})

test('clusters lie inside of blocks, are as light as they must be, and keep the weights', (t) => {
  const graph = weightedGrid(new Int32Array(side * side).fill(1))
  const blocks = Int32Array.from({ length: side * side }, (_, node) => (node % side < 20 ? 0 : 1))
  const { graph: coarse, clusters } = finish(coarsen(graph, 10, blocks, new Random(1)))
  const blockOf = new Int32Array(coarse.nodes)
  clusters.forEach((cluster, node) => {
    blockOf[cluster] = blocks[node] as number
  })
  t.deepEqual(
    clusters.map((cluster) => blockOf[cluster] as number),
    blocks
  )
  t.true(coarse.nodes < graph.nodes / 3)
  t.deepEqual(coarse.nodeWeights, Int32Array.from(sizesOf(clusters, coarse.nodes)))
  t.true(Math.max(...coarse.nodeWeights) <= 10)
  t.is(edgeCutOf(coarse, blockOf), side)
})

test('local searches lower a cut to a third, within the bounds', (t) => {
  const graph = weightedGrid(new Int32Array(side * side).fill(1))
  const labels = Int32Array.from({ length: side * side }, (_, node) => (node * 5) % 8)
  const bounds = new Float64Array(8).fill(Math.ceil(1.03 * (graph.weight / 8)))
  const before = cutOf(grid, labels)
  finish(searchLocally(graph, { labels, bounds }, 10, new Random(1)))
  t.true(cutOf(grid, labels) < before / 3, `${before} ${cutOf(grid, labels)}`)
  t.true(Math.max(...sizesOf(labels, 8)) <= (bounds[0] as number))
})

test('a graph of words is cut at most 15 % more than by KaHIP, and the same seed gives the same labels', async (t) => {
  const { vectors, dimensions } = await readWords(5000)
  const unit = await native.prepareVectors(vectors, dimensions, 'cosine', 'vectors', job)
  const knn = await native.knnGraph(unit, dimensions, 'cosine', { neighbors: 10, method: 'exact', seed: 1 }, job)
  const graph = await native.similarityGraph(knn, job)
  for (const bins of [16, 64]) {
    const options = { ...defaults, bins }
    const found = await partition(graph, options, job)
    const { edgeCut } = await native.partition(graph, options, job)
    t.true(found.edgeCut <= 1.15 * edgeCut, `${found.edgeCut} ${edgeCut}`)
    t.deepEqual(await partition(graph, options, job), found)
    t.notDeepEqual((await partition(graph, { ...options, seed: 2 }, job)).labels, found.labels)
  }
})

test('more seeds and slower modes cut no more, and every pass is reported', async (t) => {
  const vectors = clustered(1500, 8)
  const knn = await native.knnGraph(vectors, 8, 'euclidean', { neighbors: 8, method: 'exact', seed: 1 }, job)
  const graph = await native.similarityGraph(knn, job)
  const once = await partition(graph, { ...defaults, bins: 24 }, job)
  const reports: [number, number][] = []
  const onProgress = (done: number, total: number) => reports.push([done, total])
  const thrice = await partition(graph, { ...defaults, bins: 24, seeds: 3 }, { threads: 1, onProgress })
  const strong = await partition(graph, { ...defaults, bins: 24, mode: 'strongsocial' }, job)
  t.true(thrice.edgeCut <= once.edgeCut)
  t.true(strong.edgeCut <= once.edgeCut)
  t.true(reports.every(([done, total], i) => total === 9 && done <= total && done >= (reports[i - 1]?.[0] ?? 0)))
  t.true(new Set(reports.map(([done]) => done)).size > 5)
})

test('what is wrong with a graph is named as by the native engine', async (t) => {
  const graph = (xadj: number[], adjncy: number[], adjcwgt: number[]) => ({
    xadj: Int32Array.from(xadj),
    adjncy: Int32Array.from(adjncy),
    adjcwgt: Int32Array.from(adjcwgt)
  })
  const wrong = [
    graph([1, 1, 2], [1, 0], [1, 1]),
    graph([0, 2, 1, 2], [1, 0], [1, 1]),
    graph([0, 1, 2], [1, 0, 1], [1, 1, 1]),
    graph([0, 1, 2], [1, 0], [1]),
    graph([0, 1, 2], [2, 0], [1, 1]),
    graph([0, 1, 2], [0, 0], [1, 1]),
    graph([0, 2, 3, 4], [2, 1, 0, 0], [1, 1, 1, 1]),
    graph([0, 1, 2], [1, 0], [0, 0]),
    graph([0, 1, 2], [1, 0], [1, 2]),
    graph([0, 1, 1], [1], [1]),
    graph([0, 0, 1], [0], [1]),
    graph([0, 1, 2, 3], [1, 2, 0], [1, 1, 1]),
    graph([0, 1, 2], [1, 0], [2 ** 30, 2 ** 30])
  ]
  for (const each of wrong) {
    const options = { ...defaults, bins: 2 }
    const expected = await t.throwsAsync(native.partition(each, options, job), { instanceOf: ArgumentError })
    const { message } = (await t.throwsAsync(partition(each, options, job), { instanceOf: ArgumentError })) as Error
    t.is(message, expected.message)
  }
})
