/**
 * The index file: safetensors, with everything that answering a query needs. Tensors, in this order:
 *
 *     bins.vectors           [n, d] F32      the vectors in the bins' order
 *     classifier.0.weight    [out, in] F32   named as PyTorch's nn.Sequential(Linear, ReLU, Linear ...) names them
 *     classifier.0.bias      [out] F32
 *     classifier.2.weight    ...
 *     input.mean             [d] F32         the network is fed with (x - mean) * scale
 *     input.scale            [1] F32
 *     bins.offsets           [bins + 1] I32  bin b holds rows offsets[b] .. offsets[b + 1] of bins.vectors
 *     bins.ids               [n] I32         the row number before the reordering
 *     words.offsets          [n + 1] I32     word i (of row number i) is bytes offsets[i] .. offsets[i + 1], UTF-8
 *     words.bytes            [bytes] U8      both only where the vectors have words
 *
 * The metadata hold the CRC-32 of each tensor and, first of all, the CRC-32 of length and header themselves, taken with
 * zeros in its own place: no byte of the file can change unnoticed.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { Metric, SearchState } from '../engines/engine.js'
import { ArgumentError, FileError, NeuralLSHError } from '../errors.js'
import { regularFileSize } from './byte-reader.js'
import { asFileError } from './file-error.js'
import { largestRowCount } from './matrix.js'
import { pause } from './pause.js'
import { replaceFile } from './replace-file.js'
import {
  decodeHeader,
  encodeHeader,
  type Header,
  isRecord,
  lengthBytes,
  placeTensors,
  type StoredTensor,
  type Tensor
} from './safetensors.js'
import { decodeWords, encodeWords, type WordList } from './word-list.js'

const format = 'neural-lsh'
const version = '1'
/** A header takes a few kilobytes; parsing this much takes a few milliseconds. */
const largestHeader = 1 << 22
const metrics: Metric[] = ['euclidean', 'cosine', 'inner-product']
const chunkBytes = 1 << 20
const noChecksum = '00000000'
const headerStart = '{"__metadata__":{"checksum":"'
const checksumStart = lengthBytes + headerStart.length
const checksumEnd = checksumStart + noChecksum.length

export interface IndexContents {
  state: SearchState
  /** Options, report and whatever else describes the index; must survive JSON. */
  description: Record<string, unknown>
  /** n words, by row number. */
  words?: readonly string[] | undefined
}

export interface IndexFileOptions {
  signal?: AbortSignal | undefined
}

/** The sizes that all shapes follow from. */
interface Sizes {
  rows: number
  dimensions: number
  /** [dimensions, ...hidden, bins] */
  widths: number[]
  wordBytes: number | undefined
}

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
    description: JSON.stringify(description),
    checksums: JSON.stringify(checksums)
  }
  const header = encodeHeader(metadata, tensors)
  if (header.length > largestHeader)
    throw new ArgumentError('description', `makes the header ${header.length} bytes long; at most ${largestHeader} fit`)
  header.write(hexadecimal(crc32(header)), checksumStart)
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
    const { metadata, tensors, dataStart, dataBytes } = await readHeader(path, file, fileSize)
    const sizes = sizesOf(path, tensors)
    checkLayout(path, tensors, layout(sizes))
    const { metric, description, checksums } = decodeMetadata(path, metadata)
    const data = allocate(path, dataBytes)
    for (const tensor of tensors)
      await readTensor(path, file, tensor, data, dataStart, checksums[tensor.name], options.signal)
    const arrays = arraysOf(tensors, data)
    const words = arrays.words ? await decodeWords(path, arrays.words, options.signal) : undefined
    return { state: stateOf(arrays, sizes, metric), description, ...(words && { words }) }
  } catch (error) {
    throw asFileError(path, error)
  } finally {
    await file?.close()
  }
}

function layout({ rows, dimensions, widths, wordBytes }: Sizes): Tensor[] {
  const bins = widths.at(-1) ?? 0
  const tensors: Tensor[] = [{ name: 'bins.vectors', dtype: 'F32', shape: [rows, dimensions] }]
  for (let layer = 0; layer + 1 < widths.length; layer++) {
    const [inputs = 0, outputs = 0] = widths.slice(layer)
    tensors.push({ name: `classifier.${2 * layer}.weight`, dtype: 'F32', shape: [outputs, inputs] })
    tensors.push({ name: `classifier.${2 * layer}.bias`, dtype: 'F32', shape: [outputs] })
  }
  tensors.push(
    { name: 'input.mean', dtype: 'F32', shape: [dimensions] },
    { name: 'input.scale', dtype: 'F32', shape: [1] },
    { name: 'bins.offsets', dtype: 'I32', shape: [bins + 1] },
    { name: 'bins.ids', dtype: 'I32', shape: [rows] }
  )
  if (wordBytes !== undefined) {
    tensors.push(
      { name: 'words.offsets', dtype: 'I32', shape: [rows + 1] },
      { name: 'words.bytes', dtype: 'U8', shape: [wordBytes] }
    )
  }
  return tensors
}

