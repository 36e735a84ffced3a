/** What ranks the bins for a query: a trained network, or what the partition says of them itself. */
import { type Network, outputsOf } from '../classifier/network.js'
import type { Calibration, Classifier, Engine, EpochReport, JobOptions } from '../engines/engine.js'
import { type IndexOptions, trainingOf } from '../options.js'
import { eachRow } from '../rows.js'
import type { HeldOut } from '../stages/recall.js'
import type { MeasuredStage } from './measure-stages.js'
import type { Partitioned } from './partition-points.js'

/** What ranks the bins, and the rows that it has not seen. */
export interface Ranking {
  classifier: Classifier
  calibration: Calibration | undefined
  heldOut: Int32Array
  history: EpochReport[]
  bestEpoch: number
}

async function makeRouter(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  partitioned: Partitioned,
  job: JobOptions
): Promise<Ranking> {
  const { dimensions, bins, seed, router } = options
  const { labels, neighbors, neighborsPerRow, rule, heldOut: hidden } = partitioned
  if (router === 'own' && rule !== undefined) return untrained(rule, dimensions)
  if (router === 'centroids') return rankByCentroids(vectors, options, partitioned, job.signal)
  const training = trainingOf(options)
  const request = { ...training, vectors, dimensions, labels, bins, neighbors, neighborsPerRow, seed, heldOut: hidden }
  const {
    state: _,
    history,
    bestEpoch,
    calibration,
    heldOut,
    ...classifier
  } = await engine.trainClassifier(request, job)
  return { classifier, calibration, heldOut, history, bestEpoch }
}

/** A router to which nothing but the bins' centroids matters. */
export async function rankByCentroids(
  vectors: Float32Array,
  options: IndexOptions,
  partitioned: Pick<Partitioned, 'labels' | 'centroids' | 'meanSquaredError'>,
  signal: AbortSignal | undefined
): Promise<Ranking> {
  const { network } = trainingOf(options)
  return untrained(await centroidRule(network, vectors, partitioned, signal), options.dimensions)
}

/** A network that sees the vectors as they are. */
function untrained(rule: Pick<Classifier, 'network' | 'parameters'>, dimensions: number): Ranking {
  const mean = new Float32Array(dimensions)
  const input = { unitLength: false, mean, scale: mean.map(() => 1) }
  const classifier = { ...rule, buffers: new Float32Array(0), input, temperature: 1 }
  return { classifier, calibration: undefined, heldOut: new Int32Array(0), history: [], bestEpoch: 0 }
}

/** The nearest centroid as a linear classifier: -|q - c|^2 is 2 <q, c> - |c|^2 and a term that all bins share. Measured
 * in mean squared distances, so that a temperature near 1 will fit. */
async function centroidRule(
  network: Network,
  vectors: Float32Array,
  { labels, centroids, meanSquaredError }: Pick<Partitioned, 'labels' | 'centroids' | 'meanSquaredError'>,
  signal: AbortSignal | undefined
) {
  const dimensions = network.inputShape[0]
  const bins = outputsOf(network)
  const found =
    centroids && meanSquaredError !== undefined
      ? { centroids, meanSquaredError, empty: new Set<number>() }
      : await binMeans(vectors, dimensions, labels, bins, signal)
  const unit = 1 / (found.meanSquaredError || 1)
  const parameters = new Float32Array(found.centroids.length + bins)
  let farthest = 0
  await eachRow(bins, signal, (bin) => {
    let squared = 0
    for (let i = bin * dimensions; i < (bin + 1) * dimensions; i++) {
      const value = found.centroids[i] as number
      parameters[i] = 2 * value * unit
      squared += value * value
    }
    parameters[found.centroids.length + bin] = -squared * unit
    farthest = Math.max(farthest, squared * unit)
  })
  // Nothing is near to an empty bin.
  for (const bin of found.empty) parameters[found.centroids.length + bin] = -16 * farthest
  return { network, parameters }
}

