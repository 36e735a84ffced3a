import test from 'ava'
import { buildKnnGraph, buildSimilarityGraph, partitionGraph, type SimilarityGraph } from '../../lib/index.js'
import { clustered } from '../support/vectors.js'

const graphOf = async (rows: number) =>
  buildSimilarityGraph(await buildKnnGraph(clustered(rows, 8), { dimensions: 8, neighbors: 8 }))

function cutOf({ xadj, adjncy, adjcwgt }: SimilarityGraph, labels: Int32Array): number {
  let cut = 0
  labels.forEach((label, from) => {
    for (let at = xadj[from] as number; at < (xadj[from + 1] as number); at++) {
      if (labels[adjncy[at] as number] !== label) cut += adjcwgt[at] as number
    }
  })
  return cut / 2
}

for (const mode of ['fast', 'eco', 'strong', 'fastsocial', 'ecosocial', 'strongsocial'] as const) {
  test(`${mode}: labels in range, bins of bounded size, cut and balance as recomputed here`, async (t) => {
    const graph = await graphOf(600)
    const { bins, labels, edgeCut, balance } = await partitionGraph(graph, { bins: 8, mode, imbalance: 0.05 })
    const sizes = new Array(8).fill(0)
    for (const label of labels) sizes[label]++
    t.is(bins, 8)
    t.is(labels.length, 600)
    t.is(sizes.length, 8, 'no label is out of range')
    t.true(Math.max(...sizes) <= Math.floor(1.05 * 75), `${sizes}`)
    t.is(edgeCut, cutOf(graph, labels))
    t.true(Math.abs(balance - Math.max(...sizes) / 75) < 1e-12)
    const total = graph.adjcwgt.reduce((sum, weight) => sum + weight, 0) / 2
    t.true(edgeCut < 0.5 * total, `${edgeCut} of ${total}: a random partition cuts seven eighths`)
  })
}

test('two groups that one edge joins are told apart', async (t) => {
  const edges = (group: number) =>
    [0, 1, 2, 3].filter((other) => other !== group % 4).map((other) => other + (group < 4 ? 0 : 4))
  const rows = Array.from({ length: 8 }, (_, node) => edges(node))
  rows[3]?.push(4)
  rows[4]?.unshift(3)
  const adjncy = Int32Array.from(rows.flat())
  const xadj = Int32Array.from([0, ...rows.map((_, node) => rows.slice(0, node + 1).flat().length)])
  const graph = { xadj, adjncy, adjcwgt: new Int32Array(adjncy.length).fill(1) }
  const { labels, edgeCut, balance } = await partitionGraph(graph, { bins: 2, mode: 'ecosocial' })
  t.is(edgeCut, 1)
  t.is(balance, 1)
  t.is(new Set(labels.subarray(0, 4)).size, 1)
  t.is(new Set(labels.subarray(4)).size, 1)
})

test('a graph without edges, and as many bins as points', async (t) => {
  const none = { xadj: new Int32Array(6), adjncy: new Int32Array(0), adjcwgt: new Int32Array(0) }
  const { labels, edgeCut } = await partitionGraph(none, { bins: 5, imbalance: 0 })
  t.is(edgeCut, 0)
  t.is(labels.length, 5)
  t.is((await partitionGraph(await graphOf(40), { bins: 40 })).labels.length, 40)
})

test('the same seed gives the same labels, also for two at once', async (t) => {
  const graph = await graphOf(600)
  const alone = await partitionGraph(graph, { bins: 8, seed: 3 })
  const both = await Promise.all([
    partitionGraph(graph, { bins: 8, seed: 3 }),
    partitionGraph(graph, { bins: 8, seed: 3 })
  ])
  for (const { labels, edgeCut } of both) {
    t.deepEqual(labels, alone.labels)
    t.is(edgeCut, alone.edgeCut)
  }
})
