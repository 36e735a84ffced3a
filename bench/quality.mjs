/**
 * Accuracy against candidates on real data, beside figures of other programs on the same data:
 *
 *     npm run data -- mnist glove sift && node bench/quality.mjs [mnist | glove | sift ...]
 *
 * GloVe's vectors are compared by cosine, which orders them as the Euclidean distance of the normalised vectors does.
 */
import { NeuralLSH } from 'neural-lsh'
import { printTable, readSet } from './data.mjs'

const goals = [0.9, 0.95]

/** The recipe of the figures beside ours. */
/** The plain recipe, whatever our defaults are. */
const recipe = { graph: { neighbors: 10 }, assignment: 'partition' }
const optimizer = { type: 'adam', learningRate: 1e-3 }
const classifier = { hidden: [512, 512], softLabels: 10, epochs: 10, optimizer }

/**
 * `atProbes`: Acc@10 for T = 1, 2, 4, 8. `toReach`: mean candidates needed for Acc@10 of 0.90 and 0.95, whole bins.
 * All were measured with numpy, PyTorch and KaHIP on the same rows and 1,000 queries, one seed: k-means with 25
 * iterations, probing the nearest centers; and the recipe of Dong et al. 2020 with a 10-NN graph, soft labels over 10
 * neighbors and two layers of 512.
 */
const experiments = {
  mnist: {
    options: { ...recipe, bins: 64, partition: { mode: 'ecosocial' } },
    atProbes: { 'k-means': [0.708, 0.879, 0.964, 0.992], 'PyTorch, soft labels': [0.729, 0.916, 0.978, 0.996] },
    toReach: { 'k-means': [3247, 4239], 'PyTorch, soft labels': [1870, 2801] }
  },
  glove: {
    options: { ...recipe, bins: 64, metric: 'cosine' },
    toReach: { 'k-means': [12905, 19750], 'PyTorch, soft labels': [12522, 18765] }
  },
  sift: {
    options: { ...recipe, bins: 256 },
    toReach: { 'k-means': [4390, 6345], 'PyTorch, soft labels': [5463, 8575] }
  }
}

const shownProbes = [1, 2, 4, 8]
const shownMass = [0.5, 0.8, 0.9, 0.95]
const count = (value) => Math.round(value).toLocaleString('en-US')

async function measure(name) {
  const { options, atProbes = {}, toReach } = experiments[name]
  const { vectors, rows, dimensions, queries } = await readSet(name)
  const index = await NeuralLSH.build(vectors, { dimensions, ...options, classifier })
  console.log(
    `\n${name}: ${count(rows)} x ${dimensions}, ${index.bins} bins, ${index.options.partition.mode}, ${index.metric}\n`
  )
  printStages(index)
  const probes = Array.from({ length: Math.min(32, index.bins) }, (_, i) => i + 1)
  const { curve } = await index.evaluate(queries, { probes, mass: shownMass })
  const fixed = curve.filter((point) => point.probes !== undefined)

  const shown = curve.filter((point) => point.mass !== undefined || shownProbes.includes(point.probes))
  printTable(
    ['probing', 'Acc@10', 'recall', 'mean', 'median', 'q95', 'queries/s', ...Object.keys(atProbes)],
    shown.map((point, row) => [
      point.mass === undefined ? `T = ${point.probes}` : `mass ${point.mass}`,
      point.accuracy.toFixed(3),
      point.recall.toFixed(3),
      ...[point.candidatesMean, point.candidatesMedian, point.candidatesQ95, point.queriesPerSecond].map(count),
      ...Object.values(atProbes).map((figures) => figures[row]?.toFixed(3) ?? '')
    ])
  )
  console.log()
  printTable(
    ['mean candidates for Acc@10 of', ...goals],
    Object.entries({ 'neural-lsh': goals.map((goal) => candidatesToReach(fixed, goal)), ...toReach }).map(
      ([who, figures]) => [who, ...figures.map(count)]
    )
  )
  index.close()
}

/** Mean candidates of the smallest T whose accuracy reaches the goal. */
const candidatesToReach = (curve, goal) => curve.find((point) => point.accuracy >= goal)?.candidatesMean ?? Number.NaN

function printStages({ report }) {
  const rows = report.stages.map(({ name, seconds, peakBytes }) => [name, seconds.toFixed(2), count(peakBytes / 1e6)])
  printTable(['stage', 'seconds', 'peak MB'], rows)
  console.log(`edge cut ${count(report.edgeCut)}, largest bin / mean bin ${report.balance.toFixed(3)}\n`)
}

const names = process.argv.slice(2)
const unknown = names.find((name) => !Object.hasOwn(experiments, name))
if (unknown !== undefined) throw new Error(`${unknown} is none of ${Object.keys(experiments).join(', ')}`)
for (const name of names.length > 0 ? names : Object.keys(experiments)) await measure(name)
