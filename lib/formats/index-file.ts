/** The index file (index-layout.ts says what is in it): written whole or not at all, and read in one allocation. */
import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { bufferCount, parameterCount } from '../classifier/network.js'
import type { SearchState } from '../engines/engine.js'
import { ArgumentError, FileError, NeuralLSHError } from '../errors.js'
import { regularFileSize } from './byte-reader.js'
import { asFileError } from './file-error.js'
import {
  checksumStart,
  checkTensor,
  dataStartOf,
  decodeContents,
  decodeIndexHeader,
  endsOf,
  format,
  hexadecimal,
  type IndexContents,
  type IndexFileOptions,
  type IndexHeader,
  inputs,
  kinds,
  largestHeader,
  layout,
  noChecksum,
  parametersStart,
  type Sizes,
  version
} from './index-layout.js'
import { pause } from './pause.js'
import { replaceFile } from './replace-file.js'
import { encodeHeader, lengthBytes, placeTensors, type StoredTensor, type Tensor } from './safetensors.js'
import { encodeWords, type WordList } from './word-list.js'

const chunkBytes = 1 << 20

/**
 * Writes an index, whole or not at all; the same contents give the same bytes. The state's arrays are read in place.
 * @throws FileError, ArgumentError for sizes that do not belong together, or the signal's reason
 */
export async function writeIndexFile(
  path: string,
  contents: IndexContents,
  options: IndexFileOptions = {}
): Promise<void> {
  const { state, description } = contents
  const sizes = checkedSizes(contents)
  const words = contents.words && (await encodeWords(contents.words, options.signal))
  const tensors = placeTensors(layout({ ...sizes, wordBytes: words?.bytes.length }))
  const data = dataOf(state, words, tensors)
  const checksums = await checksumsOf(tensors, data, options.signal)
  const metadata = {
    checksum: noChecksum,
    format,
    version,
    metric: state.metric,
    network: JSON.stringify(state.classifier.network),
    vectors: sizes.areBytes ? kinds.bytes : kinds.floats,
    scan: sizes.scan,
    input: state.classifier.input.unitLength ? inputs.unitLength : inputs.asIs,
    description: JSON.stringify(description),
    checksums: JSON.stringify(checksums)
  }
  const header = encodeHeader(metadata, tensors)
  if (header.length > largestHeader)
    throw new ArgumentError('description', `makes the header ${header.length} bytes long; at most ${largestHeader} fit`)
  header.set(new TextEncoder().encode(hexadecimal(crc32(header))), checksumStart)
  await replaceFile(path, [header, ...data], options.signal)
}

/**
 * Reads an index: one allocation of the size of the file's data, of which the arrays are views.
 * @throws FileError saying what is wrong with the file, or the signal's reason. What the numbers mean (ids a
 * permutation, offsets in order, finite values) is for the engine to check.
 */
export async function readIndexFile(path: string, options: IndexFileOptions = {}): Promise<IndexContents> {
  let file: FileHandle | undefined
  try {
    const fileSize = await regularFileSize(path)
    file = await open(path, 'r')
    const header = await readHeader(path, file, fileSize)
    const data = allocate(path, header.dataBytes)
    for (const { name, begin, end } of header.tensors) {
      const tensor = data.subarray(begin, end)
      const checksum = await readTensor(path, file, tensor, header.dataStart + begin, options.signal)
      checkTensor(path, header, name, checksum)
    }
    return await decodeContents(path, header, data, options.signal)
  } catch (error) {
    throw asFileError(path, error)
  } finally {
    await file?.close()
  }
}

/** What tells one index file from another. */
export interface IndexFileIdentity {
  bytes: number
  /** Of the header, which holds those of the tensors. */
  checksum: string
}

/** Reads what a file says of itself; whether that is so is for `readIndexFile` to see. Rejects with FileError. */
export async function identifyIndexFile(path: string): Promise<IndexFileIdentity> {
  let file: FileHandle | undefined
  try {
    const bytes = await regularFileSize(path)
    file = await open(path, 'r')
    const checksum = Buffer.alloc(noChecksum.length)
    await readFully(path, file, checksum, checksumStart)
    return { bytes, checksum: checksum.toString('latin1') }
  } catch (error) {
    throw asFileError(path, error)
  } finally {
    await file?.close()
  }
}

// Writing

