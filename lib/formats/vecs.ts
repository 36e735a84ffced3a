import { FileError } from '../errors.js'
import { contentSize, withByteReader } from './byte-reader.js'
import {
  allocate,
  checkRowLength,
  type ElementType,
  type Matrix,
  type ReadOptions,
  store,
  type Target
} from './matrix.js'

const chunkBytes = 1 << 17
const headerBytes = 4

/**
 * Reads fvecs, bvecs and ivecs (TEXMEX): each row is its length, a 32-bit little-endian integer, and then that many
 * elements (http://corpus-texmex.irisa.fr).
 */
export async function readVecs<T extends Target>(
  path: string,
  element: ElementType,
  target: T,
  options: ReadOptions
): Promise<Matrix<T>> {
  const columns = await firstLength(path, options)
  const stride = headerBytes + columns * element.BYTES_PER_ELEMENT
  const size = await contentSize(path, options, options.limit * stride)
  const rows = Math.min(options.limit, Math.floor(size / stride))
  const values = allocate(path, target, rows, columns)
  await withByteReader(path, options, async (reader) => {
    const chunk = Buffer.alloc(Math.max(1, Math.floor(chunkBytes / stride)) * stride)
    let row = 0
    while (row < rows) {
      const wanted = Math.min(chunk.length, (rows - row) * stride)
      const bytes = chunk.subarray(0, await reader.read(chunk.subarray(0, wanted)))
      for (let start = 0; start < wanted; start += stride, row++) {
        checkRow(path, bytes, start, stride, columns, row)
        store(path, new element(chunk.buffer, start + headerBytes, columns), values, row * columns, columns)
      }
    }
    const rest = rows < options.limit ? await reader.read(chunk.subarray(0, stride)) : 0
    if (rest > 0) checkRow(path, chunk.subarray(0, rest), 0, stride, columns, row)
  })
  return { values, rows, columns }
}

function firstLength(path: string, options: ReadOptions): Promise<number> {
  return withByteReader(path, options, async (reader) => {
    const header = Buffer.alloc(headerBytes)
    const size = await reader.read(header)
    if (size === 0) throw new FileError(path, 'is empty')
    if (size < headerBytes)
      throw new FileError(path, `is truncated: ${size} bytes, the length alone takes ${headerBytes}`, 0)
    const columns = header.readInt32LE()
    checkRowLength(path, columns, 0)
    return columns
  })
}

function checkRow(path: string, bytes: Buffer, start: number, stride: number, columns: number, row: number): void {
  const size = Math.max(0, Math.min(stride, bytes.length - start))
  const length = size < headerBytes ? columns : bytes.readInt32LE(start)
  if (length !== columns) throw new FileError(path, `holds ${length} values, the rows before it ${columns}`, row)
  if (size < stride) throw new FileError(path, `is truncated: ${size} bytes of ${stride}`, row)
}
