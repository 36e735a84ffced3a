import { FileError, NeuralLSHError } from '../errors.js'
import type { ByteReaderOptions } from './byte-reader.js'

/** Row numbers must fit into 32 bits. */
export const largestRowCount = 2 ** 31 - 1
/** Values in a row; a longer one means that the file is something else. */
export const largestRowLength = 2 ** 20

/** What a file's numbers are turned into: vectors become 32-bit floats, ids 32-bit integers. */
export type Target = typeof Float32Array | typeof Int32Array
export type TargetArray<T extends Target> = T extends typeof Float32Array
  ? Float32Array<ArrayBuffer>
  : Int32Array<ArrayBuffer>

export type Elements =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array

/** What a file's numbers are: the typed array that holds them. */
export interface ElementType {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, byteOffset: number, length: number): Elements
}

export interface ReadOptions extends ByteReaderOptions {
  /** Rows to read at most. */
  limit: number
}

/** rows x columns values, row-major. */
export interface Matrix<T extends Target> {
  values: TargetArray<T>
  rows: number
  columns: number
}

/** A zeroed rows x columns array. */
export function allocate<T extends Target>(path: string, target: T, rows: number, columns: number): TargetArray<T> {
  if (rows > largestRowCount) throw new FileError(path, `has ${rows} rows; at most ${largestRowCount} can be numbered`)
  try {
    return new target(rows * columns) as TargetArray<T>
  } catch (cause) {
    const gigabytes = ((4 * rows * columns) / 1e9).toFixed(1)
    throw new NeuralLSHError('ERR_NLSH_MEMORY', `${path}: ${rows} x ${columns} values need ${gigabytes} GB of memory`, {
      cause
    })
  }
}

/** Checks a row length that a file claims. */
export function checkRowLength(path: string, columns: number, row: number): void {
  if (columns < 1 || columns > largestRowLength) {
    throw new FileError(path, `says that it holds ${columns} values; expected 1 to ${largestRowLength}`, row)
  }
}

/**
 * Puts `source` at index `at` of `target`, whose rows have `columns` values.
 * Throws FileError with row and column for a value that is no finite 32-bit float or, for ids, no row number.
 */
export function store(
  path: string,
  source: Elements,
  target: Float32Array | Int32Array,
  at: number,
  columns: number
): void {
  if (source instanceof BigInt64Array || source instanceof BigUint64Array) {
    for (let i = 0; i < source.length; i++) target[at + i] = Number(source[i])
  } else {
    target.set(source, at)
  }
  const wrong =
    target instanceof Float32Array ? firstNotFinite(target, at, at + source.length) : firstChanged(source, target, at)
  if (wrong < 0) return
  const kind = target instanceof Float32Array ? 'a finite 32-bit float' : 'a row number'
  throw new FileError(
    path,
    `column ${wrong % columns} is ${source[wrong - at]}, not ${kind}`,
    Math.floor(wrong / columns)
  )
}

function firstNotFinite(values: Float32Array, from: number, to: number): number {
  for (let i = from; i < to; i++) if (!Number.isFinite(values[i])) return i
  return -1
}

/** The first id that is negative or did not survive its way into 32 bits. */
function firstChanged(source: Elements, target: Int32Array, at: number): number {
  for (let i = 0; i < source.length; i++) {
    const id = target[at + i]
    if (id === undefined || id < 0 || Number(source[i]) !== id) return at + i
  }
  return -1
}
