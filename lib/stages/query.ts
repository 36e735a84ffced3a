import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { type ExactSearchOptions, resolveExactSearch } from '../options.js'

/** queries x k each, nearest first, ties by smaller id. */
export interface ExactSearchResult {
  /** Row numbers of the vectors. */
  ids: Int32Array<ArrayBuffer>
  /** Squared Euclidean, 1 - cosine, or negated inner product. */
  distances: Float32Array<ArrayBuffer>
}

/**
 * The exact k nearest vectors of each query, by comparing with all: the truth that an index is measured against.
 *
 * @param vectors n x dimensions numbers, row after row.
 * @param queries q x dimensions numbers, row after row; neither may be changed until the call settles.
 * @throws ArgumentError when an argument is wrong or a number is not finite.
 */
export async function exactSearch(
  vectors: Float32Array,
  queries: Float32Array,
  options: ExactSearchOptions
): Promise<ExactSearchResult> {
  const { dimensions, metric, k, engine: choice, device, ...run } = resolveExactSearch(vectors, queries, options)
  const engine = await selectEngine(choice, device)
  return runJob(run, async ({ stage }) => {
    const [points, asked] = await stage(
      'prepare',
      async (job) =>
        [
          await engine.prepareVectors(vectors, dimensions, metric, 'vectors', job),
          await engine.prepareVectors(queries, dimensions, metric, 'queries', { ...job, onProgress: undefined })
        ] as const
    )
    return stage('exact-search', (job) => engine.exactSearch(points, asked, dimensions, metric, k, job))
  })
}
