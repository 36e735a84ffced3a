/**
 * What helps the partition and its router: mean candidates that it takes to have 95 % of the true 10 nearest among them,
 * one change a row.
 *
 *     npm run data -- mnist glove sift && node bench/what-helps.mjs sift [--bins 64] [--seeds 1,2] [--only base,soft-50]
 *
 * Sets: mnist, glove, sift. The table, in Markdown, goes to standard output row by row, progress to standard error.
 * docs/what-helps.md says how to read it.
 */
import { parseArgs } from 'node:util'
import { buildKnnGraph, buildSimilarityGraph, exactSearch, kmeans, partitionGraph, trainClassifier } from 'neural-lsh'
import { selectEngine } from '../dist/engines/select.js'
import { readSet } from './data.mjs'
import { candidatesAt, ensembleSteps, probingCurve, quantileAt, searchSteps } from './probing-curve.mjs'

const k = 10
const goal = 0.95
const mostNeighbors = 50
const engine = selectEngine('auto')
const job = { threads: 0 }
const log = (text) => process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`)

// ------------------------------------------------------------------------------------------- partitions and routers

const firstColumns = ({ ids, distances, neighbors }, columns) => {
  const isKept = (_, i) => i % neighbors < columns
  return { neighbors: columns, ids: ids.filter(isKept), distances: distances.filter(isKept) }
}

/** KaHIP's bins of the graph of the nearest `neighbors`; `reweigh` changes the graph's weights. */
const kahip =
  ({ neighbors = 10, reweigh, ...options } = {}) =>
  async (data, bins, seed) => {
    const nearest = firstColumns(data.neighbors, neighbors)
    const graph = await buildSimilarityGraph(nearest)
    if (reweigh) reweigh(graph, nearest)
    return (await partitionGraph(graph, { bins, seed, ...options })).labels
  }

const byKmeans =
  (options = {}) =>
  async ({ vectors, dimensions }, bins, seed) =>
    (await kmeans(vectors, { dimensions, bins, seed, ...options })).labels

const byProjections =
  (method, options = {}) =>
  async ({ vectors, dimensions }, bins, seed) =>
    (await engine.projectionPartition(vectors, dimensions, { method, bins, seed, iterations: 50, ...options }, job))
      .labels

/** A trained router; `initial`: where its training starts. */
const network =
  (options = {}) =>
  async (data, bins, labels, seed, more = {}) => {
    const { softLabels = 50, ...others } = options
    const recipe = { hidden: [512], softLabels, ...others, ...more }
    const { vectors, dimensions, neighbors } = data
    return trainClassifier(vectors, { dimensions, labels, bins, neighbors, seed, ...recipe })
  }

/** The distance to the bins' means. */
const means = async ({ vectors, dimensions }, bins, labels) => {
  const sums = new Float64Array(bins * dimensions)
  const sizes = new Int32Array(bins)
  for (const [row, bin] of labels.entries()) {
    sizes[bin]++
    for (let i = 0; i < dimensions; i++) sums[bin * dimensions + i] += vectors[row * dimensions + i]
  }
  const parameters = new Float32Array(sums.length + bins)
  for (let bin = 0; bin < bins; bin++) {
    let squared = 0
    for (let i = bin * dimensions; i < (bin + 1) * dimensions; i++) {
      const mean = sums[i] / Math.max(1, sizes[bin])
      parameters[i] = 2 * mean
      squared += mean * mean
    }
    parameters[sums.length + bin] = sizes[bin] > 0 ? -squared : -1e6 * squared - 1e6
  }
  const zeros = new Float32Array(dimensions)
  return {
    network: { inputShape: [dimensions, 1, 1], layers: [{ type: 'linear', outputs: bins, bias: true }] },
    parameters,
    buffers: new Float32Array(0),
    input: { unitLength: false, mean: zeros, scale: zeros.map(() => 1) },
    temperature: 1
  }
}

// ----------------------------------------------------------------------------------------- what is done to the bins

/** Trains the router and puts each point where it would look first, in turns: so many epochs a round, in bins of at most
 * `largest` times the mean. `warm`: the weights go on from round to round; `last`: the points move after the last round
 * as well. */
const inTurns = async (data, bins, labels, router, seed, { largest, epochs, warm = false, last = true }) => {
  let classifier
  const bound = Math.min(labels.length, Math.ceil((largest * labels.length) / bins))
  for (const [round, count] of epochs.entries()) {
    const initial = warm && classifier ? { parameters: classifier.parameters } : undefined
    classifier = await router(data, bins, labels, seed, { epochs: count, initial })
    if (last || round < epochs.length - 1) labels = await engine.assignToBins(classifier, data.vectors, bound, job)
  }
  return { labels, classifier }
}

/** The bin of most of a point's neighbors, for the share of the points whose own bin has fewest in comparison. */
const spilled =
  (share, columns = 20) =>
  ({ neighbors }, bins, labels) => {
    const counts = new Int32Array(bins)
    const gains = []
    for (const [row, own] of labels.entries()) {
      const near = neighbors.ids.subarray(row * neighbors.neighbors, row * neighbors.neighbors + columns)
      for (const id of near) counts[labels[id]]++
      let other = -1
      for (const id of near)
        if (labels[id] !== own && (other < 0 || counts[labels[id]] > counts[other])) other = labels[id]
      if (other >= 0) gains.push({ row, other, gain: counts[other] })
      for (const id of near) counts[labels[id]] = 0
    }
    const second = labels.slice()
    gains.sort((a, b) => b.gain - a.gain)
    for (const { row, other } of gains.slice(0, share * labels.length)) second[row] = other
    return second
  }

/** Edges of near neighbors weigh more. */
const byRank = (graph, { ids, neighbors }) => {
  const rows = ids.length / neighbors
  const rankOf = new Map()
  for (let row = 0; row < rows; row++) {
    for (let rank = 0; rank < neighbors; rank++) rankOf.set(row * rows + ids[row * neighbors + rank], rank)
  }
  const weigh = (rank) => (rank === undefined ? 0 : Math.round((10 * neighbors) / (neighbors / 5 + rank)))
  for (let row = 0; row < rows; row++)
    for (let edge = graph.xadj[row]; edge < graph.xadj[row + 1]; edge++) {
      const other = graph.adjncy[edge]
      graph.adjcwgt[edge] = Math.max(1, weigh(rankOf.get(row * rows + other)) + weigh(rankOf.get(other * rows + row)))
    }
}

// -------------------------------------------------------------------------------------------------------- the rows

const turned = (name, partition) =>
  Object.fromEntries(
    Object.entries({
      moved: { epochs: [10] },
      'moved, bins of any size': { epochs: [10], largest: Number.POSITIVE_INFINITY },
      'moved, trained again': { epochs: [10, 10], last: false },
      'moved, trained further': { epochs: [10, 10], last: false, warm: true },
      'moved after 5 epochs, trained again': { epochs: [5, 10], last: false },
      'moved after 3 epochs, trained again': { epochs: [3, 10], last: false },
      'moved and trained again, twice': { epochs: [10, 10, 10], last: false },
      'moved, trained again, moved': { epochs: [10, 10] }
    }).map(([how, turns]) => [
      `${name} + 512, ${how}`,
      { partition, router: network(), turns: { largest: 1.05, ...turns } }
    ])
  )

const single = {
  'k-means, T': { partition: byKmeans(), router: means },
  'k-means + linear': { partition: byKmeans(), router: network({ hidden: [] }) },
  'k-means + 512': { partition: byKmeans(), router: network() },
  'k-means + 512, S = 10': { partition: byKmeans(), router: network({ softLabels: 10 }) },
  'k-means + 512, S = 20': { partition: byKmeans(), router: network({ softLabels: 20 }) },
  'k-means + 512-512': { partition: byKmeans(), router: network({ hidden: [512, 512] }) },
  'k-means + 1024': { partition: byKmeans(), router: network({ hidden: [1024] }) },
  'k-means + 512, 20 epochs': { partition: byKmeans(), router: network({ epochs: 20 }) },
  'k-means + 512, noise': { partition: byKmeans(), router: network({ regularization: { inputNoise: 0.1 } }) },
  'k-means, 40 rounds + 512': { partition: byKmeans({ iterations: 40 }), router: network() },
  'balanced k-means, T': { partition: byKmeans({ largest: 1.05 }), router: means },
  'balanced k-means + 512': { partition: byKmeans({ largest: 1.05 }), router: network() },
  'PCA tree + 512': { partition: byProjections('pca-tree'), router: network() },
  'ITQ + 512': { partition: byProjections('itq'), router: network() },
  'KaHIP, means': { partition: kahip(), router: means },
  'KaHIP + linear': { partition: kahip(), router: network({ hidden: [] }) },
  'KaHIP + 512': { partition: kahip(), router: network() },
  'KaHIP + 512, hard labels': { partition: kahip(), router: network({ softLabels: 0 }) },
  'KaHIP + 512, S = 10': { partition: kahip(), router: network({ softLabels: 10 }) },
  'KaHIP k = 20 + 512': { partition: kahip({ neighbors: 20 }), router: network() },
  'KaHIP k = 50 + 512': { partition: kahip({ neighbors: 50 }), router: network() },
  'KaHIP k = 50 + 512-512': { partition: kahip({ neighbors: 50 }), router: network({ hidden: [512, 512] }) },
  'KaHIP k = 50, 5 seeds + 512': { partition: kahip({ neighbors: 50, seeds: 5 }), router: network() },
  'KaHIP k = 50, imbalance 0.3 + 512': { partition: kahip({ neighbors: 50, imbalance: 0.3 }), router: network() },
  'KaHIP k = 50, imbalance 1 + 512': { partition: kahip({ neighbors: 50, imbalance: 1 }), router: network() },
  'KaHIP k = 10, by rank + 512': { partition: kahip({ neighbors: 10, reweigh: byRank }), router: network() },
  'KaHIP k = 20, by rank + 512': { partition: kahip({ neighbors: 20, reweigh: byRank }), router: network() },
  ...turned('KaHIP k = 50', kahip({ neighbors: 50 })),
  ...turned('KaHIP k = 20', kahip({ neighbors: 20 })),
  ...turned('KaHIP k = 10', kahip()),
  ...turned('k-means', byKmeans()),
  'k-means + 512, spill 10 %': { partition: byKmeans(), router: network(), spill: spilled(0.1) },
  'k-means + 512, spill 20 %': { partition: byKmeans(), router: network(), spill: spilled(0.2) },
  'KaHIP k = 50 + 512, spill 10 %': { partition: kahip({ neighbors: 50 }), router: network(), spill: spilled(0.1) },
  'KaHIP k = 50 + 512, spill 20 %': { partition: kahip({ neighbors: 50 }), router: network(), spill: spilled(0.2) }
}

const inTwo = (name) => ({ [`${name}, ensemble of 2`]: { ...single[name], partitions: 2 } })

const rows = {
  ...single,
  ...inTwo('k-means + 512'),
  ...inTwo('KaHIP k = 50 + 512, moved after 3 epochs, trained again')
}

// --------------------------------------------------------------------------------------------------------- measuring

async function prepare(set) {
  const { rows, dimensions, ...raw } = await readSet(set)
  // Words by the angle between them: of unit vectors the Euclidean distance ranks as the cosine does.
  const metric = set === 'glove' ? 'cosine' : 'euclidean'
  const [vectors, queries] = await Promise.all(
    [raw.vectors, raw.queries].map((rows) => engine.prepareVectors(rows, dimensions, metric, 'vectors', job))
  )
  log(`${set}: ${rows} x ${dimensions}, exact answers and a graph of ${mostNeighbors} neighbors`)
  const { ids: truth } = await exactSearch(vectors, queries, { dimensions, k })
  const neighbors = await buildKnnGraph(vectors, { dimensions, neighbors: mostNeighbors })
  return { vectors, dimensions, queries, truth, neighbors }
}

/** The bins of `queries`, most probable first. */
async function route({ vectors, dimensions }, bins, labels, classifier, queries, probes = bins) {
  const ordered = new Float32Array(vectors.length)
  const groups = await engine.groupIntoBins(labels, bins, { from: vectors, to: ordered, dimensions }, job)
  const state = { metric: 'euclidean', dimensions, bins: groups, vectors: ordered, scan: 'exact', classifier }
  const searcher = await engine.openSearcher(state, job)
  const routes = await searcher.route(queries, probes, job)
  searcher.close()
  return routes
}

/** A partition with its router, as steps of the search, and its largest bin / mean bin. */
async function partitioned(data, bins, { partition, router, turns, spill }, seed) {
  let labels = await partition(data, bins, seed)
  let classifier
  if (turns) ({ labels, classifier } = await inTurns(data, bins, labels, router, seed, turns))
  else classifier = await router(data, bins, labels, seed)
  const second = spill ? spill(data, bins, labels) : labels
  const routes = await route(data, bins, labels, classifier, data.queries)
  const sizes = new Int32Array(bins)
  for (const [row, bin] of labels.entries()) {
    sizes[bin]++
    if (second[row] !== bin) sizes[second[row]]++
  }
  const truthBins = [labels, second].map((places) => data.truth.map((id) => places[id]))
  return { steps: searchSteps(routes, sizes, ...truthBins), balance: (Math.max(...sizes) * bins) / labels.length }
}

/** `partitions`: how many independent ones are read, in each the same number of bins (T) or all above one probability. */
async function measure(data, bins, { partitions = 1, ...row }, seed) {
  const made = []
  for (let i = 0; i < partitions; i++) made.push(await partitioned(data, bins, row, seed + i))
  const steps = made.map((one) => one.steps)
  const at = (key) => candidatesAt(probingCurve(ensembleSteps(steps, key), key), goal)
  return {
    T: at('rank'),
    q95: partitions === 1 ? quantileAt(steps[0], bins, goal, 0.95) : Number.NaN,
    mass: at('mass'),
    probability: at('improbability'),
    balance: Math.max(...made.map((one) => one.balance))
  }
}

const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length
const printRow = (cells) => console.log(`| ${cells.join(' | ')} |`)
const count = (value) => (Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en-US'))

async function printTable(set, bins, seeds, chosen) {
  const data = await prepare(set)
  console.log(`\n${set}, ${bins} bins, seeds ${seeds.join(', ')}:\n`)
  const columns = ['T', 'q95', 'mass', 'probability', 'balance']
  printRow(['partition and router', ...columns, 'k-means / it'])
  printRow(['---', ...columns.map(() => '--:'), '--:'])
  let plain
  for (const name of chosen) {
    log(name)
    const measured = []
    for (const seed of seeds) measured.push(await measure(data, bins, rows[name], seed))
    const means = columns.map((column) => mean(measured.map((one) => one[column])))
    plain ??= means[0]
    const best = Math.min(means[0], means[2], means[3])
    printRow([name, ...means.slice(0, 4).map(count), means[4].toFixed(2), (plain / best).toFixed(2)])
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bins: { type: 'string', default: '64' },
    seeds: { type: 'string', default: '1' },
    only: { type: 'string', default: '' }
  }
})
const only = values.only.split(';').filter(Boolean)
const chosen =
  only.length > 0 ? Object.keys(rows).filter((name) => only.some((part) => name.includes(part))) : Object.keys(rows)
for (const set of positionals)
  for (const bins of values.bins.split(','))
    await printTable(set, Number(bins), values.seeds.split(',').map(Number), chosen)
