import type { KnnGraph, SimilarityGraph } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { type RunOptions, resolveSimilarityGraph } from '../options.js'

/**
 * Makes a k-NN graph symmetric: {i, j} is an edge when either is a neighbor of the other, of weight 2 when both are,
 * else 1 (Dong et al., ICLR 2020, section 3). Compressed sparse rows as METIS and KaHIP read them, each edge in both
 * directions.
 *
 * @param knnGraph n x neighbors row numbers, and distances, which play no part.
 * @throws ArgumentError when the shapes do not fit or an id is not another row's number.
 */
export async function buildSimilarityGraph(knnGraph: KnnGraph, options: RunOptions = {}): Promise<SimilarityGraph> {
  const { engine: choice, device, ...run } = resolveSimilarityGraph(knnGraph, options)
  const engine = await selectEngine(choice, device)
  return runJob(run, ({ stage }) => stage('similarity-graph', (job) => engine.similarityGraph(knnGraph, job)))
}
