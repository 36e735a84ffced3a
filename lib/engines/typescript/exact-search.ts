/** The exact nearest vectors of queries, by comparing with all of them. */
import { eachRow } from '../../rows.js'
import type { JobOptions, Metric } from '../engine.js'
import { Ranking } from './ranking.js'
import { distanceTo } from './vectors.js'

/** Numbers that are compared before the event loop may turn. */
const numbersTogether = 1 << 17

/** queries x k ids and distances, nearest first, ties by smaller id; vectors and queries are prepared. */
export async function exactSearch(
  vectors: Float32Array,
  queries: Float32Array,
  dimensions: number,
  metric: Metric,
  k: number,
  { signal, onProgress }: JobOptions
): Promise<{ ids: Int32Array<ArrayBuffer>; distances: Float32Array<ArrayBuffer> }> {
  const rows = vectors.length / dimensions
  const count = queries.length / dimensions
  const ids = new Int32Array(count * k)
  const distances = new Float32Array(count * k)
  const distance = distanceTo(vectors, { metric, dimensions })
  const nearest = new Ranking()
  nearest.reserve(rows)

  const compare = (query: number, first: number, end: number) => {
    const numbers = new Float64Array(queries.subarray(query * dimensions, (query + 1) * dimensions))
    for (let row = first; row < end; row++) {
      nearest.keys[row] = distance(numbers, row)
      nearest.ids[row] = row
    }
  }
  const take = (query: number) => {
    nearest.start(rows)
    for (let place = query * k; place < (query + 1) * k; place++) {
      const at = nearest.next()
      ids[place] = nearest.ids[at] as number
      distances[place] = nearest.keys[at] as number
    }
    onProgress?.(query + 1, count)
  }

  const partRows = Math.max(1, Math.floor(numbersTogether / dimensions))
  const parts = Math.ceil(rows / partRows)
  await eachRow(count * parts, signal, (step) => {
    const [query, part] = [Math.floor(step / parts), step % parts]
    compare(query, part * partRows, Math.min(rows, (part + 1) * partRows))
    if (part === parts - 1) take(query)
  })
  return { ids, distances }
}
