/**
 * The cut and the seconds of the TypeScript engine's partitioner beside KaHIP's, on 10-NN graphs:
 *
 *     npm run data -- mnist && node bench/typescript-partition.mjs [mnist:10000 | sift:50000 | glove:50000 ...] [--modes a,b]
 *
 * A set is read up to so many rows.
 */
import { parseArgs } from 'node:util'
import { buildKnnGraph, buildSimilarityGraph, partitionGraph, readVectors } from 'neural-lsh'
import { partition } from '../dist/engines/typescript/partition.js'
import { findFile, mnistImages, printTable } from './data.mjs'

const { values, positionals } = parseArgs({
  options: { modes: { type: 'string', default: 'fastsocial' } },
  allowPositionals: true
})
const files = {
  mnist: mnistImages,
  glove: () => findFile('glove', 'base.fvecs'),
  siftsmall: () => findFile('sift', 'siftsmall_base.bvecs.gz'),
  sift: () => findFile('sift', 'sift1m_base.bvecs.gz')
}
const sets = positionals.length
  ? positionals
  : ['mnist:10000', 'mnist:60000', 'glove:50000', 'siftsmall:10000', 'sift:50000']

async function timed(work) {
  const start = performance.now()
  const result = await work()
  return [result, ((performance.now() - start) / 1000).toFixed(1)]
}

const rows = []
for (const set of sets) {
  const [name, limit] = set.split(':')
  const { vectors, dimensions } = await readVectors(files[name](), { limit: Number(limit) })
  const metric = name === 'glove' ? 'cosine' : 'euclidean'
  const graph = await buildSimilarityGraph(
    await buildKnnGraph(vectors, { dimensions, metric, neighbors: 10, method: 'exact' })
  )
  for (const bins of [64, 256]) {
    for (const mode of values.modes.split(',')) {
      const options = { bins, mode, imbalance: 0.03, seed: 1, seeds: 1 }
      const [kahip, kahipSeconds] = await timed(() => partitionGraph(graph, options))
      const [own, seconds] = await timed(() => partition(graph, options, { threads: 1 }))
      const ratio = (own.edgeCut / kahip.edgeCut).toFixed(3)
      rows.push([set, bins, mode, kahip.edgeCut, kahipSeconds, own.edgeCut, seconds, own.balance.toFixed(3), ratio])
    }
  }
}
printTable(['set', 'bins', 'mode', 'KaHIP cut', 'seconds', 'own cut', 'seconds', 'balance', 'own / KaHIP'], rows)
