/** How graphs are judged before an engine reads them. */
import type { KnnGraph, SimilarityGraph } from '../engines/engine.js'
import { ArgumentError } from '../errors.js'
import { checkArray, checkLength, largestId } from './arrays.js'
import { asRecord, integer } from './fields.js'

/** A graph stores each of n x neighbors edges in both directions and KaHIP counts them with 31 bits. */
export function checkGraphSize(rows: number, neighborsPerRow: number, name: string): void {
  if (2 * rows * neighborsPerRow > largestId) {
    const most = Math.floor(largestId / (2 * rows))
    throw new ArgumentError(name, `2 x vectors x neighbors must be below 2^31: at most ${most} for ${rows} vectors`)
  }
}

/** Judges the shape of a k-NN graph (the engine judges its ids); returns its number of rows. */
export function checkKnnGraph(graph: KnnGraph, name: string): number {
  const { neighbors, ids, distances } = asRecord(graph ?? null, name)
  integer(1, largestId).read(neighbors, `${name}.neighbors`)
  checkArray(ids, `${name}.ids`, 'Int32Array')
  checkArray(distances, `${name}.distances`, 'Float32Array')
  const { length } = ids as Int32Array
  if (length === 0 || length % (neighbors as number) !== 0) {
    throw new ArgumentError(
      `${name}.ids`,
      `its length must be a positive multiple of neighbors = ${neighbors}, but is ${length}`
    )
  }
  checkLength(distances as Float32Array, length, `${name}.distances`, "the ids' length")
  return length / (neighbors as number)
}

/** Judges the shape of a similarity graph (the engine judges its edges); returns its number of points. */
export function checkSimilarityGraph(graph: SimilarityGraph): number {
  const { xadj, adjncy, adjcwgt } = asRecord(graph ?? null, 'graph') as Partial<SimilarityGraph>
  checkArray(xadj, 'xadj', 'Int32Array')
  checkArray(adjncy, 'adjncy', 'Int32Array')
  checkArray(adjcwgt, 'adjcwgt', 'Int32Array')
  const rows = (xadj as Int32Array).length - 1
  if (rows < 2)
    throw new ArgumentError('xadj', `its length must be the number of points + 1, at least 3, but is ${rows + 1}`)
  checkLength(adjcwgt as Int32Array, (adjncy as Int32Array).length, 'adjcwgt', "adjncy's length")
  return rows
}
