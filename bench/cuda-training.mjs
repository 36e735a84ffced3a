/**
 * Training throughput on a GPU beside PyTorch's on the same: samples a second of plain networks and of one with batch norm
 * and dropout, with Adam; the best epoch counts. Of both in three precisions: FP32; factors of the products in TF32; in
 * BF16 (PyTorch: by autocast). PyTorch's data lie on the device, its optimizer is the fused one.
 *
 *     node bench/cuda-training.mjs
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { completeClassifier, trainingSettings } from '../dist/classifier/options.js'
import { createCudaEngine } from '../dist/engines/cuda.js'
import { printTable } from './data.mjs'

const networks = [
  { widths: [128, 512, 512, 256], batchNorm: false, dropout: 0 },
  { widths: [784, 512, 512, 256], batchNorm: false, dropout: 0 },
  { widths: [128, 512, 512, 4096], batchNorm: false, dropout: 0 },
  { widths: [128, 512, 512, 512, 256], batchNorm: true, dropout: 0.1 }
]
const [rows, batchSizes, epochs] = [131_072, [512, 4096], 4]
const precisions = ['fp32', 'tf32', 'bf16']

const bestRate = (seconds) => rows / Math.min(...seconds.slice(1))

/** How fast a network learns does not depend on what it learns. */
async function ours({ widths, batchSize, ...options }, trainingPrecision) {
  const engine = await createCudaEngine({ device: 0, trainingPrecision })
  const [dimensions, ...hidden] = widths
  const bins = hidden.pop()
  const data = {
    vectors: Float32Array.from({ length: rows * dimensions }, () => Math.random() + Math.random() - 1),
    dimensions,
    labels: Int32Array.from({ length: rows }, () => Math.floor(Math.random() * bins)),
    bins,
    neighbors: new Int32Array(0),
    neighborsPerRow: 0
  }
  const only = { epochs, batchSize, softLabels: 0, validationFraction: 0, calibrate: false, monitoredProbes: 1 }
  const settings = completeClassifier({ hidden, ...options, ...only }, data, '')
  const request = { ...data, ...trainingSettings(settings, bins, ''), seed: 1 }
  const { history } = await engine.trainClassifier(request, { threads: 0 })
  return bestRate(history.map(({ seconds }) => seconds))
}

function pytorch(training, precision) {
  const script = fileURLToPath(new URL('cuda-training.py', import.meta.url))
  const asked = JSON.stringify({ ...training, rows, epochs, precision })
  return bestRate(JSON.parse(execFileSync('python3', [script, asked], { encoding: 'utf8' })))
}

console.log((await createCudaEngine({ device: 0 })).description)
const table = []
for (const network of networks) {
  const name = `${network.widths.join('-')}${network.batchNorm ? ', batch norm' : ''}${network.dropout ? ', dropout' : ''}`
  for (const batchSize of batchSizes) {
    for (const precision of precisions) {
      const training = { ...network, batchSize }
      const rates = [await ours(training, precision), pytorch(training, precision)]
      table.push([
        name,
        batchSize,
        precision,
        ...rates.map((rate) => rate.toFixed(0)),
        (rates[0] / rates[1]).toFixed(2)
      ])
    }
  }
}
printTable(['network', 'batch', 'precision', 'neural-lsh samples/s', 'PyTorch samples/s', 'ratio'], table)
