/** The points' bins, by whichever partitioner the options name. */
import { regressionTree } from '../baselines/regression-lsh.js'
import { isProjection, networkOf } from '../baselines/rules.js'
import type { Classifier, Engine, ProjectionMethod } from '../engines/engine.js'
import type { IndexOptions } from '../options.js'
import { eachRow } from '../rows.js'
import type { MeasuredStage } from './measure-stages.js'

export interface Partitioned {
  labels: Int32Array<ArrayBuffer>
  /** n x neighborsPerRow; empty without a graph. */
  neighbors: Int32Array
  neighborsPerRow: number
  edgeCut?: number | undefined
  meanSquaredError?: number | undefined
  centroids?: Float32Array | undefined
  /** What the partitioner itself ranks a query's bins by. */
  rule?: Pick<Classifier, 'network' | 'parameters'> | undefined
  /** Rows that no router may be trained on; where it is left out, some are drawn. */
  heldOut?: Int32Array | undefined
}

/** The similarity graph lives in here only, so that its memory is free for the training. */
export async function partitionPoints(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  stage: MeasuredStage
): Promise<Partitioned> {
  const { partition, dimensions } = options
  const { neighbors, neighborsPerRow } = needsGraph(options)
    ? await findNeighbors(engine, vectors, options, stage)
    : { neighbors: new Int32Array(0), neighborsPerRow: 0 }
  const { bins, seed } = options
  const { method, iterations, largest, ...kahip } = partition
  if (method === 'kahip') {
    const similarity = await stage('similarity-graph', async (job) =>
      engine.similarityGraph(await nearest(neighbors, neighborsPerRow, options.graph.neighbors, job.signal), job)
    )
    const { labels, edgeCut } = await stage(
      'partition',
      (job) => engine.partition(similarity, { bins, seed, ...kahip }, job),
      ({ peakBytes }) => peakBytes
    )
    return { labels, edgeCut, neighbors, neighborsPerRow }
  }
  const found = await stage('partition', async (job) => {
    if (method === 'regression-lsh') return regressionTree(engine, vectors, options, job)
    if (isProjection(method)) return byProjections(engine, vectors, method, options, job)
    return engine.kmeans(vectors, dimensions, { bins, iterations, seed, largest }, job)
  })
  return { ...found, neighbors, neighborsPerRow }
}

/** Only KaHIP makes its bins of the graph; soft labels are made of neighbors, too. */
export const needsGraph = ({ partition, router, classifier }: IndexOptions) =>
  partition.method === 'kahip' || (router === 'classifier' && classifier.softLabels > 0)

/** As many neighbors as the partition and the soft labels ask for; their distances are let go of at once. */
async function findNeighbors(engine: Engine, vectors: Float32Array, options: IndexOptions, stage: MeasuredStage) {
  const { dimensions, metric, graph, seed, router, classifier } = options
  const neighbors = Math.max(graph.neighbors, router === 'classifier' ? classifier.softLabels : 0)
  const method = graph.method === 'auto' ? 'exact' : graph.method
  const { precision } = graph
  const { ids } = await stage('knn-graph', (job) =>
    engine.knnGraph(vectors, dimensions, metric, { neighbors, method, precision, seed }, job)
  )
  return { neighbors: ids, neighborsPerRow: neighbors }
}

/** The first `count` of the `width` neighbors of each row. */
async function nearest(
  neighbors: Int32Array<ArrayBuffer>,
  width: number,
  count: number,
  signal: AbortSignal | undefined
) {
  if (width === count) return { neighbors: count, ids: neighbors }
  const rows = neighbors.length / width
  const ids = new Int32Array(rows * count)
  await eachRow(rows, signal, (row) => ids.set(neighbors.subarray(row * width, row * width + count), row * count))
  return { neighbors: count, ids }
}

async function byProjections(
  engine: Engine,
  vectors: Float32Array,
  method: ProjectionMethod,
  { bins, seed, dimensions, partition }: IndexOptions,
  job: Parameters<Engine['projectionPartition']>[3]
) {
  const { iterations } = partition
  const made = await engine.projectionPartition(vectors, dimensions, { method, bins, iterations, seed }, job)
  const parameters = new Float32Array(made.weights.length + made.biases.length)
  parameters.set(made.weights)
  parameters.set(made.biases, made.weights.length)
  return {
    labels: made.labels,
    rule: { network: networkOf(method, bins, dimensions), parameters }
  }
}
