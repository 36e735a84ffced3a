import { ArgumentError } from '../errors.js'
import { readIdx } from './idx.js'
import type { Matrix, ReadOptions, Target } from './matrix.js'
import { readNpy } from './npy.js'
import { readVecs } from './vecs.js'
import { readWords } from './words.js'

export const vectorFormats = ['fvecs', 'bvecs', 'ivecs', 'idx', 'npy', 'words'] as const
export type VectorFormat = (typeof vectorFormats)[number]

export interface ReadVectorsOptions {
  /** Default: told from the name: .fvecs, .bvecs, .ivecs, .npy, .idx or -ubyte (idx), .txt or .vec (words), each with or without .gz. */
  format?: VectorFormat | undefined
  /** Read only the first rows. Default: all. */
  limit?: number | undefined
  signal?: AbortSignal | undefined
}

export interface VectorFile {
  /** rows x dimensions, row-major, all finite. */
  vectors: Float32Array<ArrayBuffer>
  rows: number
  dimensions: number
  /** One a row, where the format has words. */
  words?: string[]
}

export interface IdFile {
  /** rows x columns, row-major, none negative. */
  ids: Int32Array<ArrayBuffer>
  rows: number
  columns: number
}

const formatOfEnding: [RegExp, VectorFormat][] = [
  [/\.fvecs$/i, 'fvecs'],
  [/\.bvecs$/i, 'bvecs'],
  [/\.ivecs$/i, 'ivecs'],
  [/(\.idx|[.-]ubyte)$/i, 'idx'],
  [/\.npy$/i, 'npy'],
  [/\.(txt|vec)$/i, 'words']
]
const optionNames = ['format', 'limit', 'signal']

/**
 * Reads a file of vectors. Integers and 64-bit floats become 32-bit floats; axes after the first are one row.
 * A name that ends in .gz is unpacked on the way. Memory stays near the size of the result.
 * @throws FileError naming file, row (from 0), column (from 0) and reason; ArgumentError for a wrong option
 */
export async function readVectors(path: string, options: ReadVectorsOptions = {}): Promise<VectorFile> {
  const { format, ...readOptions } = checkOptions(path, options)
  if (format === 'words') return readWords(path, readOptions)
  const { values, rows, columns } = await readMatrix(path, format, Float32Array, readOptions)
  return { vectors: values, rows, dimensions: columns }
}

/**
 * Reads a file of row numbers, such as the true nearest neighbors of queries: ivecs, or an npy or idx of integers.
 * @throws FileError naming file, row (from 0), column (from 0) and reason; ArgumentError for a wrong option
 */
export async function readIds(path: string, options: ReadVectorsOptions = {}): Promise<IdFile> {
  const { format, ...readOptions } = checkOptions(path, options)
  if (format !== 'ivecs' && format !== 'npy' && format !== 'idx') {
    throw new ArgumentError('format', `is ${format}; row numbers are read from ivecs, npy or idx`)
  }
  const { values, rows, columns } = await readMatrix(path, format, Int32Array, readOptions)
  return { ids: values, rows, columns }
}

function readMatrix<T extends Target>(
  path: string,
  format: Exclude<VectorFormat, 'words'>,
  target: T,
  options: ReadOptions
): Promise<Matrix<T>> {
  switch (format) {
    case 'fvecs':
      return readVecs(path, Float32Array, target, options)
    case 'bvecs':
      return readVecs(path, Uint8Array, target, options)
    case 'ivecs':
      return readVecs(path, Int32Array, target, options)
    case 'idx':
      return readIdx(path, target, options)
    case 'npy':
      return readNpy(path, target, options)
  }
}

function checkOptions(path: string, options: ReadVectorsOptions): ReadOptions & { format: VectorFormat } {
  if (typeof path !== 'string' || path === '') throw new ArgumentError('path', 'expected the name of a file')
  if (typeof options !== 'object' || options === null) throw new ArgumentError('options', 'expected an object')
  const unknown = Object.keys(options).find((name) => !optionNames.includes(name))
  if (unknown !== undefined) throw new ArgumentError(unknown, `is not an option; known are ${optionNames.join(', ')}`)
  const { format = formatOf(path), limit = Number.POSITIVE_INFINITY, signal } = options
  if (limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit > 0)) {
    throw new ArgumentError('limit', `is ${limit}; expected a positive integer`)
  }
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new ArgumentError('signal', 'expected an AbortSignal')
  if (!vectorFormats.includes(format))
    throw new ArgumentError('format', `is ${format}; expected one of ${vectorFormats.join(', ')}`)
  return { format, limit, signal, compressed: /\.gz$/i.test(path) }
}

function formatOf(path: string): VectorFormat {
  const name = path.replace(/\.gz$/i, '')
  const format = formatOfEnding.find(([ending]) => ending.test(name))?.[1]
  if (format === undefined) {
    throw new ArgumentError('format', `cannot be told from the name ${path}; name one of ${vectorFormats.join(', ')}`)
  }
  return format
}
