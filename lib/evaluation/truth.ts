import type { Engine, JobOptions, SearchState } from '../engines/engine.js'
import { eachRow, gatherRows } from '../rows.js'

export type TruthEngine = Pick<Engine, 'prepareVectors' | 'exactSearch'>

/** Bounds the memory of one exact search: queries, and queries x neighbors. */
const largestSlice = { queries: 8192, neighbors: 2 ** 22 }

/**
 * The k nearest stored vectors of each query (queries x k original ids, nearest first, ties by smaller id), by comparing
 * with all of them.
 *
 * The stored rows lie in the bins' order, so the engine's own tie rule (smaller row) is not the one we want at the k-th
 * place. We therefore look further than k: where the last distance seen is greater than the k-th, every vector that ties
 * with the k-th has been seen, and sorting by (distance, original id) is exact; the queries for which it is not are asked
 * again, four times as deep.
 */
export async function exactTruth(
  engine: TruthEngine,
  state: SearchState,
  queries: Float32Array,
  k: number,
  job: JobOptions
) {
  const { dimensions, metric, bins } = state
  const { signal, threads, onProgress } = job
  const vectors = await asFloats(state.vectors, dimensions, signal)
  const prepared = await engine.prepareVectors(queries, dimensions, metric, 'queries', { signal, threads })
  const total = prepared.length / dimensions
  const truth = new Int32Array(total * k)
  let done = 0

  /** Fills in the rows of `truth` that this depth decides and gives back the others. */
  async function settle(pending: Int32Array, depth: number) {
    const tied: number[] = []
    const rows = await gatherRows(prepared, dimensions, pending, signal)
    const found = await engine.exactSearch(vectors, rows, dimensions, metric, depth, {
      signal,
      threads,
      onProgress: (part, whole) => onProgress?.(done + (pending.length * part) / whole, total)
    })
    await eachRow(pending.length, signal, (row) => {
      const query = pending[row] as number
      const distances = found.distances.subarray(row * depth, (row + 1) * depth)
      if (depth < bins.ids.length && distances[k - 1] === distances[depth - 1]) {
        tied.push(query)
        return
      }
      const ids = found.ids.subarray(row * depth, (row + 1) * depth).map((stored) => bins.ids[stored] as number)
      const order = Array.from(ids.keys())
      order.sort(
        (a, b) => (distances[a] as number) - (distances[b] as number) || (ids[a] as number) - (ids[b] as number)
      )
      for (let place = 0; place < k; place++) truth[query * k + place] = ids[order[place] as number] as number
    })
    done += pending.length - tied.length
    return tied
  }

  let pending = Int32Array.from({ length: total }, (_, query) => query)
  for (let depth = Math.min(2 * k, bins.ids.length); pending.length > 0; depth = Math.min(4 * depth, bins.ids.length)) {
    const step = Math.max(1, Math.min(largestSlice.queries, Math.floor(largestSlice.neighbors / depth)))
    const tied: number[] = []
    for (let start = 0; start < pending.length; start += step) {
      for (const query of await settle(pending.subarray(start, start + step), depth)) tied.push(query)
    }
    pending = Int32Array.from(tied)
  }
  return truth
}

async function asFloats(vectors: SearchState['vectors'], dimensions: number, signal: AbortSignal | undefined) {
  if (vectors instanceof Float32Array) return vectors
  const floats = new Float32Array(vectors.length)
  await eachRow(vectors.length / dimensions, signal, (row) => {
    const from = row * dimensions
    floats.set(vectors.subarray(from, from + dimensions), from)
  })
  return floats
}
