/**
 * The index file: safetensors, with everything that answering a query needs. Tensors, in this order:
 *
 *     bins.vectors           [n, d] F32      the vectors in the bins' order; where all numbers are integers in 0..255 they
 *                                            are U8 and stand further down
 *     classifier.0.weight    [out, in] F32   all parameters, named as PyTorch's nn.Sequential names them, layer by layer
 *     classifier.0.bias      [out] F32
 *     ...
 *     classifier.children.0.0.weight [out, in] F32      of two levels: those of the first group's network, then the second's
 *     ...
 *     classifier.1.running_mean [out] F32    then all running statistics of batch norm
 *     classifier.1.running_var  [out] F32
 *     ...
 *     input.mean             [d] F32         the network is fed with (x - mean) * scale
 *     input.scale            [d] F32
 *     output.temperature     [1] F32         the probabilities are softmax(outputs / temperature)
 *     bins.offsets           [bins + 1] I32  bin b holds rows offsets[b] .. offsets[b + 1] of bins.vectors
 *     bins.ids               [n] I32         the row number before the reordering
 *     codes.codebooks        [ceil(d / 2), 16, 2] F32   scan pq4: for every two numbers, 16 pairs to choose from
 *     codes.means            [bins, d] F32   scan pq4: a vector is about its bin's mean and the pairs chosen
 *     codes.columns          [d] I32         scan pq4: the vector's numbers in the order in which they are paired
 *     words.offsets          [n + 1] I32     word i (of row number i) is bytes offsets[i] .. offsets[i + 1], UTF-8
 *     bins.vectors           [n, d] U8       if they are not above
 *     codes.codes            [n, ceil(ceil(d / 2) / 2)] U8   scan pq4: pair 2i in the lower half of byte i
 *     words.bytes            [bytes] U8      with words.offsets only where the vectors have words
 *
 * The metadata hold the network (JSON, as lib/classifier/network.ts describes it), whether x is brought to unit length
 * first (`input`), how the vectors are kept and scanned (`vectors`, `scan`), the CRC-32 of each tensor and, first of all, the CRC-32 of length and header themselves, taken with
 * zeros in its own place: no byte of the file can change unnoticed.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { bufferCount, type Network, outputsOf, parameterCount, readNetwork, tensorsOf } from '../classifier/network.js'
import type { Metric, ScanType, SearchState } from '../engines/engine.js'
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
const version = '4'
/** A header takes a few kilobytes; parsing this much takes a few milliseconds. */
const largestHeader = 1 << 22
/** The description of the deepest network takes a fifth of it. */
const largestNetwork = 1 << 16
const metrics: Metric[] = ['euclidean', 'cosine', 'inner-product']
const scans: ScanType[] = ['exact', 'int8', 'pq4']
const kinds = { floats: 'floats', bytes: 'bytes' }
/** What the network is fed with, before mean and scale. */
const inputs = { unitLength: 'unit-length', asIs: 'as-is' }
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
  network: Network
  areBytes: boolean
  scan: ScanType
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
    const { description, checksums, ...meaning } = decodeMetadata(path, metadata)
    checkLayout(path, tensors, layout(sizesOf(path, tensors, meaning)))
    const data = allocate(path, dataBytes)
    for (const tensor of tensors)
      await readTensor(path, file, tensor, data, dataStart, checksums[tensor.name], options.signal)
    const storedWords = wordsOf(tensors, data)
    const words = storedWords && (await decodeWords(path, storedWords, options.signal))
    return { state: stateOf(tensors, data, meaning), description, ...(words && { words }) }
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

/** How many numbers enter the network, and how many leave it. */
function endsOf(network: Network): [dimensions: number, bins: number] {
  const [channels, height, width] = network.inputShape
  return [channels * height * width, outputsOf(network)]
}

