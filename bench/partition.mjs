/**
 * Seconds and cut of KaHIP's six modes on 10-NN graphs, from which the default mode was chosen:
 *
 *     npm run data -- mnist && node bench/partition.mjs [mnist | glove | sift | sift-1m] [bins ...] [--modes a,b]
 *
 * A mode that needs more than a minute is stopped. Many bins, or those of a large graph, are made by recursion.
 */
import { parseArgs } from 'node:util'
import { buildKnnGraph, buildSimilarityGraph, partitionGraph } from 'neural-lsh'
import { printTable, readSet } from './data.mjs'

const { values, positionals } = parseArgs({
  options: { modes: { type: 'string', default: 'fast,fastsocial,eco,ecosocial,strong,strongsocial' } },
  allowPositionals: true
})
const modes = values.modes.split(',')
const [set = 'mnist', ...counts] = positionals

const { vectors, dimensions } = await readSet(set)
const metric = set.startsWith('glove') ? 'cosine' : 'euclidean'
const graph = await buildSimilarityGraph(await buildKnnGraph(vectors, { dimensions, metric, neighbors: 10 }))
const totalWeight = graph.adjcwgt.reduce((sum, weight) => sum + weight, 0) / 2

async function measure(bins, mode) {
  const start = performance.now()
  try {
    const { edgeCut, balance, peakBytes } = await partitionGraph(graph, {
      bins,
      mode,
      signal: AbortSignal.timeout(60_000)
    })
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    return [bins, mode, seconds, (edgeCut / totalWeight).toFixed(3), balance.toFixed(3), (peakBytes / 1e6).toFixed(0)]
  } catch (error) {
    if (error.name !== 'TimeoutError') throw error
    return [bins, mode, '> 60', '', '', '']
  }
}

const rows = []
for (const bins of counts.length ? counts.map(Number) : [16, 64, 256]) {
  for (const mode of modes) rows.push(await measure(bins, mode))
}
console.log(`${set}: a 10-NN graph of ${graph.xadj.length - 1} points, one seed`)
printTable(['bins', 'mode', 'seconds', 'share of edge weight cut', 'balance', 'megabytes'], rows)