/** The means of the bins and the mean squared distance to them. */
async function binMeans(
  vectors: Float32Array,
  dimensions: number,
  labels: Int32Array,
  bins: number,
  signal: AbortSignal | undefined
) {
  const sums = new Float64Array(bins * dimensions)
  const sizes = new Int32Array(bins)
  let squares = 0
  await eachRow(labels.length, signal, (row) => {
    const bin = labels[row] as number
    sizes[bin] = (sizes[bin] as number) + 1
    for (let i = 0; i < dimensions; i++) {
      const value = vectors[row * dimensions + i] as number
      sums[bin * dimensions + i] = (sums[bin * dimensions + i] as number) + value
      squares += value * value
    }
  })
  const centroids = new Float32Array(sums.length)
  const empty = new Set<number>()
  await eachRow(bins, signal, (bin) => {
    const size = sizes[bin] as number
    if (size === 0) empty.add(bin)
    for (let i = bin * dimensions; i < (bin + 1) * dimensions; i++) {
      const sum = sums[i] as number
      centroids[i] = size > 0 ? sum / size : 0
      squares -= size > 0 ? (sum * sum) / size : 0
    }
  })
  return { centroids, meanSquaredError: Math.max(0, squares) / labels.length, empty }
}

/** The vectors' bins, and what ranks them. */
export interface MadeBins {
  labels: Int32Array<ArrayBuffer>
  ranking: Ranking
}

/** A router that has not learned the partition by heart moves the vectors better than one that has. */
const shareOfEpochs = 0.3

/** The same training in fewer epochs: a cosine still falls to its end. */
function withEpochs(options: IndexOptions, epochs: number): IndexOptions {
  const { classifier } = options
  const { schedule } = classifier
  const share = epochs / classifier.epochs
  const shortened =
    schedule.type === 'cosine' ? { ...schedule, epochs: Math.max(1, Math.ceil(share * schedule.epochs)) } : schedule
  return { ...options, classifier: { ...classifier, epochs, schedule: shortened } }
}

/**
 * The vectors' bins in the end, and the router of them.
 *
 * A partition of the graph is cut where few edges run, not where a query's side is easy to tell. A router that was
 * trained on it knows what can be told: where the vectors go to the bins in which it would look for them first, a router
 * that is trained on these finds more (as in Gupta et al., "BLISS", KDD 2022, which starts from random bins).
 */
export async function makeBins(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  partitioned: Partitioned,
  stage: MeasuredStage
): Promise<MadeBins> {
  const { assignment, bins, partition } = options
  const rows = partitioned.labels.length
  const rank =
    (labels: Int32Array<ArrayBuffer>, epochs = options.classifier.epochs) =>
    (job: JobOptions) =>
      makeRouter(engine, vectors, withEpochs(options, epochs), { ...partitioned, labels }, job)
  if (assignment === 'router-bounded') {
    const largest = Math.floor((1 + partition.imbalance) * Math.ceil(rows / bins) + 1e-9)
    const labels = await stage('assignment', async (job) => {
      const { classifier } = await rank(partitioned.labels, Math.ceil(shareOfEpochs * options.classifier.epochs))(job)
      return engine.assignToBins(classifier, vectors, largest, { ...job, onProgress: undefined })
    })
    return { labels, ranking: await stage('classifier', rank(labels)) }
  }
  const ranking = await stage('classifier', rank(partitioned.labels))
  if (assignment === 'partition') return { labels: partitioned.labels, ranking }
  const { classifier } = ranking
  const labels = await stage('assignment', (job) => engine.assignToBins(classifier, vectors, rows, job))
  return { labels, ranking }
}

/** Gives a router the temperature that fits where the neighbors of the held-out vectors are, unless its training did:
 * where it was not trained, or where the vectors have changed their bins since. */
export async function calibrate(
  engine: Engine,
  options: IndexOptions,
  { classifier, calibration, history }: Ranking,
  { queries, truth }: HeldOut,
  labels: Int32Array,
  job: JobOptions
) {
  const isFitted = history.length > 0 && options.assignment !== 'router'
  if (isFitted || !options.classifier.calibrate) return { classifier, calibration }
  const neighborBins = truth.map((id) => labels[id] as number)
  const fitted = await engine.calibrateToNeighbors(classifier, queries, neighborBins, job)
  return { classifier: { ...classifier, temperature: fitted.temperature }, calibration: fitted }
}
