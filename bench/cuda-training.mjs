/**
 * Training throughput on a GPU beside PyTorch's on the same: samples a second of plain networks and of one with batch norm
 * and dropout, with Adam; the best epoch counts. Of both in three precisions: FP32; factors of the products in TF32; mixed
 * with BF16 (PyTorch: by autocast); and of both with each step told the device kernel by kernel, and recorded once as a CUDA
 * graph. PyTorch's data lie on the device, its optimizer is the fused one.
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
  { rows: 2 ** 20, widths: [128, 512, 512, 256], batchNorm: false, dropout: 0 },
  { rows: 2 ** 17, widths: [784, 512, 512, 256], batchNorm: false, dropout: 0 },
  { rows: 2 ** 17, widths: [128, 512, 512, 4096], batchNorm: false, dropout: 0 },
  { rows: 2 ** 17, widths: [128, 512, 512, 512, 256], batchNorm: true, dropout: 0.1 }
]
const [batchSizes, epochs] = [[512, 4096], 4]
const precisions = ['fp32', 'tf32', 'bf16']
const ways = precisions.flatMap((precision) => [false, true].map((graphs) => ({ precision, graphs })))

const bestRate = (rows, seconds) => rows / Math.min(...seconds.slice(1))

/** How fast a network learns does not depend on what it learns. */
function randomData({ rows, widths }) {
  const [dimensions, bins] = [widths[0], widths.at(-1)]
  return {
    vectors: Float32Array.from({ length: rows * dimensions }, () => Math.random() + Math.random() - 1),
    dimensions,
    labels: Int32Array.from({ length: rows }, () => Math.floor(Math.random() * bins)),
    bins,
    neighbors: new Int32Array(0),
    neighborsPerRow: 0
  }
}

async function ours(data, { rows, widths, batchSize, batchNorm, dropout, precision, graphs }) {
  const engine = await createCudaEngine({ device: 0, recordsSteps: graphs })
  const only = { epochs, batchSize, softLabels: 0, validationFraction: 0, calibrate: false, monitoredProbes: 1 }
  const options = { hidden: widths.slice(1, -1), batchNorm, dropout, precision, ...only }
  const settings = completeClassifier(read(classifierTable(data), options), data, '')
  const request = { ...data, ...trainingSettings(settings, data.bins, ''), seed: 1 }
  const { history } = await engine.trainClassifier(request, { threads: 0 })
  return bestRate(
    rows,
    history.map(({ seconds }) => seconds)
  )
}

/** Of all trainings, one after the other. */
function pytorch(trainings) {
  const script = fileURLToPath(new URL('cuda-training.py', import.meta.url))
  const asked = JSON.stringify(trainings.map((training) => ({ ...training, epochs })))
  // PyTorch looks for a package `cuda` and must not find cuda.py here.
  const env = { ...process.env, PYTHONSAFEPATH: '1' }
  return JSON.parse(execFileSync('python3', [script, asked], { encoding: 'utf8', env })).map((seconds, i) =>
    bestRate(trainings[i].rows, seconds)
  )
}

const nameOf = ({ rows, widths, batchNorm, dropout }) =>
  `${rows} x ${widths.join('-')}${batchNorm ? ', batch norm' : ''}${dropout ? ', dropout' : ''}`

console.log((await createCudaEngine({ device: 0 })).description)
const trainings = networks.flatMap((network) =>
  batchSizes.flatMap((batchSize) => ways.map((way) => ({ ...network, batchSize, ...way })))
)
const rates = []
for (const network of networks) {
  const data = randomData(network)
  for (const training of trainings.filter(({ widths }) => widths === network.widths))
    rates.push(await ours(data, training))
}
const others = pytorch(trainings)
printTable(
  ['network', 'batch', 'precision', 'graphs', 'neural-lsh samples/s', 'PyTorch samples/s', 'ratio'],
  trainings.map((training, i) => [
    nameOf(training),
    training.batchSize,
    training.precision,
    training.graphs ? 'on' : 'off',
    rates[i].toFixed(0),
    others[i].toFixed(0),
    (rates[i] / others[i]).toFixed(2)
  ])
)
