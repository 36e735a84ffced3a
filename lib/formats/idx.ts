import { FileError } from '../errors.js'
import { type ByteReader, withByteReader } from './byte-reader.js'
import { type DenseHeader, readDense } from './dense.js'
import type { ElementType, Matrix, ReadOptions, Target } from './matrix.js'

const elementTypes: Record<number, ElementType> = {
  8: Uint8Array,
  9: Int8Array,
  11: Int16Array,
  12: Int32Array,
  13: Float32Array,
  14: Float64Array
}

/**
 * Reads idx, MNIST's format: two zero bytes, the element type, the number of axes, the length of each axis, then the
 * elements, all big-endian (http://yann.lecun.com/exdb/mnist).
 */
export function readIdx<T extends Target>(path: string, target: T, options: ReadOptions): Promise<Matrix<T>> {
  return withByteReader(path, options, async (reader) =>
    readDense(path, reader, await readHeader(path, reader), target, options)
  )
}

async function readHeader(path: string, reader: ByteReader): Promise<DenseHeader> {
  const magic = Buffer.alloc(4)
  const size = await reader.read(magic)
  const [zero, alsoZero, code = 0, axes = 0] = magic
  const element = elementTypes[code]
  if (size < magic.length || zero !== 0 || alsoZero !== 0 || element === undefined || axes === 0) {
    throw new FileError(
      path,
      'is not an idx file: it does not start with two zero bytes, an element type and the number of axes'
    )
  }
  const lengths = Buffer.alloc(4 * axes)
  if ((await reader.read(lengths)) < lengths.length) throw new FileError(path, 'is truncated in its header')
  const shape = Array.from({ length: axes }, (_, axis) => lengths.readUInt32BE(4 * axis))
  return { element, bigEndian: true, shape, headerBytes: magic.length + lengths.length }
}
