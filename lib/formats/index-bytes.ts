/** Reads an index file whose bytes are in memory: nothing of Node.js is needed for it. */
import { FileError } from '../errors.js'
import { crc32 } from './crc32.js'
import {
  checkTensor,
  dataStartOf,
  decodeContents,
  decodeIndexHeader,
  type IndexContents,
  type IndexFileOptions
} from './index-layout.js'
import { pause } from './pause.js'
import { lengthBytes } from './safetensors.js'

/** Summed up in about a millisecond. */
const chunkBytes = 1 << 18

/**
 * Reads the bytes of an index file, `name` in errors. The arrays are views of `bytes`, or of a copy where they would not
 * be aligned.
 * @throws FileError saying what is wrong, as readIndexFile says it, or the signal's reason
 */
export async function readIndexBytes(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  { signal }: IndexFileOptions = {}
): Promise<IndexContents> {
  if (bytes.length === 0) throw new FileError(name, 'is empty')
  if (bytes.length < lengthBytes) throw new FileError(name, `is truncated: it ends at byte ${bytes.length}`)
  const dataStart = dataStartOf(name, bytes, bytes.length)
  const header = decodeIndexHeader(name, bytes.subarray(0, dataStart), bytes.length, crc32)
  const data = aligned(bytes.subarray(dataStart))
  for (const tensor of header.tensors) {
    const checksum = await checksumOf(data.subarray(tensor.begin, tensor.end), signal)
    checkTensor(name, header, tensor.name, checksum)
  }
  return decodeContents(name, header, data, signal)
}

const aligned = (data: Uint8Array<ArrayBuffer>) => (data.byteOffset % 4 === 0 ? data : new Uint8Array(data))

async function checksumOf(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
  let checksum = 0
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await pause(signal)
    checksum = crc32(bytes.subarray(at, at + chunkBytes), checksum)
  }
  return checksum
}
