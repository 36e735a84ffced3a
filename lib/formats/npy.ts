import { FileError } from '../errors.js'
import { type ByteReader, withByteReader } from './byte-reader.js'
import { type DenseHeader, readDense } from './dense.js'
import type { ElementType, Matrix, ReadOptions, Target } from './matrix.js'

const elementTypes: Record<string, ElementType> = {
  b1: Uint8Array,
  u1: Uint8Array,
  i1: Int8Array,
  u2: Uint16Array,
  i2: Int16Array,
  u4: Uint32Array,
  i4: Int32Array,
  u8: BigUint64Array,
  i8: BigInt64Array,
  f4: Float32Array,
  f8: Float64Array
}
/** The header of an array of numbers takes about 100 bytes. */
const largestHeader = 1 << 16
const magic = Buffer.from('\x93NUMPY', 'latin1')

/** Reads npy, NumPy's format, versions 1 to 3 (numpy.lib.format), C order. */
export function readNpy<T extends Target>(path: string, target: T, options: ReadOptions): Promise<Matrix<T>> {
  return withByteReader(path, options, async (reader) =>
    readDense(path, reader, await readHeader(path, reader), target, options)
  )
}

async function readHeader(path: string, reader: ByteReader): Promise<DenseHeader> {
  const start = await readFully(path, reader, 8)
  if (!start.subarray(0, 6).equals(magic))
    throw new FileError(path, "is not an npy file: it does not start with '\\x93NUMPY'")
  const version = start.readUInt8(6)
  if (version < 1 || version > 3) throw new FileError(path, `is an npy file of version ${version}; expected 1, 2 or 3`)
  const lengthBytes = version === 1 ? 2 : 4
  const length = (await readFully(path, reader, lengthBytes)).readUIntLE(0, lengthBytes)
  if (length > largestHeader)
    throw new FileError(path, `says that its header takes ${length} bytes; expected at most ${largestHeader}`)
  const text = (await readFully(path, reader, length)).toString('utf8')
  return { ...parseHeader(path, text), headerBytes: start.length + lengthBytes + length }
}

async function readFully(path: string, reader: ByteReader, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  if ((await reader.read(bytes)) < length) throw new FileError(path, 'is no npy file, or is truncated in its header')
  return bytes
}

/** The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), } */
function parseHeader(path: string, text: string): Omit<DenseHeader, 'headerBytes'> {
  const type = /'descr': *'([<>|=])(\w+)'/.exec(text)
  const order = /'fortran_order': *(True|False)/.exec(text)
  const shape = /'shape': *\(([\d, ]*)\)/.exec(text)
  if (!order || !shape) throw new FileError(path, `has a header that is not NumPy's: ${text.slice(0, 100).trim()}`)
  const element = elementTypes[type?.[2] ?? '']
  if (!type || !element) {
    const known = Object.keys(elementTypes).join(', ')
    throw new FileError(
      path,
      `holds elements of another type than ${known}; convert it with .astype('float32'): ${text.slice(0, 100).trim()}`
    )
  }
  if (order[1] === 'True') throw new FileError(path, 'is in Fortran order; save numpy.ascontiguousarray(a) instead')
  return {
    element,
    bigEndian: type[1] === '>',
    shape: (shape[1] ?? '')
      .split(',')
      .filter((length) => length.trim())
      .map(Number)
  }
}
