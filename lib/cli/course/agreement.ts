/** Whether an index and a file of vectors belong together. */
import { ArgumentError } from '../../errors.js'
import type { NeuralLSH, VectorFile } from '../../index.js'
import { eachRow } from '../../rows.js'

/** Rows that are compared. */
const sampled = 64

/** Rejects with ArgumentError unless the index is of these vectors, as far as some of them can tell. */
export async function checkData(index: NeuralLSH, data: VectorFile, path: string, signal: AbortSignal): Promise<void> {
  const { size, dimensions, metric } = index
  const right = 'name the file that the index was built from'
  if (metric !== 'euclidean')
    throw new ArgumentError('i', `must be an index of Euclidean distances, as nlsh_build makes it, but is of ${metric}`)
  if (data.rows !== size || data.dimensions !== dimensions) {
    const found = `${path} holds ${data.rows} vectors of ${data.dimensions} numbers`
    throw new ArgumentError('d', `${found}, the index ${size} of ${dimensions}: ${right}`)
  }
  const step = Math.ceil(size / sampled)
  await eachRow(Math.ceil(size / step), signal, (place) => {
    const row = place * step
    const stored = index.vector(row)
    const own = data.vectors.subarray(row * dimensions, (row + 1) * dimensions)
    if (own.some((value, i) => value !== stored[i]))
      throw new ArgumentError('d', `row ${row} of ${path} is not what the index holds: ${right}`)
  })
}

/** Rejects with ArgumentError unless the queries can be compared with the index's vectors. */
export function checkQueries({ dimensions }: NeuralLSH, queries: VectorFile, path: string): void {
  if (queries.dimensions === dimensions) return
  const right = `the rows of ${path} must hold ${dimensions} numbers, as the index does`
  throw new ArgumentError('q', `${right}, not ${queries.dimensions}`)
}
