/** Bins: rows grouped by label. */
import { ArgumentError } from '../../errors.js'
import type { Bins, JobOptions, Reordering } from '../engine.js'
import { runInTurns, type Steps } from './turns.js'

const rowsOfStep = 256

/** Groups rows by label; with `rows`, those of `from` are written to `to`, or moved inside of it, in the bins' order. */
export function groupIntoBins(
  labels: Int32Array,
  bins: number,
  rows: Reordering | undefined,
  job: JobOptions
): Promise<Bins> {
  return runInTurns(groupSteps(labels, bins, rows), labels.length * (rows ? 3 : 2), job)
}

export function* groupSteps(labels: Int32Array, bins: number, rows: Reordering | undefined): Steps<Bins> {
  const offsets = new Int32Array(bins + 1)
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] as number
    if (label < 0 || label >= bins)
      throw new ArgumentError('labels', `row ${row} has the label ${label}; labels must be in [0, ${bins})`)
    offsets[label + 1] = (offsets[label + 1] as number) + 1
    if (row % rowsOfStep === 0) yield rowsOfStep
  }
  for (let bin = 0; bin < bins; bin++) offsets[bin + 1] = (offsets[bin + 1] as number) + (offsets[bin] as number)
  const next = offsets.slice()
  const ids = new Int32Array(labels.length)
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] as number
    const place = next[label] as number
    ids[place] = row
    next[label] = place + 1
    if (row % rowsOfStep === 0) yield rowsOfStep
  }
  if (rows !== undefined) yield* rows.from === rows.to ? permute(rows.from, rows.dimensions, ids) : copy(rows, ids)
  return { offsets, ids }
}

function* copy({ from, to, dimensions }: Reordering, order: Int32Array): Steps<void> {
  for (let row = 0; row < order.length; row++) {
    const source = (order[row] as number) * dimensions
    to.set(from.subarray(source, source + dimensions), row * dimensions)
    if (row % rowsOfStep === 0) yield rowsOfStep
  }
}

/** Row p becomes row order[p], along the permutation's cycles: one row of extra memory. */
function* permute(vectors: Float32Array, dimensions: number, order: Int32Array): Steps<void> {
  const placed = new Uint8Array(order.length)
  const rowOf = (row: number) => vectors.subarray(row * dimensions, (row + 1) * dimensions)
  for (let start = 0; start < order.length; start++) {
    if (start % rowsOfStep === 0) yield rowsOfStep
    if (placed[start] === 1) continue
    const saved = rowOf(start).slice()
    let current = start
    for (let source = order[current] as number; source !== start; source = order[current] as number) {
      rowOf(current).set(rowOf(source))
      placed[current] = 1
      current = source
    }
    rowOf(current).set(saved)
    placed[current] = 1
  }
}
