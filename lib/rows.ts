/** Loops over rows that let the event loop breathe. */
import { nextTurn } from './turn.js'

const longestTurn = 1 // milliseconds

/** Visits the rows 0 .. rows - 1 in order, letting the event loop breathe after every millisecond.
 * Rejects with the signal's reason when it is aborted in between. */
export async function eachRow(rows: number, signal: AbortSignal | undefined, visit: (row: number) => void) {
  let turn = performance.now()
  for (let row = 0; row < rows; row++) {
    visit(row)
    if (performance.now() - turn < longestTurn) continue
    await nextTurn()
    signal?.throwIfAborted()
    turn = performance.now()
  }
}

/** Rows of a matrix, one after the other. */
export async function gatherRows(
  vectors: Float32Array,
  dimensions: number,
  rows: Int32Array,
  signal: AbortSignal | undefined
) {
  const gathered = new Float32Array(rows.length * dimensions)
  await eachRow(rows.length, signal, (row) => {
    const from = (rows[row] as number) * dimensions
    gathered.set(vectors.subarray(from, from + dimensions), row * dimensions)
  })
  return gathered
}
