import type { Kmeans } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { type KmeansOptions, resolveKmeans } from '../options.js'

/**
 * k-means (Lloyd 1982), on a sample where there are many vectors: bins that need no graph, each the vectors nearest to
 * its centroid, or, with `largest`, a bin with room whose centroid is near. A bin is empty only where there are fewer
 * different vectors than bins.
 *
 * @param vectors n x dimensions numbers, row after row; left as they are, and not to be changed until the call settles.
 * @returns for each vector the nearest centroid, ties to the smaller number, or the bin with room that it went to, and the centroids, bins x dimensions.
 * @throws ArgumentError when an argument is wrong or a number is not finite.
 */
export async function kmeans(vectors: Float32Array, options: KmeansOptions): Promise<Kmeans> {
  const {
    dimensions,
    bins,
    iterations,
    seed,
    largest,
    engine: choice,
    device,
    ...run
  } = resolveKmeans(vectors, options)
  const engine = await selectEngine(choice, device)
  return runJob(run, async ({ stage }) => {
    const prepared = await stage('prepare', (job) =>
      engine.prepareVectors(vectors, dimensions, 'euclidean', 'vectors', job)
    )
    return stage('partition', (job) => engine.kmeans(prepared, dimensions, { bins, iterations, seed, largest }, job))
  })
}