// Writing

function checkedSizes({ state, words }: IndexContents): Omit<Sizes, 'wordBytes'> {
  const { classifier, bins, vectors, dimensions } = state
  const { widths } = classifier
  const rows = bins.ids.length
  const parameters = widths.slice(1).reduce((sum, outputs, layer) => sum + outputs * ((widths[layer] ?? 0) + 1), 0)
  const expected: [string, number, number][] = [
    ['classifier.widths[0]', widths[0] ?? 0, dimensions],
    ['classifier.parameters', classifier.parameters.length, parameters],
    ['classifier.inputMean', classifier.inputMean.length, dimensions],
    ['bins.offsets', bins.offsets.length, (widths.at(-1) ?? 0) + 1],
    ['vectors', vectors.length, rows * dimensions],
    ['words', words?.length ?? rows, rows]
  ]
  const wrong = expected.find(([, size, right]) => size !== right)
  if (wrong) throw new ArgumentError(wrong[0], `has size ${wrong[1]}, expected ${wrong[2]}`)
  return { rows, dimensions, widths }
}

/** The bytes of each tensor, in place. */
function dataOf(state: SearchState, words: WordList | undefined, tensors: StoredTensor[]): Uint8Array[] {
  const arrays: Record<string, ArrayBufferView> = {
    'bins.vectors': state.vectors,
    'input.mean': state.classifier.inputMean,
    'input.scale': Float32Array.of(state.classifier.inputScale),
    'bins.offsets': state.bins.offsets,
    'bins.ids': state.bins.ids,
    ...(words && { 'words.offsets': words.offsets, 'words.bytes': words.bytes })
  }
  const parameters = bytesOf(state.classifier.parameters)
  const parametersBegin = state.vectors.byteLength
  return tensors.map(({ name, begin, end }) => {
    const array = arrays[name]
    return array ? bytesOf(array) : parameters.subarray(begin - parametersBegin, end - parametersBegin)
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

function hexadecimal(checksum: number): string {
  return checksum.toString(16).padStart(noChecksum.length, '0')
}

// Reading

async function readHeader(path: string, file: FileHandle, fileSize: number): Promise<Header & { dataStart: number }> {
  const length = Buffer.alloc(lengthBytes)
  await readFully(path, file, length, 0)
  const dataStart = Number(length.readBigUInt64LE()) + lengthBytes
  if (dataStart < checksumEnd || dataStart > Math.min(largestHeader, fileSize)) {
    throw new FileError(
      path,
      `is not an index, or is truncated: its header should take ${dataStart} bytes, the file has ${fileSize}`
    )
  }
  const bytes = Buffer.alloc(dataStart)
  await readFully(path, file, bytes, 0)
  checkHeaderChecksum(path, bytes)
  return { ...decodeHeader(path, bytes.subarray(lengthBytes), fileSize - dataStart), dataStart }
}

function checkHeaderChecksum(path: string, bytes: Buffer): void {
  if (bytes.toString('latin1', lengthBytes, checksumStart) !== headerStart)
    throw new FileError(path, 'is not an index that neural-lsh wrote')
  const checksum = bytes.toString('latin1', checksumStart, checksumEnd)
  const copy = Buffer.from(bytes)
  copy.write(noChecksum, checksumStart)
  if (hexadecimal(crc32(copy)) !== checksum)
    throw new FileError(path, 'is damaged: the checksum of its header is wrong')
}

async function readFully(path: string, file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(target, done, target.length - done, position + done)
    if (bytesRead === 0) throw new FileError(path, `is truncated: it ends at byte ${position + done}`)
    done += bytesRead
  }
}

function decodeMetadata(
  path: string,
  metadata: Record<string, string>
): { metric: Metric; description: Record<string, unknown>; checksums: Record<string, unknown> } {
  if (metadata.format !== format) throw new FileError(path, `is in format '${metadata.format}', expected '${format}'`)
  if (metadata.version !== version) {
    throw new FileError(
      path,
      `is an index of version ${metadata.version}; this release reads version ${version}: a newer neural-lsh wrote it`
    )
  }
  const metric = metrics.find((name) => name === metadata.metric)
  if (metric === undefined)
    throw new FileError(path, `has metric '${metadata.metric}', expected one of ${metrics.join(', ')}`)
  return {
    metric,
    description: parseObject(path, metadata, 'description'),
    checksums: parseObject(path, metadata, 'checksums')
  }
}

function parseObject(path: string, metadata: Record<string, string>, name: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(metadata[name] ?? '')
    if (isRecord(value)) return value
  } catch (cause) {
    throw new FileError(path, `has ${name} that are not JSON: ${(cause as Error).message}`, undefined, { cause })
  }
  throw new FileError(path, `has ${name} that are not a JSON object`)
}

/** What the shapes of three tensors say; checkLayout then sees to it that all shapes say the same. */
function sizesOf(path: string, tensors: StoredTensor[]): Sizes {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const [rows = 0, dimensions = 0] = shapes.get('bins.vectors') ?? []
  const widths = [dimensions]
  for (let layer = 0; shapes.has(`classifier.${2 * layer}.bias`); layer++)
    widths.push(shapes.get(`classifier.${2 * layer}.bias`)?.[0] ?? 0)
  if (rows < 1 || rows > largestRowCount || widths.length < 2 || Math.min(...widths) < 1) {
    throw new FileError(path, `has impossible sizes: ${rows} vectors, layers of ${widths.slice(0, 8).join(', ')}`)
  }
  return { rows, dimensions, widths, wordBytes: shapes.get('words.bytes')?.[0] }
}

function checkLayout(path: string, tensors: StoredTensor[], expected: Tensor[]): void {
  const describe = (tensor: Tensor | undefined): string =>
    tensor ? `${tensor.name} ${tensor.dtype} [${tensor.shape.slice(0, 8)}]` : 'none'
  for (let i = 0; i < Math.max(tensors.length, expected.length); i++) {
    const [found, right] = [describe(tensors[i]), describe(expected[i])]
    if (found !== right) throw new FileError(path, `tensor ${i} is ${found.slice(0, 120)}, expected ${right}`)
  }
}

function allocate(path: string, bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes)
  } catch (cause) {
    throw new NeuralLSHError('ERR_NLSH_MEMORY', `${path}: the index needs ${(bytes / 1e9).toFixed(1)} GB of memory`, {
      cause
    })
  }
}

