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
import { resolveTrainClassifier } from '../dist/options.js'
import { readSet } from './data.mjs'
import { candidatesAt, ensembleSteps, probingCurve, quantileAt, searchSteps } from './probing-curve.mjs'

const k = 10
const goal = 0.95
const mostNeighbors = 50
const engine = await selectEngine('auto')
const job = { threads: 0 }
const log = (text) => process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`)

// ------------------------------------------------------------------------------------------- partitions and routers

const firstColumns = ({ ids, distances, neighbors }, columns) => {
  const isKept = (_, i) => i % neighbors < columns
  return { neighbors: columns, ids: ids.filter(isKept), distances: distances.filter(isKept) }
}

/** KaHIP's bins of the graph of the nearest `neighbors`; `reweigh` gives the graph other weights. */
const kahip =
  ({ neighbors = 10, reweigh, ...options } = {}) =>
  async (data, bins, seed) => {
    const nearest = firstColumns(data.neighbors, neighbors)
    const graph = await buildSimilarityGraph(nearest)
    if (reweigh) await reweigh(graph, nearest, data, bins, seed)
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

/** Gives each edge the weight `weigh(row, other, edge)`, at least 1. */
const setWeights = ({ xadj, adjncy, adjcwgt }, weigh) => {
  for (let row = 0; row + 1 < xadj.length; row++)
    for (let edge = xadj[row]; edge < xadj[row + 1]; edge++)
      adjcwgt[edge] = Math.max(1, Math.round(weigh(row, adjncy[edge], edge)))
}

/** Edges of near neighbors weigh more: up to 6 times as much, by their rank. */
const byRank = (graph, { ids, neighbors }) => {
  const rows = ids.length / neighbors
  const rankOf = new Map()
  for (let row = 0; row < rows; row++) {
    for (let rank = 0; rank < neighbors; rank++) rankOf.set(row * rows + ids[row * neighbors + rank], rank)
  }
  const weightOf = (rank) => (rank === undefined ? 0 : (10 * neighbors) / (neighbors / 5 + rank))
  setWeights(graph, (row, other) => weightOf(rankOf.get(row * rows + other)) + weightOf(rankOf.get(other * rows + row)))
}

/** Up to 20, falling with the distance as a Gaussian of the mean squared distance does. */
const byDistance = (graph, { distances }, { vectors, dimensions }) => {
  const scale = distances.reduce((sum, one) => sum + one, 0) / distances.length
  setWeights(graph, (row, other) => {
    let squared = 0
    for (let i = 0; i < dimensions; i++)
      squared += (vectors[row * dimensions + i] - vectors[other * dimensions + i]) ** 2
    return 20 * Math.exp(-squared / scale)
  })
}

/** Edges along which a first router looks for both vectors in one bin weigh 10 times as much as those between two. */
const byAgreement = async (graph, _, data, bins, seed) => {
  const { labels } = await partitionGraph(graph, { bins, seed })
  const first = await network()(data, bins, labels, seed, { epochs: 3 })
  const seen = await engine.assignToBins(first, data.vectors, labels.length, job)
  const own = graph.adjcwgt.slice()
  setWeights(graph, (row, other, edge) => own[edge] * (seen[row] === seen[other] ? 10 : 1))
}

// --------------------------------------------------------------------------------------------- what is learned from

/** As network(), on vectors of which each has been moved by a normal deviate as long as the way to its nearest neighbor. */
const jittered =
  (share) =>
  async ({ vectors, dimensions, neighbors }, bins, labels, seed) => {
    const normal = normalDeviates(seed)
    const moved = vectors.map((value, i) => {
      const nearest = neighbors.distances[Math.floor(i / dimensions) * neighbors.neighbors]
      return value + share * Math.sqrt(nearest / dimensions) * normal()
    })
    return trainClassifier(moved, { dimensions, labels, bins, neighbors, seed, hidden: [512], softLabels: 50 })
  }

/** Box & Muller (1958), from a linear congruential generator. */
function normalDeviates(seed) {
  let state = seed
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state + 1) / 2 ** 32
  }
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
}

/** As network(), on the labels of the 50 neighbors alone. A target always has the vector's own label in it: here that is
 * its nearest neighbor's, and the labels of the neighbors are those of copies, which are held out. */
const withoutThePoint = async ({ vectors, dimensions, neighbors }, bins, labels, seed) => {
  const rows = labels.length
  const width = neighbors.neighbors
  const twice = new Float32Array(2 * vectors.length)
  const targets = new Int32Array(2 * rows)
  const others = new Int32Array(2 * rows * (width - 1))
  for (const [copy, from] of [0, rows].entries()) {
    twice.set(vectors, copy * vectors.length)
    for (let row = 0; row < rows; row++) {
      const near = neighbors.ids.subarray(row * width, (row + 1) * width)
      targets[from + row] = copy === 0 ? labels[near[0]] : labels[row]
      for (let i = 1; i < width; i++) others[(from + row) * (width - 1) + i - 1] = rows + near[i]
    }
  }
  const heldOut = Int32Array.from({ length: rows }, (_, row) => rows + row)
  const graph = { neighbors: width - 1, ids: others, distances: new Float32Array(others.length) }
  const options = { dimensions, labels: targets, bins, neighbors: graph, seed, hidden: [512], softLabels: width - 1 }
  const { request } = resolveTrainClassifier(twice, { ...options, calibrate: false })
  const made = { ...request, vectors: twice, neighbors: others, neighborsPerRow: width - 1, heldOut }
  return engine.trainClassifier(made, job)
}

// -------------------------------------------------------------------------------------------------------- the rows

const [coarse, fine] = [10, 50].map((neighbors) => (options) => kahip({ neighbors, ...options }))
const balanced = byKmeans({ largest: 1.05 })
const tree = byProjections('pca-tree')

const ways = {
  moved: { epochs: [10] },
  'moved, bins of any size': { epochs: [10], largest: Number.POSITIVE_INFINITY },
  'moved, trained again': { epochs: [10, 10], last: false },
  'moved, trained further': { epochs: [10, 10], last: false, warm: true },
  'moved after 3 epochs, trained again': { epochs: [3, 10], last: false },
  'moved and trained again, twice': { epochs: [10, 10, 10], last: false },
  'moved, trained again, moved': { epochs: [10, 10] }
}
const early = 'moved after 3 epochs, trained again'

const turned = (name, partition, chosen = Object.keys(ways)) =>
  Object.fromEntries(
    chosen.map((way) => [
      `${name} + 512, ${way}`,
      { partition, router: network(), turns: { largest: 1.05, ...ways[way] } }
    ])
  )

const single = {
  'k-means, T': { partition: byKmeans(), router: means },
  'k-means + linear': { partition: byKmeans(), router: network({ hidden: [] }) },
  'k-means + 512': { partition: byKmeans(), router: network() },
  'k-means + 512-512': { partition: byKmeans(), router: network({ hidden: [512, 512] }) },
  'k-means + 512, S = 10': { partition: byKmeans(), router: network({ softLabels: 10 }) },
  'k-means + 512, S = 20': { partition: byKmeans(), router: network({ softLabels: 20 }) },
  'k-means + 512, hard labels': { partition: byKmeans(), router: network({ softLabels: 0 }) },
  'k-means + 512, without the point': { partition: byKmeans(), router: withoutThePoint },
  'k-means + 512, noise': { partition: byKmeans(), router: network({ regularization: { inputNoise: 0.1 } }) },
  'k-means + 512, jittered': { partition: byKmeans(), router: jittered(1) },
  'k-means + 512, jittered by half': { partition: byKmeans(), router: jittered(0.5) },
  'k-means + 512, 20 epochs': { partition: byKmeans(), router: network({ epochs: 20 }) },
  'k-means + 512, spill 10 %': { partition: byKmeans(), router: network(), spill: spilled(0.1) },
  'k-means + 512, spill 20 %': { partition: byKmeans(), router: network(), spill: spilled(0.2) },
  ...turned('k-means', byKmeans(), ['moved, trained again']),
  'balanced k-means, T': { partition: balanced, router: means },
  'balanced k-means + linear': { partition: balanced, router: network({ hidden: [] }) },
  'balanced k-means + 512': { partition: balanced, router: network() },
  'balanced k-means + 512-512': { partition: balanced, router: network({ hidden: [512, 512] }) },
  ...turned('balanced k-means', balanced, [early]),
  'PCA tree, means': { partition: tree, router: means },
  'PCA tree + linear': { partition: tree, router: network({ hidden: [] }) },
  'PCA tree + 512': { partition: tree, router: network() },
  'ITQ + 512': { partition: byProjections('itq'), router: network() },
  'KaHIP, means': { partition: coarse(), router: means },
  'KaHIP + linear': { partition: coarse(), router: network({ hidden: [] }) },
  'KaHIP + 512': { partition: coarse(), router: network() },
  'KaHIP + 512, hard labels': { partition: coarse(), router: network({ softLabels: 0 }) },
  'KaHIP k = 20 + 512': { partition: kahip({ neighbors: 20 }), router: network() },
  'KaHIP k = 50 + 512': { partition: fine(), router: network() },
  'KaHIP k = 50 + 512-512': { partition: fine(), router: network({ hidden: [512, 512] }) },
  'KaHIP k = 50, 5 seeds + 512': { partition: fine({ seeds: 5 }), router: network() },
  'KaHIP k = 50, imbalance 0.3 + 512': { partition: fine({ imbalance: 0.3 }), router: network() },
  'KaHIP k = 50, by rank + 512': { partition: fine({ reweigh: byRank }), router: network() },
  'KaHIP k = 50, by distance + 512': { partition: fine({ reweigh: byDistance }), router: network() },
  'KaHIP k = 50, by agreement + 512': { partition: fine({ reweigh: byAgreement }), router: network() },
  'KaHIP k = 50 + 512, spill 10 %': { partition: fine(), router: network(), spill: spilled(0.1) },
  ...turned('KaHIP k = 50', fine()),
  ...turned('KaHIP k = 20', kahip({ neighbors: 20 }), [early]),
  ...turned('KaHIP k = 10', coarse(), [early])
}

const byFound = (name) => ({ [`${name}, guided`]: { ...single[name], isGuided: true } })
const inTwo = (name) => ({ [`${name}, ensemble of 2`]: { ...single[name], partitions: 2 } })

const rows = {
  ...single,
  ...byFound('balanced k-means + 512'),
  ...byFound(`KaHIP k = 50 + 512, ${early}`),
  ...inTwo('k-means + 512'),
  ...inTwo(`KaHIP k = 50 + 512, ${early}`)
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

/** Bins in the order in which a search would read them that also looks at what it has found: the router's probability of a
 * bin and the share of it in the graph's neighbors of the ten nearest so far count alike. What stands in place of the
 * probability is the lowest that had to be accepted until then. */
function guided({ vectors, dimensions, queries, neighbors }, bins, labels, routes) {
  const members = Array.from({ length: bins }, () => [])
  for (const [row, bin] of labels.entries()) members[bin].push(row)
  const ordered = { bins: new Int32Array(routes.bins.length), probabilities: new Float32Array(routes.bins.length) }
  for (let first = 0; first < routes.bins.length; first += bins) {
    const query = queries.subarray((first / bins) * dimensions, (first / bins + 1) * dimensions)
    const likely = new Float64Array(bins)
    for (let i = first; i < first + bins; i++) likely[routes.bins[i]] = routes.probabilities[i]
    const left = new Set(likely.keys())
    let scores = likely
    let found = []
    let lowest = 1
    for (let i = first; i < first + bins; i++) {
      let best = -1
      for (const bin of left) if (best < 0 || scores[bin] > scores[best]) best = bin
      left.delete(best)
      lowest = Math.min(lowest, scores[best])
      ordered.bins[i] = best
      ordered.probabilities[i] = lowest
      // Nothing that is found so late changes anything at the accuracies asked for.
      if (lowest < leastGuided) continue
      const inBin = members[best].map((row) => ({ row, distance: squaredDistance(vectors, row, query) }))
      found = [...found, ...inBin].toSorted((a, b) => a.distance - b.distance).slice(0, k)
      scores = likely.map((probability) => probability / 2)
      for (const { row } of found) {
        const near = neighbors.ids.subarray(row * neighbors.neighbors, row * neighbors.neighbors + k)
        for (const id of near) scores[labels[id]] += 0.5 / (k * found.length)
      }
    }
  }
  return ordered
}
const leastGuided = 1e-3

function squaredDistance(vectors, row, query) {
  let sum = 0
  for (let i = 0; i < query.length; i++) sum += (vectors[row * query.length + i] - query[i]) ** 2
  return sum
}

/** A partition with its router, as steps of the search, and its largest bin / mean bin. */
async function partitioned(data, bins, { partition, router, turns, spill, isGuided }, seed) {
  let labels = await partition(data, bins, seed)
  let classifier
  if (turns) ({ labels, classifier } = await inTurns(data, bins, labels, router, seed, turns))
  else classifier = await router(data, bins, labels, seed)
  const second = spill ? spill(data, bins, labels) : labels
  const routed = await route(data, bins, labels, classifier, data.queries)
  const routes = isGuided ? guided(data, bins, labels, routed) : routed
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
  const steps = made.map((one) => one.steps.map((step) => ({ ...step, waste: -step.accuracy / step.candidates })))
  const at = (key) => candidatesAt(probingCurve(ensembleSteps(steps, key), key), goal)
  return {
    T: at('rank'),
    q95: partitions === 1 ? quantileAt(steps[0], bins, goal, 0.95) : Number.NaN,
    mass: at('mass'),
    probability: at('improbability'),
    // A router that knows where the neighbors are reads the bins that hold most of them for their size.
    oracle: at('waste'),
    balance: Math.max(...made.map((one) => one.balance))
  }
}

const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length
const printRow = (cells) => console.log(`| ${cells.join(' | ')} |`)
const count = (value) => (Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en-US'))

async function printTable(set, bins, seeds, chosen) {
  const data = await prepare(set)
  console.log(`\n${set}, ${bins} bins, seeds ${seeds.join(', ')}:\n`)
  const columns = ['T', 'q95', 'mass', 'probability', 'oracle', 'balance']
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
    printRow([name, ...means.slice(0, -1).map(count), means.at(-1).toFixed(2), (plain / best).toFixed(2)])
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
