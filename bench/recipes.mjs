/**
 * What helps the router: each row of the table is one change of the base recipe, all on the same partition.
 *
 *     npm run data -- mnist sift && node bench/recipes.mjs mnist --seeds 1,2 [--only base,dropout-0.1]
 *
 * The table, in Markdown, goes to standard output row by row, progress to standard error. docs/recipes.md says how to
 * read it. The figures are means over the seeds, which are those of the training: the partition stays.
 */
import { inspect, parseArgs } from 'node:util'
import { buildKnnGraph, buildSimilarityGraph, exactSearch, partitionGraph, trainClassifier } from 'neural-lsh'
import { multiplyAdds } from '../dist/classifier/network.js'
import { selectEngine } from '../dist/engines/select.js'
import { readSet } from './data.mjs'
import { accuracyAt, probingCurve, searchSteps } from './probing-curve.mjs'

const k = 10
const allNeighbors = 50
/** The partition is cut out of the graph of the nearest only. */
const partitionNeighbors = 10

/** Said in full: the rows keep their meaning when a default changes. */
const base = {
  hidden: [512],
  activation: 'relu',
  softLabels: 10,
  input: 'center',
  initialization: { type: 'uniform' },
  loss: { type: 'cross-entropy' },
  optimizer: { type: 'adam', learningRate: 1e-3 },
  schedule: { type: 'cosine' },
  epochs: 10,
  batchSize: 512
}

/** One change each; at the end of the optimizers, the best of them with others. */
const changes = {
  base: {},

  'soft-0': { softLabels: 0 },
  'soft-15': { softLabels: 15 },
  'soft-50': { softLabels: 50 },

  'width-128': { hidden: [128] },
  'width-256': { hidden: [256] },
  'width-1024': { hidden: [1024] },
  'depth-0': { hidden: [] },
  'depth-2': { hidden: [512, 512] },
  'depth-3': { hidden: [512, 512, 512] },

  'batch-norm': { batchNorm: true },
  'dropout-0.1': { dropout: 0.1 },
  'dropout-0.3': { dropout: 0.3 },
  'batch-norm-dropout': { batchNorm: true, dropout: 0.1 },
  l2: { regularization: { l2: 1e-4 } },
  'input-noise': { regularization: { inputNoise: 0.1 } },

  standardize: { input: 'standardize' },
  normalize: { input: 'normalize' },
  none: { input: 'none' },

  'label-smoothing': { loss: { type: 'cross-entropy', labelSmoothing: 0.1 } },
  bce: { loss: { type: 'binary-cross-entropy' } },
  mse: { loss: { type: 'mean-squared-error' } },

  gelu: { activation: 'gelu' },
  selu: { activation: 'selu', initialization: { type: 'lecun-normal' } },
  tanh: { activation: 'tanh', initialization: { type: 'xavier-uniform' } },

  momentum: { optimizer: { type: 'sgd', learningRate: 0.1, momentum: 0.9 } },
  nesterov: { optimizer: { type: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true } },
  adagrad: { optimizer: { type: 'adagrad', learningRate: 0.01 } },
  rmsprop: { optimizer: { type: 'rmsprop', learningRate: 1e-3 } },
  adadelta: { optimizer: { type: 'adadelta', learningRate: 1 } },
  adamw: { optimizer: { type: 'adamw', learningRate: 1e-3, weightDecay: 0.01 } },
  adamax: { optimizer: { type: 'adamax', learningRate: 2e-3 } },
  nadam: { optimizer: { type: 'nadam', learningRate: 1e-3 } },

  'adam-3e-4': { optimizer: { type: 'adam', learningRate: 3e-4 } },
  'adam-3e-3': { optimizer: { type: 'adam', learningRate: 3e-3 } },
  'adam-1e-2': { optimizer: { type: 'adam', learningRate: 1e-2 } },
  'adam-3e-3-soft-15': { optimizer: { type: 'adam', learningRate: 3e-3 }, softLabels: 15 },
  'adam-3e-3-width-1024': { optimizer: { type: 'adam', learningRate: 3e-3 }, hidden: [1024] },
  'adam-3e-3-depth-2': { optimizer: { type: 'adam', learningRate: 3e-3 }, hidden: [512, 512] },
  'adam-3e-3-depth-3': { optimizer: { type: 'adam', learningRate: 3e-3 }, hidden: [512, 512, 512] },
  constant: { schedule: { type: 'constant' } },
  'warm-up': { schedule: { type: 'cosine', warmup: 1 } },
  'batch-128': { batchSize: 128 },
  'epochs-5': { epochs: 5 },
  'epochs-20': { epochs: 20 },
  'epochs-40': { epochs: 40 },
  'early-stopping-loss': { epochs: 30, earlyStopping: { monitor: 'validation-loss' } },
  'early-stopping-accuracy': { epochs: 30, earlyStopping: { monitor: 'neighbor-accuracy' } }
}