function checkedSizes({ state, words }: IndexContents): Omit<Sizes, 'wordBytes'> {
  const { classifier, bins, vectors, dimensions, scan, codes } = state
  const { network, input } = classifier
  const [inputCount, binCount] = endsOf(network)
  const rows = bins.ids.length
  const pairs = Math.ceil(dimensions / 2)
  const expected: [string, number, number][] = [
    ['classifier.network.inputShape', inputCount, dimensions],
    ['classifier.parameters', classifier.parameters.length, parameterCount(network)],
    ['classifier.buffers', classifier.buffers.length, bufferCount(network)],
    ['classifier.input.mean', input.mean.length, dimensions],
    ['classifier.input.scale', input.scale.length, dimensions],
    ['bins.offsets', bins.offsets.length, binCount + 1],
    ['vectors', vectors.length, rows * dimensions],
    ['codes.codes', codes?.codes.length ?? 0, scan === 'pq4' ? rows * Math.ceil(pairs / 2) : 0],
    ['codes.codebooks', codes?.codebooks.length ?? 0, scan === 'pq4' ? pairs * 32 : 0],
    ['codes.means', codes?.means.length ?? 0, scan === 'pq4' ? binCount * dimensions : 0],
    ['codes.columns', codes?.columns.length ?? 0, scan === 'pq4' ? dimensions : 0],
    ['words', words?.length ?? rows, rows]
  ]
  const wrong = expected.find(([, size, right]) => size !== right)
  if (wrong) throw new ArgumentError(wrong[0], `has size ${wrong[1]}, expected ${wrong[2]}`)
  return { rows, network, areBytes: vectors instanceof Uint8Array, scan }
}

/** The bytes of each tensor, in place. */
function dataOf(state: SearchState, words: WordList | undefined, tensors: StoredTensor[]): Uint8Array[] {
  const { codes } = state
  const { parameters, buffers, input, temperature } = state.classifier
  const arrays: Record<string, ArrayBufferView> = {
    'bins.vectors': state.vectors,
    'input.mean': input.mean,
    'input.scale': input.scale,
    'output.temperature': Float32Array.of(temperature),
    'bins.offsets': state.bins.offsets,
    'bins.ids': state.bins.ids,
    ...(codes && {
      'codes.codes': codes.codes,
      'codes.codebooks': codes.codebooks,
      'codes.means': codes.means,
      'codes.columns': codes.columns
    }),
    ...(words && { 'words.offsets': words.offsets, 'words.bytes': words.bytes })
  }
  const parametersBegin = parametersStart(tensors, state.classifier.network)
  const buffersBegin = parametersBegin + parameters.byteLength
  return tensors.map(({ name, begin, end }) => {
    const array = arrays[name]
    if (array) return bytesOf(array)
    const [weights, start] = begin < buffersBegin ? [parameters, parametersBegin] : [buffers, buffersBegin]
    return bytesOf(weights).subarray(begin - start, end - start)
  })
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

async function checksumsOf(
  tensors: Tensor[],
  data: Uint8Array[],
  signal: AbortSignal | undefined
): Promise<Record<string, string>> {
  const checksums: Record<string, string> = {}
  for (const [i, bytes] of data.entries()) {
    let checksum = 0
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      await pause(signal)
      checksum = crc32(bytes.subarray(at, at + chunkBytes), checksum)
    }
    checksums[tensors[i]?.name ?? ''] = hexadecimal(checksum)
  }
  return checksums
}

// Reading

async function readHeader(
  path: string,
  file: FileHandle,
  fileSize: number
): Promise<IndexHeader & { dataStart: number }> {
  const start = new Uint8Array(lengthBytes)
  await readFully(path, file, start, 0)
  const dataStart = dataStartOf(path, start, fileSize)
  const bytes = new Uint8Array(dataStart)
  await readFully(path, file, bytes, 0)
  return { ...decodeIndexHeader(path, bytes, fileSize, crc32), dataStart }
}

async function readFully(path: string, file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(target, done, target.length - done, position + done)
    if (bytesRead === 0) throw new FileError(path, `is truncated: it ends at byte ${position + done}`)
    done += bytesRead
  }
}

function allocate(path: string, bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes)
  } catch (cause) {
    throw new NeuralLSHError('ERR_NLSH_MEMORY', `${path}: the index needs ${(bytes / 1e9).toFixed(1)} GB of memory`, {
      cause
    })
  }
}

/** Fills `tensor` from `position` on, and sums up its bytes. */
async function readTensor(
  path: string,
  file: FileHandle,
  tensor: Uint8Array,
  position: number,
  signal: AbortSignal | undefined
): Promise<number> {
  let checksum = 0
  for (let at = 0; at < tensor.length; at += chunkBytes) {
    signal?.throwIfAborted()
    const chunk = tensor.subarray(at, at + chunkBytes)
    await readFully(path, file, chunk, position + at)
    checksum = crc32(chunk, checksum)
  }
  return checksum
}
