/** Real vectors with queries that are not among them, and the share of the true neighbors that a search finds. */
import { exactSearch, type NeuralLSH, readVectors, type SearchBatchOptions } from '../../lib/index.js'
import { wordsFile } from '../cli/run.js'

const k = 10

export interface Questions {
  base: Float32Array
  queries: Float32Array
  dimensions: number
}

/** Recall@10 over all queries. */
export async function recallOf(
  index: Pick<NeuralLSH, 'metric' | 'searchBatch'>,
  { base, queries, dimensions }: Questions,
  options: SearchBatchOptions
) {
  const { metric } = index
  const truth = await exactSearch(base, queries, { dimensions, metric, k })
  const { ids } = await index.searchBatch(queries, { k, ...options })
  let found = 0
  for (let start = 0; start < ids.length; start += k) {
    const returned = new Set(ids.subarray(start, start + k))
    for (const id of truth.ids.subarray(start, start + k)) if (returned.has(id)) found++
  }
  return found / ids.length
}

/** The words are sorted by frequency: every twelfth is a query. */
export async function words(): Promise<Questions> {
  const { vectors, rows, dimensions } = await readVectors(wordsFile)
  const rowsWhere = (wanted: (row: number) => boolean) =>
    vectors.filter((_, i) => wanted(Math.floor(i / dimensions))).slice()
  const isQuery = (row: number) => row % 12 === 0 && row < rows
  return { base: rowsWhere((row) => !isQuery(row)), queries: rowsWhere(isQuery), dimensions }
}
