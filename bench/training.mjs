/**
 * Training throughput beside PyTorch's on the CPU: samples a second of plain networks and of one with batch norm and
 * dropout, with Adam, on one thread and on all of them, by turns in processes of their own that are bound to as many
 * cores (where taskset is there to do it); the best epoch of each counts. PyTorch trains in FP32 with the faster of its
 * two Adams, we at the default precision, which rounds factors to 16 bits where the CPU has AMX and is FP32 elsewhere. Also what that makes in multiplications and additions of the matrix products, and which share of the machine's
 * peak (machine.mjs).
 *
 *     node bench/training.mjs
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { trainClassifier } from 'neural-lsh'
import { printTable } from './data.mjs'
import { machine } from './machine.mjs'

const networks = [
  { widths: [128, 512, 512, 256], batchNorm: false, dropout: 0 },
  { widths: [784, 512, 512, 256], batchNorm: false, dropout: 0 },
  { widths: [128, 512, 512, 512, 256], batchNorm: true, dropout: 0.1 }
]
const [rows, batchSizes, rounds] = [16_384, [32, 512, 4096], 3]
const script = (path) => fileURLToPath(new URL(path, import.meta.url))
const canPin = spawnSync('taskset', ['--version']).status === 0

/** Prints the best epoch's samples a second; how fast a network learns does not depend on what it learns. */
async function measure({ widths, epochs, batchSize, ...options }) {
  const [dimensions, ...hidden] = widths
  const bins = hidden.pop()
  const vectors = Float32Array.from({ length: rows * dimensions }, () => Math.random() + Math.random() - 1)
  const labels = Int32Array.from({ length: rows }, () => Math.floor(Math.random() * bins))
  const only = { softLabels: 0, validationFraction: 0, calibrate: false }
  const trained = await trainClassifier(vectors, {
    dimensions,
    labels,
    bins,
    hidden,
    epochs,
    batchSize,
    ...only,
    ...options
  })
  console.log(rows / Math.min(...trained.history.slice(1).map(({ seconds }) => seconds)))
}

/** What a program prints that measures the given training. */
function samplesPerSecond(command, training) {
  const threads = String(training.threads)
  const pinned = canPin ? ['taskset', '-c', `0-${training.threads - 1}`] : []
  const [program, ...args] = [...pinned, ...command, JSON.stringify(training)]
  // PyTorch looks for a package `cuda` and must not find cuda.py here.
  const env = { ...process.env, OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads, PYTHONSAFEPATH: '1' }
  return Number(execFileSync(program, args, { encoding: 'utf8', env }))
}

/** Of one sample: each weight is multiplied once forward and twice backward, but nobody needs the input's gradient. */
function operations(widths) {
  const products = widths.slice(1).map((width, layer) => width * widths[layer])
  return 2 * (3 * products.reduce((sum, product) => sum + product) - products[0])
}

function compare() {
  const environment = execFileSync(process.execPath, [script('../scripts/python-env.mjs'), 'torch==2.13.0'], {
    encoding: 'utf8'
  })
  const programs = [
    [process.execPath, script('training.mjs')],
    [environment.trim().split('\n').at(-1), script('training.py')]
  ]
  const { kernels, peakGflops } = machine()
  const peaks = peakGflops.map(({ threads, gflops }) => `${gflops} GFLOP/s on ${threads}`)
  console.log(`${kernels} kernels; at best ${peaks.join(', ')}`)

  const table = []
  for (const network of networks) {
    const name = `${network.widths.join('-')}${network.batchNorm ? ', batch norm' : ''}${network.dropout ? ', dropout' : ''}`
    for (const batchSize of batchSizes) {
      // Enough for twenty steps, after a first epoch that warms up.
      const epochs = 1 + Math.ceil((20 * batchSize) / rows)
      for (const { threads, gflops: peak } of peakGflops) {
        const training = { ...network, rows, batchSize, epochs, threads }
        const best = [0, 0]
        for (let round = 0; round < rounds; round++)
          for (const [i, program] of programs.entries())
            best[i] = Math.max(best[i], samplesPerSecond(program, training))
        const speeds = best.map((rate) => (rate * operations(network.widths)) / 1e9)
        const shares = speeds.map((speed) => `${speed.toFixed(0)} (${((100 * speed) / peak).toFixed(0)} %)`)
        const rates = best.map((rate) => rate.toFixed(0))
        table.push([name, batchSize, threads, ...rates, (best[0] / best[1]).toFixed(2), ...shares])
      }
    }
  }
  const units = ['samples/s', 'GFLOP/s'].map((unit) => [`neural-lsh ${unit}`, `PyTorch ${unit}`])
  printTable(['network', 'batch', 'threads', ...units[0], 'ratio', ...units[1]], table)
}

if (process.argv[2] === undefined) compare()
else {
  const { rows: _, ...training } = JSON.parse(process.argv[2])
  await measure(training)
}
