import { FileError } from '../errors.js'
import type { ByteReader } from './byte-reader.js'
import {
  allocate,
  checkRowLength,
  type ElementType,
  largestRowCount,
  type Matrix,
  type ReadOptions,
  store,
  type Target
} from './matrix.js'

const chunkElements = 1 << 14

/** What the header of an idx or npy file says. */
export interface DenseHeader {
  element: ElementType
  bigEndian: boolean
  /** The first axis is the rows, all others together are the columns. */
  shape: number[]
  headerBytes: number
}

/** Reads the elements that follow the header of an idx or npy file. */
export async function readDense<T extends Target>(
  path: string,
  reader: ByteReader,
  header: DenseHeader,
  target: T,
  options: ReadOptions
): Promise<Matrix<T>> {
  const { rows: allRows, columns } = checkShape(path, header, reader, options)
  const rows = Math.min(options.limit, allRows)
  const values = allocate(path, target, rows, columns)
  const { BYTES_PER_ELEMENT: elementBytes } = header.element
  const chunk = Buffer.alloc(Math.min(chunkElements, values.length) * elementBytes)
  for (let done = 0; done < values.length; ) {
    const bytes = chunk.subarray(0, Math.min(chunk.length, (values.length - done) * elementBytes))
    const size = await reader.read(bytes)
    if (size < bytes.length) throw truncated(path, header, done + size / elementBytes)
    if (header.bigEndian) swapBytes(bytes, elementBytes)
    const elements = new header.element(chunk.buffer, 0, bytes.length / elementBytes)
    store(path, elements, values, done, columns)
    done += elements.length
  }
  if (rows === allRows && !(await reader.atEnd())) {
    throw new FileError(path, `goes on after the ${header.shape.join(' x ')} elements that its header announces`)
  }
  return { values, rows, columns }
}

/** Also sees to it that nothing is allocated that the size of the file does not justify. */
function checkShape(
  path: string,
  header: DenseHeader,
  reader: ByteReader,
  options: ReadOptions
): { rows: number; columns: number } {
  const [rows = 0, ...others] = header.shape
  if (others.length === 0)
    throw new FileError(path, 'has one axis; expected two or more: rows, then the values of a row')
  const columns = others.reduce((product, length) => product * length, 1)
  checkRowLength(path, columns, 0)
  if (rows < 1) throw new FileError(path, 'has no rows')
  if (rows > largestRowCount) throw new FileError(path, `has ${rows} rows; at most ${largestRowCount} can be numbered`)
  const largestCount = (reader.largestSize - header.headerBytes) / header.element.BYTES_PER_ELEMENT
  if (Math.min(rows, options.limit) * columns > largestCount) {
    if (options.compressed)
      throw new FileError(
        path,
        `is truncated: it is too small for the ${header.shape.join(' x ')} elements that its header announces`
      )
    throw truncated(path, header, largestCount)
  }
  return { rows, columns }
}

function truncated(path: string, header: DenseHeader, elements: number): FileError {
  const [, ...others] = header.shape
  const row = Math.floor(elements / others.reduce((product, length) => product * length, 1))
  return new FileError(
    path,
    `is truncated: the header announces ${header.shape.join(' x ')} elements, the file ends here`,
    row
  )
}

function swapBytes(bytes: Buffer, elementBytes: number): void {
  if (elementBytes === 2) bytes.swap16()
  if (elementBytes === 4) bytes.swap32()
  if (elementBytes === 8) bytes.swap64()
}
