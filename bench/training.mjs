/**
 * Training throughput beside PyTorch's on the CPU: samples a second of the networks d-512-512-256 with Adam, one thread
 * and all of them, by turns in one run; the best epoch of each counts. PyTorch trains with the faster of its two Adams.
 *
 *     node bench/training.mjs
 */
import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { trainClassifier } from 'neural-lsh'
import { printTable } from './data.mjs'

const [rows, hidden, bins, rounds] = [16_384, [512, 512], 256, 3]
const script = (path) => fileURLToPath(new URL(path, import.meta.url))
const environment = execFileSync(process.execPath, [script('../scripts/python-env.mjs'), 'torch==2.13.0'], {
  encoding: 'utf8'
})
const python = environment.trim().split('\n').at(-1)

/** How fast a network learns does not depend on what it learns: numbers around 0 with random labels do. */
function randomSet(dimensions) {
  const vectors = Float32Array.from({ length: rows * dimensions }, () => Math.random() + Math.random() - 1)
  return { vectors, labels: Int32Array.from({ length: rows }, () => Math.floor(Math.random() * bins)) }
}

/** Enough for twenty steps, after a first epoch that warms up. */
const epochsFor = (batchSize) => 1 + Math.ceil((20 * batchSize) / rows)

async function ours({ vectors, labels }, dimensions, batchSize, threads) {
  const options = { dimensions, labels, bins, hidden, batchSize, threads, softLabels: 0, validationFraction: 0 }
  const { history } = await trainClassifier(vectors, { ...options, epochs: epochsFor(batchSize) })
  return rows / Math.min(...history.slice(1).map(({ seconds }) => seconds))
}

function pytorch(dimensions, batchSize, threads) {
  const numbers = [rows, dimensions, ...hidden, bins, batchSize, epochsFor(batchSize), threads]
  const env = { ...process.env, OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  return Number(execFileSync(python, [script('training.py'), ...numbers.map(String)], { encoding: 'utf8', env }))
}

const table = []
for (const dimensions of [128, 784]) {
  const set = randomSet(dimensions)
  const widths = [dimensions, ...hidden, bins]
  const products = widths.slice(1).map((width, layer) => width * widths[layer])
  // Each weight is multiplied once forward and twice backward, but nobody needs the gradient of the input.
  const flops = 2 * (3 * products.reduce((sum, product) => sum + product) - products[0])
  for (const batchSize of [32, 512, 4096]) {
    for (const threads of new Set([1, availableParallelism()])) {
      let [own, other] = [0, 0]
      for (let round = 0; round < rounds; round++) {
        own = Math.max(own, await ours(set, dimensions, batchSize, threads))
        other = Math.max(other, pytorch(dimensions, batchSize, threads))
      }
      const gigaflops = [own, other].map((rate) => ((rate * flops) / 1e9).toFixed(0))
      table.push([
        widths.join('-'),
        batchSize,
        threads,
        own.toFixed(0),
        other.toFixed(0),
        (own / other).toFixed(2),
        ...gigaflops
      ])
    }
  }
}
printTable(
  [
    'network',
    'batch',
    'threads',
    'neural-lsh samples/s',
    'PyTorch samples/s',
    'ratio',
    'neural-lsh GFLOP/s',
    'PyTorch GFLOP/s'
  ],
  table
)
