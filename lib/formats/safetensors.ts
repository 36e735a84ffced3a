/**
 * The part of safetensors that the index file needs (https://github.com/huggingface/safetensors): the length of the
 * header (64-bit little-endian), the header (JSON, padded with spaces), then the tensors without holes, little-endian.
 */
import { FileError } from '../errors.js'

const bytesPerElement = { F32: 4, I32: 4, U8: 1 }
/** The data start at a multiple of it, so that the first tensor is aligned for any vector instruction in a mapped file. */
const dataAlignment = 64
export const lengthBytes = 8
const space = 0x20

export interface Tensor {
  name: string
  dtype: keyof typeof bytesPerElement
  shape: number[]
}

/** Where a tensor lies, in bytes from the start of the data. */
export interface StoredTensor extends Tensor {
  begin: number
  end: number
}

export interface Header {
  metadata: Record<string, string>
  /** In the order of the data. */
  tensors: StoredTensor[]
  dataBytes: number
}

/** Length and header of a file that holds `tensors`, placed one after the other. */
export function encodeHeader(metadata: Record<string, string>, tensors: StoredTensor[]): Uint8Array<ArrayBuffer> {
  const entries: [string, unknown][] = [['__metadata__', metadata]]
  for (const { name, dtype, shape, begin, end } of tensors)
    entries.push([name, { dtype, shape, data_offsets: [begin, end] }])
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
  const padded = Math.ceil((lengthBytes + text.length) / dataAlignment) * dataAlignment
  const header = new Uint8Array(padded).fill(space)
  new DataView(header.buffer).setBigUint64(0, BigInt(padded - lengthBytes), true)
  header.set(text, lengthBytes)
  return header
}

/** Lays tensors out one after the other. */
export function placeTensors(tensors: Tensor[]): StoredTensor[] {
  let begin = 0
  return tensors.map((tensor) => {
    const end = begin + tensor.shape.reduce((product, length) => product * length, bytesPerElement[tensor.dtype])
    const stored = { ...tensor, begin, end }
    begin = end
    return stored
  })
}

/**
 * Reads the JSON of a header whose data take `dataBytes`.
 * @throws FileError for anything that a careful writer does not write
 */
export function decodeHeader(path: string, json: Uint8Array, dataBytes: number): Header {
  const header = parseCanonical(path, json)
  const { __metadata__: metadata = {}, ...entries } = header
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw new FileError(path, 'has metadata that are not strings')
  }
  const tensors = Object.entries(entries).map(([name, entry]) => decodeTensor(path, name, entry))
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)
  const end = tensors.reduce((expected, { name, begin, end }) => {
    if (begin !== expected)
      throw new FileError(
        path,
        `tensor ${name} starts at byte ${begin} of the data, expected ${expected}: a hole or an overlap`
      )
    return end
  }, 0)
  if (end !== dataBytes)
    throw new FileError(
      path,
      `is truncated or has bytes to spare: its tensors take ${end} bytes, there are ${dataBytes}`
    )
  return { metadata: metadata as Record<string, string>, tensors, dataBytes }
}

/** Refuses all that JSON.stringify would not have written; among it names that occur twice, of which JSON.parse keeps one silently. */
function parseCanonical(path: string, json: Uint8Array): Record<string, unknown> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json).replace(/ +$/, '')
    const header: unknown = JSON.parse(text)
    if (isRecord(header) && JSON.stringify(header) === text) return header
  } catch (cause) {
    throw new FileError(path, `has a header that is not JSON: ${(cause as Error).message}`, undefined, { cause })
  }
  throw new FileError(path, 'has a header that is not a compact JSON object with each name once')
}

function decodeTensor(path: string, name: string, entry: unknown): StoredTensor {
  const wrong = (what: string): FileError => new FileError(path, `tensor ${name.slice(0, 80)} ${what}`)
  if (!isRecord(entry) || Object.keys(entry).join() !== 'dtype,shape,data_offsets')
    throw wrong('needs dtype, shape and data_offsets')
  const { dtype, shape, data_offsets: offsets } = entry
  if (dtype !== 'F32' && dtype !== 'I32' && dtype !== 'U8') throw wrong('is of another type than F32, I32 and U8')
  if (!isCounts(shape) || !isCounts(offsets))
    throw wrong('has a shape or data_offsets that are not lists of whole numbers')
  const [begin = 0, end = 0, ...others] = offsets
  if (offsets.length !== 2 || others.length > 0 || end < begin)
    throw wrong('has data_offsets that are not [begin, end]')
  // Doubles are exact up to 2^53 and only grow coarser above: a product that overflows cannot come out as end - begin.
  const size = shape.includes(0) ? 0 : shape.reduce((product, length) => product * length, bytesPerElement[dtype])
  if (size !== end - begin)
    throw wrong(`takes ${end - begin} bytes, but its shape [${shape.slice(0, 8)}] takes ${size}`)
  return { name, dtype, shape, begin, end }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0)
}
