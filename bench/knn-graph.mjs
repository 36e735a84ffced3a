/**
 * Exact 10-NN graphs on all threads: seconds, GFLOP/s over half of the pairs (each is computed once, with a
 * multiplication and an addition a dimension) and their share of what the machine's matrix product reaches at best
 * (machine.mjs). Where the data are integers in [0, 255] also by products of bytes, which give the same graph. In floats
 * they are computed from the vectors moved by a half. By turns, the best of three rounds.
 *
 *     npm run data -- mnist glove sift && node bench/knn-graph.mjs [mnist | sift | glove ...] [--scikit-learn]
 *
 * With --scikit-learn: then MNIST's graph by its brute force too, and 1,000 sampled rows of ours checked against brute
 * force in double precision, ties by id.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildKnnGraph } from 'neural-lsh'
import { mnistImages, printTable, readSet } from './data.mjs'
import { machine } from './machine.mjs'

const [neighbors, rounds] = [10, 3]
const script = (path) => fileURLToPath(new URL(path, import.meta.url))
const sets = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const withScikitLearn = process.argv.includes('--scikit-learn')

async function timed(vectors, dimensions, metric) {
  const start = performance.now()
  const { ids } = await buildKnnGraph(vectors, { dimensions, neighbors, metric, method: 'exact' })
  return { ids, seconds: (performance.now() - start) / 1000 }
}

function compareWithScikitLearn(ids, seconds) {
  const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-bench-'))
  try {
    const graph = join(folder, 'ids.i32')
    writeFileSync(graph, ids)
    const environment = execFileSync(process.execPath, [script('../scripts/python-env.mjs'), 'scikit-learn==1.9.1'], {
      encoding: 'utf8'
    })
    const python = environment.trim().split('\n').at(-1)
    execFileSync(python, [script('knn-graph.py'), mnistImages(), graph, String(neighbors), String(seconds)], {
      stdio: 'inherit'
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const { kernels, byteKernels, peakGflops, peakByteGops } = machine()
const peaks = { floats: peakGflops.at(-1).gflops, bytes: peakByteGops.at(-1).gops }
console.log(
  `At best, on ${peakGflops.at(-1).threads} threads: ${peaks.floats} GFLOP/s in floats (${kernels} kernels), ` +
    `${peaks.bytes} in bytes (${byteKernels} kernels)`
)
const table = []
let mnist
for (const set of sets.length ? sets : ['mnist', 'sift', 'glove']) {
  const { vectors, rows, dimensions } = await readSet(set)
  const isInteger = vectors.every((value) => Number.isInteger(value) && value >= 0 && value <= 255)
  const metric = set === 'glove' ? 'cosine' : 'euclidean'
  const ways = isInteger ? { floats: vectors.map((value) => value + 0.5), bytes: vectors } : { floats: vectors }
  const best = {}
  for (let round = 0; round < rounds; round++) {
    for (const [way, values] of Object.entries(ways)) {
      const run = await timed(values, dimensions, metric)
      if (!(best[way]?.seconds <= run.seconds)) best[way] = run
    }
  }
  if (best.bytes?.ids.some((id, i) => id !== best.floats.ids[i])) throw new Error(`${set}: the two graphs differ`)
  if (set === 'mnist') mnist = best.bytes
  for (const [way, { seconds }] of Object.entries(best)) {
    const rate = (rows * rows * dimensions) / seconds / 1e9
    const share = (peak) => `${((100 * rate) / peak).toFixed(0)} %`
    const ratio = way === 'bytes' ? `${(best.floats.seconds / seconds).toFixed(2)} x` : ''
    table.push([set, way, seconds.toFixed(2), rate.toFixed(0), share(peaks.floats), share(peaks[way]), ratio])
  }
}
printTable(['set', 'products', 'seconds', 'GFLOP/s', 'of the peak', 'of its own', 'floats / bytes'], table)
if (withScikitLearn && mnist) compareWithScikitLearn(mnist.ids, mnist.seconds)
