/**
 * The approximate k-NN graph on all threads: seconds, peak memory beside the vectors, and recall@k of the graph on 1,000
 * rows whose neighbors are searched exactly; beside it, where that takes no more than a minute or two, the exact graph.
 * The last column says how long the n^2 d / 2 multiply-adds of the exact graph take at the machine's peak (machine.mjs).
 *
 *     npm run data -- mnist glove sift && node bench/approximate-graph.mjs [mnist | sift | glove | sift-1m ...] [--neighbors 50]
 *
 * Why leaves first, then joins of neighbors (native/cpu/approximate-graph.cpp): seconds of one thread to recall@10, k = 10,
 * on 100,000 vectors each, with the same kernels and lists of 20:
 *
 *                                        SIFT                          GloVe, cosine
 *     NN-descent from random lists       .72 5.6 s  .90 6.9 s  .96 8.3 s   .70 7.0 s, then it stays at .82
 *     passes of leaves, four a point     .84 1.1 s  .96 1.8 s  .99 2.4 s   .61 2.0 s  .90 4.5 s  .94 5.7 s  .96 6.9 s
 *     leaves and joins by turns          .95 2.2 s  .98 2.8 s              .81 2.9 s  .93 4.9 s  .97 6.4 s
 *     SIFT 1M: three passes of leaves .91 33 s, a join .97 49 s; by turns .81 29 s, .95 47 s, .97 54 s
 */
import { parseArgs } from 'node:util'
import { buildKnnGraph, exactSearch } from 'neural-lsh'
import { printTable, readSet } from './data.mjs'
import { machine } from './machine.mjs'

const { values, positionals } = parseArgs({
  options: { neighbors: { type: 'string', default: '10' } },
  allowPositionals: true
})
const neighbors = Number(values.neighbors)
const sampledRows = 1000
const mostExactWork = 1e13

/** The largest resident size in MB while `work` runs, less what was there before. */
async function withPeak(work) {
  const before = process.memoryUsage.rss()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 20)
  try {
    return { result: await work(), extra: Math.round((peak - before) / 1e6) }
  } finally {
    clearInterval(timer)
  }
}

async function timed(vectors, options) {
  const start = performance.now()
  const { result, extra } = await withPeak(() => buildKnnGraph(vectors, options))
  return { graph: result, extra, seconds: (performance.now() - start) / 1000 }
}

/** The share of the neighbors of evenly spread rows that are as near as the k-th of their exact ones. */
async function recall({ distances }, vectors, rows, { dimensions, metric }) {
  const sample = Array.from({ length: sampledRows }, (_, i) => Math.floor((i * rows) / sampledRows))
  const queries = new Float32Array(sampledRows * dimensions)
  for (const [i, row] of sample.entries())
    queries.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), i * dimensions)
  const exact = await exactSearch(vectors, queries, { dimensions, metric, k: neighbors + 1 })
  let found = 0
  for (const [i, row] of sample.entries()) {
    const range = [i * (neighbors + 1), (i + 1) * (neighbors + 1)]
    const others = exact.distances.subarray(...range).filter((_, j) => exact.ids[range[0] + j] !== row)
    const farthest = others[neighbors - 1]
    found += distances.subarray(row * neighbors, (row + 1) * neighbors).filter((far) => far <= farthest).length
  }
  return found / (sampledRows * neighbors)
}

const { peakGflops } = machine()
const { threads, gflops } = peakGflops.at(-1)
console.log(`At best, on ${threads} threads: ${gflops} GFLOP/s in floats; k = ${neighbors}`)
const table = []
for (const set of positionals.length ? positionals : ['mnist', 'sift', 'glove', 'sift-1m']) {
  const { vectors, rows, dimensions } = await readSet(set)
  const metric = set.startsWith('glove') ? 'cosine' : 'euclidean'
  const options = { dimensions, neighbors, metric }
  const work = rows * rows * dimensions
  const approximate = await timed(vectors, { ...options, method: 'approximate', seed: 1 })
  const exact = work <= mostExactWork ? (await timed(vectors, { ...options, method: 'exact' })).seconds : undefined
  table.push([
    set,
    rows,
    approximate.seconds.toFixed(1),
    (await recall(approximate.graph, vectors, rows, options)).toFixed(4),
    approximate.extra,
    exact?.toFixed(1) ?? '',
    exact ? `${(exact / approximate.seconds).toFixed(1)} x` : '',
    (work / gflops / 1e9).toFixed(1)
  ])
}
printTable(['set', 'rows', 'seconds', 'recall', 'extra MB', 'exact, s', 'ratio', 'exact at the peak, s'], table)
