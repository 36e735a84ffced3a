/**
 * Training throughput on a GPU beside PyTorch's on the same: samples a second of plain networks and of one with batch norm
 * and dropout, with Adam; the best epoch counts. Of both in three precisions: FP32; factors of the products in TF32; in
 * BF16 (PyTorch: by autocast). PyTorch's data lie on the device, its optimizer is the fused one.
 *
 *     node bench/cuda-training.mjs
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { read } from '../dist/checks/fields.js'
import { classifierTable, completeClassifier, trainingSettings } from '../dist/classifier/options.js'
import { createCudaEngine } from '../dist/engines/cuda.js'
import { printTable } from './data.mjs'

const networks = [
  { widths: [128, 512, 512, 256], batchNorm: false, dropout: 0 },
  { widths: [784, 512, 512, 256], batchNorm: false, dropout: 0 },
  { widths: [128, 512, 512, 4096], batchNorm: false, dropout: 0 },
  { widths: [128, 512, 512, 512, 256], batchNorm: true, dropout: 0.1 }
]
const [rows, batchSizes, epochs] = [65_536, [512, 4096], 4]
const precisions = ['fp32', 'tf32', 'bf16']

const bestRate = (seconds) => rows / Math.min(...seconds.slice(1))

/** How fast a network learns does not depend on what it learns. */
function randomData(dimensions, bins) {
  return {
    vectors: Float32Array.from({ length: rows * dimensions }, () => Math.random() + Math.random() - 1),
    dimensions,
    labels: Int32Array.from({ length: rows }, () => Math.floor(Math.random() * bins)),
    bins,
    neighbors: new Int32Array(0),
    neighborsPerRow: 0
  }
}

async function ours(data, { widths, batchSize, batchNorm, dropout, precision }) {
  const engine = await createCudaEngine({ device: 0, trainingPrecision: precision })
  const only = { epochs, batchSize, softLabels: 0, validationFraction: 0, calibrate: false, monitoredProbes: 1 }
  const options = { hidden: widths.slice(1, -1), batchNorm, dropout, ...only }
  const settings = completeClassifier(read(classifierTable(data), options), data, '')
  const request = { ...data, ...trainingSettings(settings, data.bins, ''), seed: 1 }
  const { history } = await engine.trainClassifier(request, { threads: 0 })
  return bestRate(history.map(({ seconds }) => seconds))
}

/** Of all trainings, one after the other. */
function pytorch(trainings) {
  const script = fileURLToPath(new URL('cuda-training.py', import.meta.url))
  const asked = JSON.stringify(trainings.map((training) => ({ ...training, rows, epochs })))
  return JSON.parse(execFileSync('python3', [script, asked], { encoding: 'utf8' })).map(bestRate)
}

const nameOf = ({ widths, batchNorm, dropout }) =>
  `${widths.join('-')}${batchNorm ? ', batch norm' : ''}${dropout ? ', dropout' : ''}`

console.log((await createCudaEngine({ device: 0 })).description)
const trainings = networks.flatMap((network) =>
  batchSizes.flatMap((batchSize) => precisions.map((precision) => ({ ...network, batchSize, precision })))
)
const rates = []
for (const network of networks) {
  const data = randomData(network.widths[0], network.widths.at(-1))
  for (const training of trainings.filter(({ widths }) => widths === network.widths))
    rates.push(await ours(data, training))
}
const others = pytorch(trainings)
printTable(
  ['network', 'batch', 'precision', 'neural-lsh samples/s', 'PyTorch samples/s', 'ratio'],
  trainings.map((training, i) => [
    nameOf(training),
    training.batchSize,
    training.precision,
    rates[i].toFixed(0),
    others[i].toFixed(0),
    (rates[i] / others[i]).toFixed(2)
  ])
)