/** LeCun, Bottou, Bengio & Haffner 1998, with ReLU and maxima. */
const leNet = {
  hidden: undefined,
  activation: undefined,
  inputShape: [1, 28, 28],
  layers: [
    { type: 'conv2d', channels: 6, kernel: 5, padding: 2 },
    { type: 'relu' },
    { type: 'max-pool2d', kernel: 2 },
    { type: 'conv2d', channels: 16, kernel: 5 },
    { type: 'relu' },
    { type: 'max-pool2d', kernel: 2 },
    { type: 'linear', outputs: 120 },
    { type: 'relu' },
    { type: 'linear', outputs: 84 },
    { type: 'relu' }
  ]
}

/** `goals`: mean candidates at which the recipes are compared. */
const experiments = {
  mnist: { bins: 64, mode: 'ecosocial', goals: [1000, 2000, 4000], rows: { ...changes, cnn: leNet } },
  sift: { bins: 256, mode: 'fastsocial', goals: [2000, 4000, 8000], rows: changes }
}

const engine = await selectEngine('auto')
const job = { threads: 0 }
const log = (text) => process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`)

/** Everything that does not depend on the recipe, computed once. */
async function prepare(name, { bins, mode }) {
  const { vectors, rows, dimensions, queries } = await readSet(name)
  log(`${name}: ${rows} x ${dimensions}, exact answers`)
  const { ids: truth } = await exactSearch(vectors, queries, { dimensions, k })
  log(`graph of ${allNeighbors} neighbors`)
  const neighbors = await buildKnnGraph(vectors, { dimensions, neighbors: allNeighbors })
  log(`partition into ${bins} bins, ${mode}`)
  const graph = await buildSimilarityGraph(firstColumns(neighbors, partitionNeighbors))
  const { labels } = await partitionGraph(graph, { bins, mode })
  const ordered = new Float32Array(vectors.length)
  const groups = await engine.groupIntoBins(labels, bins, { from: vectors, to: ordered, dimensions }, job)
  return {
    task: { dimensions, bins, labels, neighbors },
    vectors,
    queries,
    /** What a searcher needs besides the classifier. */
    state: { metric: 'euclidean', dimensions, bins: groups, vectors: ordered },
    binSizes: Int32Array.from({ length: bins }, (_, bin) => groups.offsets[bin + 1] - groups.offsets[bin]),
    truthBins: truth.map((id) => labels[id])
  }
}

function firstColumns({ ids, distances, neighbors }, columns) {
  const isKept = (_, i) => i % neighbors < columns
  return { neighbors: columns, ids: ids.filter(isKept), distances: distances.filter(isKept) }
}

/** One number for each of the table's columns. */
async function measure({ task, vectors, queries, state, binSizes, truthBins }, recipe, goals) {
  const { history, calibration, state: _, ...classifier } = await trainClassifier(vectors, { ...task, ...recipe })
  const searcher = await engine.openSearcher({ ...state, classifier }, job)
  const routes = await searcher.route(queries, task.bins, job)
  searcher.close()
  const steps = searchSteps(routes, binSizes, truthBins)
  const curves = ['rank', 'mass'].map((key) => probingCurve(steps, key))
  return [
    ...curves.flatMap((curve) => goals.map((goal) => accuracyAt(curve, goal))),
    multiplyAdds(classifier.network) / task.dimensions,
    calibration.errorBefore,
    calibration.errorAfter,
    history.length
  ]
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length
const columnsOf = ([first = [], ...others]) => first.map((value, i) => [value, ...others.map((row) => row[i])])
/** Of a few numbers of a larger population, squared. */
const variance = (numbers) =>
  numbers.reduce((sum, number) => sum + (number - mean(numbers)) ** 2, 0) / (numbers.length - 1)

const share = (value) => value.toFixed(4).replace(/^0/, '')
const inThousands = (value) => value.toLocaleString('en-US')
const printRow = (cells) => console.log(`| ${cells.join(' | ')} |`)

/** The change in the words of the options; of layers their types. */
function wordsFor({ layers, ...others }) {
  const types = layers?.map(({ type }) => type).join(' ')
  const options = Object.entries({ ...others, layers: types }).filter(([, value]) => value !== undefined)
  const words = options.map(([name, value]) => `${name}: ${inspect(value, { breakLength: Infinity, compact: true })}`)
  return words.length > 0 ? `\`${words.join(', ')}\`` : ''
}

