/** How arrays of numbers are judged before an engine reads them. */
import { ArgumentError } from '../errors.js'
import { describe } from './fields.js'

/** Ids, and the number of rows and entries, are 31 bits wide. */
export const largestId = 2 ** 31 - 1

type ArrayKind = 'Float32Array' | 'Int32Array' | 'Uint8Array'

const getterOf = (prototype: object, name: PropertyKey) =>
  Object.getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => unknown

/** What a typed array of any realm really is, whatever it says; undefined for anything else. */
const typedArrayName = getterOf(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
const bufferLength = getterOf(ArrayBuffer.prototype, 'byteLength')

/** Judges an array that an engine will read in place while JavaScript goes on: it must not move or shrink. */
export function checkArray(value: unknown, name: string, kind: ArrayKind): void {
  if (typedArrayName.call(value) !== kind) {
    throw new ArgumentError(name, `must be a ${kind}, but is ${describeArray(value)}: ${conversion(value, kind)}`)
  }
  const { buffer } = value as ArrayBufferView
  if (isShared(buffer)) {
    throw new ArgumentError(
      name,
      `must not lie in a SharedArrayBuffer, where others can change it meanwhile: pass a copy, new ${kind}(${name})`
    )
  }
  if (isDetached(buffer)) {
    throw new ArgumentError(
      name,
      'its buffer is detached (it was transferred): pass an array that still holds its numbers'
    )
  }
  if ((buffer as ArrayBuffer & { resizable?: boolean }).resizable === true) {
    throw new ArgumentError(name, `must not lie in a resizable ArrayBuffer: pass a copy, new ${kind}(${name})`)
  }
}

/** No ArrayBuffer of any realm; browsers may hide the name of what else there is. */
function isShared(buffer: ArrayBufferLike): boolean {
  try {
    bufferLength.call(buffer)
    return false
  } catch {
    return true
  }
}

/** `ArrayBuffer.prototype.detached` came with node 22; no view can be put on a detached buffer in any version. */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

const isNodeBuffer = (value: unknown) => value instanceof Uint8Array && value.constructor.name === 'Buffer'

function describeArray(value: unknown): string {
  if (isNodeBuffer(value)) return 'a Buffer'
  if (!Array.isArray(value)) return describe(value)
  return Array.isArray(value[0]) || ArrayBuffer.isView(value[0])
    ? 'an array of arrays'
    : `an array of ${value.length} values`
}

function conversion(value: unknown, kind: ArrayKind): string {
  if (isNodeBuffer(value)) return `new ${kind}(b.buffer, b.byteOffset, b.byteLength / 4) is a view of the Buffer b`
  if (Array.isArray(value) && typeof value[0] === 'object')
    return `${kind}.from(rows.flatMap((row) => [...row])), row after row`
  return `${kind}.from(values) makes one`
}

/** Judges a matrix, row after row in a Float32Array; returns its number of rows. */
export function checkMatrix(value: unknown, columns: number, name: string): number {
  checkArray(value, name, 'Float32Array')
  const { length } = value as Float32Array
  if (length === 0 || length % columns !== 0) {
    throw new ArgumentError(name, `its length must be a positive multiple of dimensions = ${columns}, but is ${length}`)
  }
  const rows = length / columns
  if (rows > largestId) throw new ArgumentError(name, `must have at most ${largestId} rows, but has ${rows}`)
  return rows
}

export function checkVectors(value: unknown, columns: number): number {
  const rows = checkMatrix(value, columns, 'vectors')
  if (rows < 2) throw new ArgumentError('vectors', 'must have at least 2 rows, but has 1')
  return rows
}

export function checkLength(array: { length: number }, expected: number, name: string, formula: string): void {
  if (array.length !== expected) {
    throw new ArgumentError(name, `its length must be ${formula} = ${expected}, but is ${array.length}`)
  }
}

/** Results are addressed with 31 bits. */
export function checkEntries(entries: number, name: string, formula: string): void {
  if (entries > largestId)
    throw new ArgumentError(name, `${formula} must be below 2^31, but is ${entries}: use less of either`)
}
