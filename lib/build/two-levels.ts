/**
 * Two levels: the vectors of each group are partitioned, and a network is trained on their bins, as if they were all there
 * is (Dong, Indyk, Razenshteyn & Wagner, ICLR 2020, section 3.2).
 */
import { chooseGraphMethod } from '../choices.js'
import { bufferCount, parameterCount, tensorsOf } from '../classifier/network.js'
import { batchSizeFor } from '../classifier/options.js'
import type { Classifier, Engine, InputTransform, JobOptions } from '../engines/engine.js'
import { firstLevelOf, type IndexOptions, routerOf } from '../options.js'
import { eachRow, gatherRows } from '../rows.js'
import { type MadeBins, makeBins, rankByCentroids } from './make-router.js'
import type { MeasuredStage } from './measure-stages.js'
import { partitionPoints } from './partition-points.js'

/** Fewer vectors for each bin than that are dealt out, as there is nothing to learn from. */
const fewestPerBin = 2

/** The bins in the groups that the first level made, and what ranks them. `vectors` are prepared ones. */
export async function divideGroups(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  first: MadeBins,
  job: JobOptions
): Promise<MadeBins> {
  const groups = firstLevelOf(options).bins
  const each = options.bins / groups
  const labels = new Int32Array(first.labels.length)
  const children: (Classifier | undefined)[] = []
  // No row that the first level has held out may be learned in the second: what is learned of recall is learned from these.
  const isHeldOut = new Uint8Array(first.labels.length)
  for (const row of first.ranking.heldOut) isHeldOut[row] = 1
  for (const [group, rows] of (await membersOf(first.labels, groups, job.signal)).entries()) {
    job.onProgress?.(group, groups)
    const { binOf, classifier } = await divide(engine, vectors, { rows, isHeldOut }, options, first, job)
    await eachRow(rows.length, job.signal, (i) => {
      labels[rows[i] as number] = group * each + (binOf[i] as number)
    })
    children.push(classifier)
  }
  if (options.router === 'centroids')
    return { labels, ranking: await rankByCentroids(vectors, options, { labels }, job.signal) }
  return { labels, ranking: { ...first.ranking, classifier: join(options, first.ranking.classifier, children) } }
}

/** The bins of a group's rows, and the network that ranks them. */
async function divide(
  engine: Engine,
  vectors: Float32Array,
  { rows, isHeldOut }: { rows: Int32Array; isHeldOut: Uint8Array },
  options: IndexOptions,
  { ranking }: MadeBins,
  job: JobOptions
): Promise<{ binOf: Int32Array; classifier?: Classifier }> {
  const { dimensions, router, bins, groups } = options
  const each = bins / groups
  const heldOut = await indexesWhere(rows, isHeldOut, job.signal)
  if (rows.length - heldOut.length < fewestPerBin * each) return { binOf: rows.map((_, i) => i % each) }
  const points = await gatherRows(vectors, dimensions, rows, job.signal)
  const stage: MeasuredStage = (_, work) => work({ ...job, onProgress: undefined })
  const own = asWhole(options, each, rows.length)
  const partitioned = await partitionPoints(engine, points, own, stage)
  if (router === 'classifier') await applyInPlace(ranking.classifier.input, points, job.signal)
  const made = await makeBins(engine, points, own, { ...partitioned, heldOut }, stage)
  return { binOf: made.labels, classifier: made.ranking.classifier }
}

/** The rows of each group, in ascending order. */
async function membersOf(labels: Int32Array, groups: number, signal: AbortSignal | undefined) {
  const sizes = new Int32Array(groups)
  await eachRow(labels.length, signal, (row) => {
    const group = labels[row] as number
    sizes[group] = (sizes[group] as number) + 1
  })
  const members = Array.from(sizes, (size) => new Int32Array(size))
  const filled = new Int32Array(groups)
  await eachRow(labels.length, signal, (row) => {
    const group = labels[row] as number
    const place = filled[group] as number
    ;(members[group] as Int32Array)[place] = row
    filled[group] = place + 1
  })
  return members
}

/** Where among `rows` the marked ones are. */
async function indexesWhere(rows: Int32Array, isMarked: Uint8Array, signal: AbortSignal | undefined) {
  const found: number[] = []
  await eachRow(rows.length, signal, (i) => {
    if (isMarked[rows[i] as number]) found.push(i)
  })
  return Int32Array.from(found)
}

/** The options for a group of `rows` vectors by itself, whose numbers enter the network as they are. */
function asWhole(options: IndexOptions, bins: number, rows: number): IndexOptions {
  const { graph, classifier, dimensions } = options
  return {
    ...options,
    bins,
    groups: 1,
    graph: {
      ...graph,
      neighbors: Math.min(graph.neighbors, rows - 1),
      method: graph.method === 'exact' ? 'exact' : chooseGraphMethod(rows, dimensions).value
    },
    classifier: {
      ...classifier,
      input: 'none',
      softLabels: Math.min(classifier.softLabels, rows - 1),
      batchSize: batchSizeFor(rows, classifier.batchSize),
      monitoredProbes: Math.min(classifier.monitoredProbes, bins)
    }
  }
}

/** What the networks of both levels are fed with. */
async function applyInPlace(
  { unitLength, mean, scale }: InputTransform,
  vectors: Float32Array,
  signal: AbortSignal | undefined
) {
  const dimensions = mean.length
  await eachRow(vectors.length / dimensions, signal, (row) => {
    const numbers = vectors.subarray(row * dimensions, (row + 1) * dimensions)
    const length = unitLength ? Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0)) : 1
    for (let i = 0; i < dimensions; i++)
      numbers[i] = ((numbers[i] as number) / (length || 1) - (mean[i] as number)) * (scale[i] as number)
  })
}

/** The numbers of both levels, one network after the other; a group without one finds all its bins equally probable. */
function join(options: IndexOptions, first: Classifier, children: (Classifier | undefined)[]): Classifier {
  const network = routerOf(options)
  const parameters = new Float32Array(parameterCount(network))
  const buffers = new Float32Array(bufferCount(network))
  parameters.set(first.parameters)
  buffers.set(first.buffers)
  for (const [group, child] of children.entries()) {
    if (child === undefined) continue
    const [size, running] = [child.parameters.length, child.buffers.length]
    parameters.set(atTemperatureOne(child), first.parameters.length + group * size)
    buffers.set(child.buffers, first.buffers.length + group * running)
  }
  return { ...first, network, parameters, buffers }
}

/** The parameters with the temperature in the last layer, whose outputs are the logits. */
function atTemperatureOne({ network, parameters, temperature }: Classifier): Float32Array {
  const last = tensorsOf(network).filter(
    ({ kind, name }) => kind === 'parameter' && name.startsWith(`${network.layers.length - 1}.`)
  )
  const count = last.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0)
  const begin = parameters.length - count
  return parameters.map((value, i) => (i < begin ? value : value / temperature))
}