/** One measurement for each seed; none when the training diverges. */
async function measureSeeds(prepared, change, goals, seeds) {
  const measured = []
  try {
    for (const seed of seeds) measured.push(await measure(prepared, { ...base, ...change, seed }, goals))
  } catch (error) {
    if (error.code !== 'ERR_NLSH_TRAINING') throw error
    log(error.message)
    return []
  }
  return measured
}

async function printTable(name, seeds, only) {
  const { goals, rows, ...partition } = experiments[name]
  const chosen = only.length > 0 ? only : Object.keys(rows)
  const unknown = chosen.find((row) => !Object.hasOwn(rows, row))
  if (unknown !== undefined) throw new Error(`${unknown} is none of ${Object.keys(rows).join(', ')}`)
  const prepared = await prepare(name, partition)

  printHead(name, prepared, partition, seeds, goals)
  const variances = []
  for (const row of chosen) {
    log(row)
    const measured = await measureSeeds(prepared, rows[row], goals, seeds)
    const columns = columnsOf(measured)
    printRow([row, wordsFor(rows[row]), ...(measured.length > 0 ? cellsFor(columns.map(mean)) : ['diverges'])])
    if (measured.length > 1) variances.push(columns.slice(0, 2 * goals.length).map(variance))
  }
  if (variances.length === 0) return
  const deviations = columnsOf(variances).map((column) => share(Math.sqrt(mean(column))))
  console.log(`\nStandard deviation of one seed's accuracies: ${deviations.join(' / ')}, over all rows.`)
}

function printHead(name, { task, vectors }, { bins, mode }, seeds, goals) {
  const size = `${inThousands(vectors.length / task.dimensions)} x ${task.dimensions}`
  console.log(`${name}, ${size}, ${bins} bins (${mode}), training seeds ${seeds.join(', ')}:\n`)
  const accuracies = ['T', 'mass'].flatMap((probing) => goals.map((goal) => `${probing}: ${inThousands(goal)}`))
  const titles = ['recipe', 'change', ...accuracies, 'router', 'ECE', 'calibrated', 'epochs']
  printRow(titles)
  printRow(titles.map((_, column) => (column < 2 ? '---' : '--:')))
}

/** In the order of `measure`. */
function cellsFor(means) {
  const [router, before, after, epochs] = means.slice(-4)
  const epochDigits = Number.isInteger(epochs) ? 0 : 1
  return [...means.slice(0, -4).map(share), router.toFixed(0), share(before), share(after), epochs.toFixed(epochDigits)]
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '1' }, only: { type: 'string', default: '' } }
})
const [name] = positionals
if (positionals.length !== 1 || !Object.hasOwn(experiments, name)) {
  throw new Error(`name one of ${Object.keys(experiments).join(', ')}`)
}
await printTable(name, values.seeds.split(',').map(Number), values.only.split(',').filter(Boolean))
