/** Labels, neighbors and starting points say where to read and to add: they are judged before they are believed. */

import { ArgumentError } from '../../../errors.js'
import type { TrainingRequest } from '../../engine.js'
import type { Steps } from '../turns.js'
import { numbersOfStep } from './reals.js'

export function* checkRequest(request: TrainingRequest): Steps<void> {
  const { vectors, dimensions, labels, bins, neighbors, heldOut } = request
  const rows = vectors.length / dimensions
  yield* checkRange(labels, bins, 'labels')
  yield* checkRange(neighbors, rows, 'neighbors')
  if (heldOut === undefined) return
  yield* checkRange(heldOut, rows, 'heldOut')
  if (heldOut.length >= rows || !(yield* areDifferent(heldOut, rows)))
    throw new ArgumentError('heldOut', 'must name some of the rows, each once')
}

function* areDifferent(ids: Int32Array, rows: number): Steps<boolean> {
  const isSeen = new Uint8Array(rows)
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number
    if (isSeen[id] === 1) return false
    isSeen[id] = 1
    if (i % numbersOfStep === 0) yield 0
  }
  return true
}

function* checkRange(values: Int32Array, end: number, argument: string): Steps<void> {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (value < 0 || value >= end)
      throw new ArgumentError(argument, `must be from 0 to ${end - 1}, but entry ${i} is ${value}`)
    if (i % numbersOfStep === 0) yield 0
  }
}

/** A copy of `size` numbers. */
export function* checkedCopy(values: Float32Array, size: number, argument: string): Steps<Float32Array<ArrayBuffer>> {
  if (values.length !== size || !(yield* areFinite(values)))
    throw new ArgumentError(argument, `must be ${size} finite numbers`)
  return values.slice() as Float32Array<ArrayBuffer>
}

export function* areFinite(values: Float32Array): Steps<boolean> {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i] as number)) return false
    if (i % numbersOfStep === 0) yield 0
  }
  return true
}
