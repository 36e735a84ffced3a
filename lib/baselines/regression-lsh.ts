/**
 * Regression LSH (Dong, Indyk, Razenshteyn & Wagner, ICLR 2020, section 4): a binary tree of logistic regressions. At
 * each node the graph of its points is cut into two halves, a regression learns the cut, and the points go where the
 * regression says.
 */
import { batchSizeFor } from '../classifier/options.js'
import type { Classifier, Engine, JobOptions } from '../engines/engine.js'
import { type IndexOptions, trainingOf } from '../options.js'
import { eachRow, gatherRows } from '../rows.js'
import { networkOf } from './rules.js'

/** A hyperplane: a point x with <weights, x> + bias > 0 is on its right. */
interface Hyperplane {
  weights: Float32Array
  bias: number
}

/** A node over `leaves` bins, the first of which is `firstBin`; its number in preorder. */
interface Node {
  rows: Int32Array
  leaves: number
  firstBin: number
  number: number
}

/** Too few points to learn from. */
const fewestRows = 16

/** The bins of prepared vectors, a power of two of them, and the tree that ranks them. */
export async function regressionTree(engine: Engine, vectors: Float32Array, options: IndexOptions, job: JobOptions) {
  const { dimensions, bins } = options
  const rows = vectors.length / dimensions
  const labels = new Int32Array(rows)
  const parameters = new Float32Array((bins - 1) * (dimensions + 1))
  const all = new Int32Array(rows)
  await eachRow(rows, job.signal, (row) => {
    all[row] = row
  })
  const waiting: Node[] = [{ rows: all, leaves: bins, firstBin: 0, number: 0 }]
  for (let done = 0, node = waiting.pop(); node !== undefined; done++, node = waiting.pop()) {
    job.onProgress?.(done, 2 * bins - 1)
    const { leaves, firstBin, number } = node
    const members = node.rows
    if (leaves === 1) {
      await eachRow(members.length, job.signal, (i) => {
        labels[members[i] as number] = firstBin
      })
      continue
    }
    const half = leaves / 2
    const points = await gatherRows(vectors, dimensions, members, job.signal)
    const plane =
      members.length < fewestRows
        ? betweenEnds(points, dimensions)
        : await regress(engine, points, options, { ...job, onProgress: undefined })
    const margins = await marginsOf(points, plane, job.signal)
    const threshold = thresholdOf(margins, half)
    parameters.set(plane.weights, number * dimensions)
    parameters[(bins - 1) * dimensions + number] = plane.bias - threshold
    const [left, right] = await split(members, margins, threshold, job.signal)
    waiting.push({ rows: right, leaves: half, firstBin: firstBin + half, number: number + half })
    waiting.push({ rows: left, leaves: half, firstBin, number: number + 1 })
  }
  const rule: Pick<Classifier, 'network' | 'parameters'> = {
    network: networkOf('regression-lsh', bins, dimensions),
    parameters
  }
  return { labels, rule }
}

/** Cuts the points' graph in two and learns on which side a point is. */
async function regress(
  engine: Engine,
  points: Float32Array,
  options: IndexOptions,
  job: JobOptions
): Promise<Hyperplane> {
  const { dimensions, metric, graph, seed, partition } = options
  const rows = points.length / dimensions
  const training = trainingOf(options)
  const wanted = Math.max(graph.neighbors, training.softLabels)
  const neighbors = Math.min(wanted, rows - 1)
  const method = graph.method === 'auto' ? 'exact' : graph.method
  const { precision } = graph
  const { ids } = await engine.knnGraph(points, dimensions, metric, { neighbors, method, precision, seed }, job)
  const similarity = await engine.similarityGraph({ neighbors, ids }, job)
  const { mode, imbalance, seeds } = partition
  const { labels } = await engine.partition(similarity, { bins: 2, mode, imbalance, seed, seeds }, job)
  const softLabels = Math.min(training.softLabels, neighbors)
  const { parameters, input } = await engine.trainClassifier(
    {
      ...training,
      vectors: points,
      dimensions,
      labels,
      bins: 2,
      neighbors: ids,
      neighborsPerRow: neighbors,
      softLabels,
      batchSize: batchSizeFor(rows, training.batchSize),
      network: { inputShape: [dimensions, 1, 1], layers: [{ type: 'linear', outputs: 2, bias: true }] },
      monitoredProbes: 1,
      calibrate: false,
      seed
    },
    job
  )
  // Two classes' softmax is the sigmoid of the difference of their logits.
  let bias = (parameters[2 * dimensions + 1] as number) - (parameters[2 * dimensions] as number)
  const weights = new Float32Array(dimensions)
  for (let i = 0; i < dimensions; i++) {
    const weight = (parameters[dimensions + i] as number) - (parameters[i] as number)
    weights[i] = weight * (input.scale[i] as number)
    bias -= (weights[i] as number) * (input.mean[i] as number)
  }
  return { weights, bias }
}

/** Halfway between the first and the last of a few points. */
function betweenEnds(points: Float32Array, dimensions: number): Hyperplane {
  const weights = new Float32Array(dimensions)
  let bias = 0
  for (let i = 0; i < dimensions; i++) {
    const [first = 0, last = 0] = [points[i], points[points.length - dimensions + i]]
    weights[i] = last - first
    bias -= ((last - first) * (last + first)) / 2
  }
  return { weights, bias }
}

async function marginsOf(points: Float32Array, { weights, bias }: Hyperplane, signal: AbortSignal | undefined) {
  const dimensions = weights.length
  const margins = new Float32Array(points.length / dimensions)
  await eachRow(margins.length, signal, (row) => {
    let margin = bias
    for (let i = 0; i < dimensions; i++) margin += (weights[i] as number) * (points[row * dimensions + i] as number)
    margins[row] = margin
  })
  return margins
}

/** 0, or where a side would get fewer points than it has leaves, the margin in the middle. */
function thresholdOf(margins: Float32Array, leaves: number): number {
  const right = margins.reduce((count, margin) => count + (margin > 0 ? 1 : 0), 0)
  if (Math.min(right, margins.length - right) >= leaves) return 0
  return margins.slice().sort()[(margins.length - 1) >> 1] ?? 0
}

async function split(rows: Int32Array, margins: Float32Array, threshold: number, signal: AbortSignal | undefined) {
  const sides = [new Int32Array(rows.length), new Int32Array(rows.length)] as const
  const sizes: [number, number] = [0, 0]
  await eachRow(rows.length, signal, (i) => {
    const side = (margins[i] as number) > threshold ? 1 : 0
    sides[side][sizes[side]++] = rows[i] as number
  })
  return sides.map((side, i) => side.slice(0, sizes[i])) as [Int32Array, Int32Array]
}
