import { ArgumentError } from '../errors.js'
import { replaceFile } from './replace-file.js'

const chunkBytes = 1 << 17

export interface WriteOptions {
  signal?: AbortSignal | undefined
}

/** Writes n x `dimensions` vectors as fvecs. */
export function writeFvecs(
  path: string,
  vectors: Float32Array,
  dimensions: number,
  options: WriteOptions = {}
): Promise<void> {
  if (!(vectors instanceof Float32Array)) return Promise.reject(new ArgumentError('vectors', 'expected a Float32Array'))
  return writeVecs(path, vectors, 'vectors', dimensions, 'dimensions', options)
}

/** Writes n x `columns` row numbers as ivecs. */
export function writeIvecs(path: string, ids: Int32Array, columns: number, options: WriteOptions = {}): Promise<void> {
  if (!(ids instanceof Int32Array)) return Promise.reject(new ArgumentError('ids', 'expected an Int32Array'))
  return writeVecs(path, ids, 'ids', columns, 'columns', options)
}

async function writeVecs(
  path: string,
  values: Float32Array | Int32Array,
  valuesName: string,
  columns: number,
  columnsName: string,
  options: WriteOptions
): Promise<void> {
  if (typeof path !== 'string' || path === '') throw new ArgumentError('path', 'expected the name of a file')
  if (/\.gz$/i.test(path))
    throw new ArgumentError('path', `is ${path}; what is written is not compressed, so leave .gz away`)
  if (!Number.isSafeInteger(columns) || columns < 1)
    throw new ArgumentError(columnsName, `is ${columns}; expected a positive integer`)
  if (values.length === 0 || values.length % columns !== 0) {
    throw new ArgumentError(
      valuesName,
      `has ${values.length} values, expected a positive multiple of ${columnsName} = ${columns}`
    )
  }
  await replaceFile(path, rowChunks(values, columns), options.signal)
}

function* rowChunks(values: Float32Array | Int32Array, columns: number): Generator<Uint8Array> {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length)
  const stride = columns + 1
  const rows = values.length / columns
  const chunkRows = Math.max(1, Math.floor(chunkBytes / (4 * stride)))
  const chunk = new Int32Array(Math.min(chunkRows, rows) * stride)
  for (let first = 0; first < rows; first += chunkRows) {
    const count = Math.min(chunkRows, rows - first)
    for (let i = 0; i < count; i++) {
      const row = first + i
      chunk[i * stride] = columns
      chunk.set(bits.subarray(row * columns, (row + 1) * columns), i * stride + 1)
    }
    yield new Uint8Array(chunk.buffer, 0, 4 * count * stride)
  }
}
