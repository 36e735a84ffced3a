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
  if (new Set(heldOut).size !== heldOut.length || heldOut.length >= rows)
    throw new ArgumentError('heldOut', 'must name some of the rows, each once')
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
export function checkedCopy(values: Float32Array, size: number, argument: string): Float32Array<ArrayBuffer> {
  if (values.length !== size || !areFinite(values)) throw new ArgumentError(argument, `must be ${size} finite numbers`)
  return Float32Array.from(values)
}

export function areFinite(values: Float32Array): boolean {
  // What is not finite stays so through all products with 0.
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * 0
  return sum === 0
}
