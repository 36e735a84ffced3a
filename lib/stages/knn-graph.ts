import type { KnnGraph } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { type KnnGraphOptions, resolveKnnGraph } from '../options.js'

/**
 * The k-nearest-neighbor graph: for each of n vectors its nearest others, nearest first, itself excluded, ties by
 * smaller row number (Dong et al., ICLR 2020, section 3, step 1). Exact, or by `method: 'approximate'` with a few
 * neighbors missed, in a time that grows only a little faster than n.
 *
 * @param vectors n x dimensions numbers, row after row; left as they are, and not to be changed until the call settles.
 * @returns row numbers and distances (squared Euclidean, 1 - cosine, or negated inner product), n x neighbors each.
 * @throws ArgumentError when an argument is wrong or a number is not finite; EngineError when nothing can compute here.
 */
export async function buildKnnGraph(vectors: Float32Array, options: KnnGraphOptions): Promise<KnnGraph> {
  const {
    dimensions,
    neighbors,
    metric,
    method,
    precision,
    seed,
    engine: choice,
    device,
    ...run
  } = resolveKnnGraph(vectors, options)
  const engine = await selectEngine(choice, device)
  return runJob(run, async ({ stage }) => {
    const prepared = await stage('prepare', (job) => engine.prepareVectors(vectors, dimensions, metric, 'vectors', job))
    const graph = { neighbors, method, precision, seed }
    return stage('knn-graph', (job) => engine.knnGraph(prepared, dimensions, metric, graph, job))
  })
}
