/** What 'auto' stands for, and why. */
import type { GraphMethod, ScanType } from './engines/engine.js'

/** An option that was left to us. */
export interface Choice<T extends string = string> {
  /** As the caller would write it. */
  option: string
  value: T
  /** A sentence. */
  reason: string
}

/** Pairs times their cost in dimensions that the exact graph is made for: a matter of seconds on two cores. To be
 * selected from costs a pair about as much as so many dimensions. */
const exactGraphWork = 4e12
const selectionWork = 32

export function chooseGraphMethod(rows: number, dimensions: number): Choice<GraphMethod> {
  const option = 'graph.method'
  const pairs = `all pairs of ${rows} vectors of ${dimensions} numbers`
  return rows * rows * (dimensions + selectionWork) <= exactGraphWork
    ? { option, value: 'exact', reason: `Comparing ${pairs} takes seconds.` }
    : {
        option,
        value: 'approximate',
        reason: `Comparing ${pairs} would take minutes; about 96 of 100 neighbors are found without.`
      }
}

/** Bytes of vectors that the outer caches hold: what is larger is read from memory, whose speed is the limit then. */
const cachedBytes = 32e6
/** So few vectors are compared in no time. */
const fewRows = 2000

export function chooseScan(rows: number, dimensions: number, areBytes: boolean): Choice<ScanType> {
  const option = 'scan'
  const bytes = rows * dimensions
  if (areBytes && bytes <= cachedBytes)
    return { option, value: 'exact', reason: 'The numbers are integers in 0..255: bytes hold them exactly.' }
  if (rows < fewRows) return { option, value: 'exact', reason: `There are only ${rows} vectors.` }
  return bytes <= cachedBytes
    ? { option, value: 'int8', reason: 'A byte a number is enough to find the few that are compared exactly.' }
    : {
        option,
        value: 'pq4',
        reason: 'The vectors outgrow the caches: two bits a number are read four times as fast as bytes.'
      }
}