function layout({ rows, network, areBytes, scan, wordBytes }: Sizes): Tensor[] {
  const [dimensions, bins] = endsOf(network)
  const tensor =
    (dtype: Tensor['dtype']) =>
    (name: string, ...shape: number[]): Tensor => ({ name, dtype, shape })
  const [floats, integers, bytes] = [tensor('F32'), tensor('I32'), tensor('U8')]
  const pairs = Math.ceil(dimensions / 2)
  const hasCodes = scan === 'pq4'
  return [
    ...(areBytes ? [] : [floats('bins.vectors', rows, dimensions)]),
    ...tensorsOf(network).map(({ name, shape }) => floats(`classifier.${name}`, ...shape)),
    floats('input.mean', dimensions),
    floats('input.scale', dimensions),
    floats('output.temperature', 1),
    integers('bins.offsets', bins + 1),
    integers('bins.ids', rows),
    ...(hasCodes
      ? [
          floats('codes.codebooks', pairs, 16, 2),
          floats('codes.means', bins, dimensions),
          integers('codes.columns', dimensions)
        ]
      : []),
    ...(wordBytes === undefined ? [] : [integers('words.offsets', rows + 1)]),
    // Last, as what follows them need not lie at a multiple of 4.
    ...(areBytes ? [bytes('bins.vectors', rows, dimensions)] : []),
    ...(hasCodes ? [bytes('codes.codes', rows, Math.ceil(pairs / 2))] : []),
    ...(wordBytes === undefined ? [] : [bytes('words.bytes', wordBytes)])
  ]
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

export function hexadecimal(checksum: number): string {
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

/** What the numbers in the tensors mean. */
interface Meaning {
  metric: Metric
  network: Network
  unitLength: boolean
  areBytes: boolean
  scan: ScanType
}

function decodeMetadata(
  path: string,
  metadata: Record<string, string>
): Meaning & { description: Record<string, unknown>; checksums: Record<string, unknown> } {
  if (metadata.format !== format) throw new FileError(path, `is in format '${metadata.format}', expected '${format}'`)
  if (metadata.version !== version) {
    const isOlder = Number(metadata.version) < Number(version)
    const reason = isOlder ? 'an older neural-lsh wrote it: build the index again' : 'a newer neural-lsh wrote it'
    throw new FileError(
      path,
      `is an index of version ${metadata.version}; this release reads version ${version}: ${reason}`
    )
  }
  return {
    metric: oneOf(path, metadata, 'metric', metrics),
    network: decodeNetwork(path, metadata),
    unitLength: oneOf(path, metadata, 'input', Object.values(inputs)) === inputs.unitLength,
    areBytes: oneOf(path, metadata, 'vectors', Object.values(kinds)) === kinds.bytes,
    scan: oneOf(path, metadata, 'scan', scans),
    description: parseObject(path, metadata, 'description'),
    checksums: parseObject(path, metadata, 'checksums')
  }
}

function oneOf<T extends string>(path: string, metadata: Record<string, string>, name: string, known: T[]): T {
  const found = known.find((value) => value === metadata[name])
  if (found !== undefined) return found
  throw new FileError(path, `has ${name} '${metadata[name]?.slice(0, 80)}', expected one of ${known.join(', ')}`)
}

/** A network that is whole and fits together; whether its tensors are there is for checkLayout to see. */
function decodeNetwork(path: string, metadata: Record<string, string>): Network {
  const { length } = metadata.network ?? ''
  if (length > largestNetwork)
    throw new FileError(path, `has a network that takes ${length} characters; at most ${largestNetwork} are read`)
  const value = parseObject(path, metadata, 'network')
  try {
    return readNetwork(value)
  } catch (cause) {
    throw new FileError(path, (cause as Error).message.slice(0, 300), undefined, { cause })
  }
}

function parseObject(path: string, metadata: Record<string, string>, name: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(metadata[name] ?? '')
    if (isRecord(value)) return value
  } catch (cause) {
    throw new FileError(path, `has a field '${name}' that is not JSON: ${(cause as Error).message}`, undefined, {
      cause
    })
  }
  throw new FileError(path, `has a field '${name}' that is not a JSON object`)
}

/** What the network and the shapes of two tensors say; checkLayout then sees to it that all shapes say the same. */
function sizesOf(path: string, tensors: StoredTensor[], { network, areBytes, scan }: Meaning): Sizes {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const rows = shapes.get('bins.vectors')?.[0] ?? 0
  if (rows < 1 || rows > largestRowCount) throw new FileError(path, `has an impossible size: ${rows} vectors`)
  return { rows, network, areBytes, scan, wordBytes: shapes.get('words.bytes')?.[0] }
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

/** Where a tensor lies in the data. */
function placeOf(tensors: StoredTensor[], name: string): { begin: number; end: number } {
  return tensors.find((tensor) => tensor.name === name) ?? { begin: 0, end: 0 }
}

/** All parameters lie side by side, and so do the buffers after them. */
function parametersStart(tensors: StoredTensor[], network: Network): number {
  return placeOf(tensors, `classifier.${tensorsOf(network)[0]?.name}`).begin
}

/** Views into the data. */
function viewsOf(tensors: StoredTensor[], data: ArrayBuffer) {
  const place = (name: string, width: number): [ArrayBuffer, number, number] => {
    const { begin, end } = placeOf(tensors, name)
    return [data, begin, (end - begin) / width]
  }
  return {
    floats: (name: string) => new Float32Array(...place(name, 4)),
    integers: (name: string) => new Int32Array(...place(name, 4)),
    bytes: (name: string) => new Uint8Array(...place(name, 1))
  }
}

function stateOf(tensors: StoredTensor[], data: ArrayBuffer, meaning: Meaning): SearchState {
  const { metric, network, unitLength, areBytes, scan } = meaning
  const { floats, integers, bytes } = viewsOf(tensors, data)
  const begin = parametersStart(tensors, network)
  const parameters = new Float32Array(data, begin, parameterCount(network))
  const buffers = new Float32Array(data, begin + parameters.byteLength, bufferCount(network))
  const input = { unitLength, mean: floats('input.mean'), scale: floats('input.scale') }
  const [temperature = 1] = floats('output.temperature')
  return {
    metric,
    dimensions: endsOf(network)[0],
    classifier: { network, parameters, buffers, input, temperature },
    bins: { offsets: integers('bins.offsets'), ids: integers('bins.ids') },
    vectors: areBytes ? bytes('bins.vectors') : floats('bins.vectors'),
    scan,
    codes:
      scan === 'pq4'
        ? {
            codes: bytes('codes.codes'),
            codebooks: floats('codes.codebooks'),
            means: floats('codes.means'),
            columns: integers('codes.columns')
          }
        : undefined
  }
}

function wordsOf(tensors: StoredTensor[], data: ArrayBuffer): WordList | undefined {
  if (tensors.at(-1)?.name !== 'words.bytes') return undefined
  const { integers, bytes } = viewsOf(tensors, data)
  return { offsets: integers('words.offsets'), bytes: bytes('words.bytes') }
}
