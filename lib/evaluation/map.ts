/** Points of many dimensions on a plane. */
import { Worker } from 'node:worker_threads'
import type { Metric } from '../engines/engine.js'
import { gatherRows } from '../rows.js'

/** Of each point its place on two maps. */
export interface PointMap {
  /** The two directions of most variance. */
  pca: [number, number][]
  /** van der Maaten & Hinton (2008): neighbors stay neighbors, distances mean little. */
  tsne: [number, number][]
}

export interface MapTask {
  /** points x dimensions */
  vectors: Float32Array<ArrayBuffer>
  dimensions: number
  unitLength: boolean
  seed: number
}

export interface MapRequest {
  dimensions: number
  metric: Metric
  seed: number
  /** Row numbers of the points; t-SNE takes time in proportion to the square of their number. */
  rows: readonly number[]
  signal?: AbortSignal | undefined
}

/** Draws both maps of some rows, on a thread of its own. */
export async function mapPoints(vectors: Float32Array, request: MapRequest): Promise<PointMap> {
  const { dimensions, metric, seed, rows, signal } = request
  const points = await gatherRows(vectors, dimensions, Int32Array.from(rows), signal)
  return runWorker({ vectors: points, dimensions, unitLength: metric === 'cosine', seed }, signal)
}

async function runWorker(task: MapTask, signal: AbortSignal | undefined): Promise<PointMap> {
  signal?.throwIfAborted()
  const worker = new Worker(new URL('./map-worker.mjs', import.meta.url), {
    workerData: task,
    transferList: [task.vectors.buffer]
  })
  const stop = () => void worker.terminate()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await new Promise<PointMap>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(signal?.reason ?? new Error('the thread that draws the map ended early')))
    })
  } finally {
    signal?.removeEventListener('abort', stop)
    await worker.terminate()
  }
}
