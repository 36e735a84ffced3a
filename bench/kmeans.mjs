/**
 * k-means, with bins of any size and of bounded size, beside faiss on all cores: seconds and the mean squared error over
 * all rows; and what the share of our time would be if it were nothing but the products of every row with every centroid,
 * once, at the machine's peak.
 *
 *     npm run data -- sift && npm run build:native && node bench/kmeans.mjs [ROWS BINS ...]
 *
 * Without arguments: 100,000 rows in 256 and 1,024 bins. With ROWS = 1000000, faiss needs minutes at 4,096 bins.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { kmeans, readVectors } from 'neural-lsh'
import { findFile, printTable } from './data.mjs'
import { machine } from './machine.mjs'

const [limit = 100_000, ...bins] = process.argv.slice(2).map(Number)
if (bins.length === 0) bins.push(256, 1024)
const iterations = [10, 25]

const { vectors, rows, dimensions } = await readVectors(findFile('sift', 'sift1m_base.bvecs.gz'), { limit })
const peak = Math.max(...machine().peakByteGops.map(({ gops }) => gops)) * 1e9

const runs = [...iterations.map((rounds) => ({ iterations: rounds })), { iterations: iterations[0], largest: 1.05 }]
const lines = []
for (const count of bins) {
  for (const options of runs) {
    const start = performance.now()
    const { meanSquaredError, balance } = await kmeans(vectors, { dimensions, bins: count, ...options })
    const seconds = (performance.now() - start) / 1000
    const floor = (2 * rows * count * dimensions) / peak
    const share = `${((100 * floor) / seconds).toFixed(0)} %`
    lines.push([
      options.largest ? `neural-lsh, at most ${options.largest} means` : 'neural-lsh',
      count,
      options.iterations,
      seconds.toFixed(2),
      meanSquaredError.toFixed(0),
      balance.toFixed(2),
      share
    ])
  }
}

const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-bench-'))
try {
  const file = join(folder, 'vectors.f32')
  writeFileSync(file, vectors)
  const environment = [fileURLToPath(new URL('../scripts/python-env.mjs', import.meta.url)), 'faiss-cpu==1.15.1']
  const python = execFileSync(process.execPath, environment, { encoding: 'utf8' }).trim().split('\n').at(-1)
  const script = fileURLToPath(new URL('kmeans.py', import.meta.url))
  const request = JSON.stringify({ file, dimensions, bins, iterations })
  for (const line of JSON.parse(execFileSync(python, [script, request], { encoding: 'utf8' })))
    lines.push([
      'faiss',
      line.bins,
      line.iterations,
      line.seconds.toFixed(2),
      line.error.toFixed(0),
      line.balance.toFixed(2),
      ''
    ])
} finally {
  rmSync(folder, { recursive: true, force: true })
}
printTable(['', 'bins', 'iterations', 'seconds', 'mean squared error', 'largest / mean bin', 'products at peak'], lines)