async function readTensor(
  path: string,
  file: FileHandle,
  { name, begin, end }: StoredTensor,
  data: ArrayBuffer,
  dataStart: number,
  expected: unknown,
  signal: AbortSignal | undefined
): Promise<void> {
  let checksum = 0
  for (let at = begin; at < end; at += chunkBytes) {
    signal?.throwIfAborted()
    const chunk = new Uint8Array(data, at, Math.min(chunkBytes, end - at))
    await readFully(path, file, chunk, dataStart + at)
    checksum = crc32(chunk, checksum)
  }
  if (hexadecimal(checksum) !== expected)
    throw new FileError(path, `is damaged: the checksum of tensor ${name} is wrong`)
}

/** Views into the data. */
function arraysOf(tensors: StoredTensor[], data: ArrayBuffer) {
  const place = (name: string): [begin: number, length: number] => {
    const { begin, end } = tensors.find((tensor) => tensor.name === name) ?? { begin: 0, end: 0 }
    return [begin, (end - begin) / 4]
  }
  const inputMean = new Float32Array(data, ...place('input.mean'))
  const [parametersBegin] = place('classifier.0.weight')
  return {
    vectors: new Float32Array(data, ...place('bins.vectors')),
    parameters: new Float32Array(data, parametersBegin, (inputMean.byteOffset - parametersBegin) / 4),
    inputMean,
    inputScale: new Float32Array(data, ...place('input.scale')),
    offsets: new Int32Array(data, ...place('bins.offsets')),
    ids: new Int32Array(data, ...place('bins.ids')),
    words: tensors.at(-1)?.name === 'words.bytes' && {
      offsets: new Int32Array(data, ...place('words.offsets')),
      bytes: new Uint8Array(data, place('words.bytes')[0])
    }
  }
}

function stateOf(arrays: ReturnType<typeof arraysOf>, { dimensions, widths }: Sizes, metric: Metric): SearchState {
  const { vectors, parameters, inputMean, inputScale, offsets, ids } = arrays
  const [scale = 1] = inputScale
  return {
    metric,
    dimensions,
    classifier: { widths, parameters, inputMean, inputScale: scale },
    bins: { offsets, ids },
    vectors
  }
}
