// The rules' projections are multiplied in bytes for queries: what that costs in accuracy, against double precision.
import test from 'ava'
import { networkOf } from '../../lib/baselines/rules.js'
import type { PartitionRule } from '../../lib/classifier/network.js'
import type { ProjectionMethod } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { exactSearch } from '../../lib/index.js'
import { projectionsOf, readWords } from './partition.js'
import { plainLogits } from './plain-rules.js'

const k = 10
const bins = 64
const probings = [1, 2, 4, 8, 16]
const engine = createNativeEngine()
const all = { threads: 0 }

const words = readWords(8000).then(async ({ vectors, dimensions }) => {
  const queries = vectors.filter((_, i) => Math.floor(i / dimensions) % 8 === 0)
  const base = vectors.filter((_, i) => Math.floor(i / dimensions) % 8 > 0)
  return { base, queries, dimensions, truth: await exactSearch(base, queries, { dimensions, k }) }
})

/** What routes queries in bytes. */
async function searcherOf(base: Float32Array<ArrayBuffer>, dimensions: number, method: ProjectionMethod) {
  const made = await engine.projectionPartition(base, dimensions, { method, bins, iterations: 10, seed: 1 }, all)
  const classifier = {
    network: networkOf(method, bins, dimensions),
    parameters: Float32Array.from([...made.weights, ...made.biases]),
    buffers: new Float32Array(0),
    input: { unitLength: false, mean: new Float32Array(dimensions), scale: new Float32Array(dimensions).fill(1) },
    temperature: 3
  }
  const vectors = new Float32Array(base.length)
  const grouped = await engine.groupIntoBins(made.labels, bins, { from: base, to: vectors, dimensions }, all)
  const state = { metric: 'euclidean', dimensions, bins: grouped, vectors, classifier, scan: 'exact' } as const
  return { made, searcher: await engine.openSearcher({ ...state, codes: undefined }, all) }
}

for (const method of ['itq', 'cross-polytope', 'pca-tree', 'rp-tree', 'kd-tree'] as const) {
  test(`${method} in bytes loses no more than a tenth of a point of Acc@10`, async (t) => {
    const { base, queries, dimensions, truth } = await words
    const { made, searcher } = await searcherOf(base, dimensions, method)
    const rule = networkOf(method, bins, dimensions).layers[1] as PartitionRule
    const count = queries.length / dimensions
    const routed = await searcher.route(queries, bins, all)
    const precise = Array.from({ length: count }, (_, query) => {
      const logits = plainLogits(rule, projectionsOf(made, queries, dimensions, query))
      return Array.from(logits.keys()).sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b)
    })
    const accuracy = (probes: number, rankingOf: (query: number) => ArrayLike<number>) => {
      let found = 0
      for (let query = 0; query < count; query++) {
        const read = new Set(Array.from(rankingOf(query)).slice(0, probes))
        for (const id of truth.ids.subarray(query * k, (query + 1) * k))
          if (read.has(made.labels[id] as number)) found++
      }
      return found / truth.ids.length
    }
    let lost = 0
    for (const probes of probings) {
      const inBytes = accuracy(probes, (query) => routed.bins.subarray(query * bins, (query + 1) * bins))
      const inDoubles = accuracy(probes, (query) => precise[query] as number[])
      t.log(`T = ${probes}: ${inBytes.toFixed(4)}, in double precision ${inDoubles.toFixed(4)}`)
      lost += (inDoubles - inBytes) / probings.length
    }
    t.log(`lost ${lost.toFixed(5)}`)
    t.true(lost <= 0.001)
    searcher.close()
  })
}
