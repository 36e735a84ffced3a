/**
 * What an index file holds: safetensors, with everything that answering a query needs. Tensors, in this order:
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
 *
 * Nothing here knows where the bytes come from: index-file.ts reads and writes files, index-bytes.ts reads what is in memory
 * already, in a browser as well.
 */
import { bufferCount, type Network, outputsOf, parameterCount, readNetwork, tensorsOf } from '../classifier/network.js'
import type { Metric, ScanType, SearchState } from '../engines/engine.js'
import { FileError } from '../errors.js'
import { largestRowCount } from './matrix.js'
import { decodeHeader, isRecord, lengthBytes, type StoredTensor, type Tensor } from './safetensors.js'
import { decodeWords, type WordList } from './word-list.js'

export const format = 'neural-lsh'
export const version = '4'
/** A header takes a few kilobytes; parsing this much takes a few milliseconds. */
export const largestHeader = 1 << 22
/** The description of the deepest network takes a fifth of it. */
const largestNetwork = 1 << 16
const metrics: Metric[] = ['euclidean', 'cosine', 'inner-product']
const scans: ScanType[] = ['exact', 'int8', 'pq4']
export const kinds = { floats: 'floats', bytes: 'bytes' }
/** What the network is fed with, before mean and scale. */
export const inputs = { unitLength: 'unit-length', asIs: 'as-is' }
export const noChecksum = '00000000'
const headerStart = '{"__metadata__":{"checksum":"'
export const checksumStart = lengthBytes + headerStart.length
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

export interface IndexFileOptions {
  signal?: AbortSignal | undefined
}

/** The sizes that all shapes follow from. */
export interface Sizes {
  rows: number
  network: Network
  areBytes: boolean
  scan: ScanType
  wordBytes: number | undefined
}

/** Goes on from the checksum of the bytes before. */
export type Crc32 = (bytes: Uint8Array, before?: number) => number

export function hexadecimal(checksum: number): string {
  return checksum.toString(16).padStart(noChecksum.length, '0')
}

/** How many numbers enter the network, and how many leave it. */
export function endsOf(network: Network): [dimensions: number, bins: number] {
  const [channels, height, width] = network.inputShape
  return [channels * height * width, outputsOf(network)]
}

export function layout({ rows, network, areBytes, scan, wordBytes }: Sizes): Tensor[] {
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

// Reading

/** What the header of a file says, which fits together. */
export interface IndexHeader {
  tensors: StoredTensor[]
  dataBytes: number
  meaning: Meaning
  description: Record<string, unknown>
  checksums: Record<string, unknown>
}

/** What the numbers in the tensors mean. */
interface Meaning {
  metric: Metric
  network: Network
  unitLength: boolean
  areBytes: boolean
  scan: ScanType
}

/** Where the data start, by the `lengthBytes` first bytes of a file of `fileSize`. @throws FileError */
export function dataStartOf(path: string, start: Uint8Array, fileSize: number): number {
  const length = new DataView(start.buffer, start.byteOffset, lengthBytes).getBigUint64(0, true)
  const dataStart = Number(length) + lengthBytes
  if (dataStart < checksumEnd || dataStart > Math.min(largestHeader, fileSize)) {
    throw new FileError(
      path,
      `is not an index, or is truncated: its header should take ${dataStart} bytes, the file has ${fileSize}`
    )
  }
  return dataStart
}

/** Reads all that stands before the data, `bytes`. @throws FileError */
export function decodeIndexHeader(path: string, bytes: Uint8Array, fileSize: number, crc32: Crc32): IndexHeader {
  checkHeaderChecksum(path, bytes, crc32)
  const { metadata, tensors, dataBytes } = decodeHeader(path, bytes.subarray(lengthBytes), fileSize - bytes.length)
  const { description, checksums, ...meaning } = decodeMetadata(path, metadata)
  checkLayout(path, tensors, layout(sizesOf(path, tensors, meaning)))
  return { tensors, dataBytes, meaning, description, checksums }
}

function checkHeaderChecksum(path: string, bytes: Uint8Array, crc32: Crc32): void {
  const textAt = (begin: number, end: number) => new TextDecoder('latin1').decode(bytes.subarray(begin, end))
  if (textAt(lengthBytes, checksumStart) !== headerStart)
    throw new FileError(path, 'is not an index that neural-lsh wrote')
  const copy = new Uint8Array(bytes)
  copy.set(new TextEncoder().encode(noChecksum), checksumStart)
  if (hexadecimal(crc32(copy)) !== textAt(checksumStart, checksumEnd))
    throw new FileError(path, 'is damaged: the checksum of its header is wrong')
}

/** Judges the checksum of a tensor's bytes. @throws FileError */
export function checkTensor(path: string, { checksums }: IndexHeader, name: string, checksum: number): void {
  if (hexadecimal(checksum) !== checksums[name])
    throw new FileError(path, `is damaged: the checksum of tensor ${name} is wrong`)
}

/** What the data are: arrays that are views of them. Their first byte lies at a multiple of 4. */
export async function decodeContents(
  path: string,
  { tensors, meaning, description }: IndexHeader,
  data: Uint8Array<ArrayBuffer>,
  signal: AbortSignal | undefined
): Promise<IndexContents> {
  const storedWords = wordsOf(tensors, data)
  const words = storedWords && (await decodeWords(path, storedWords, signal))
  return { state: stateOf(tensors, data, meaning), description, ...(words && { words }) }
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

/** Where a tensor lies in the data. */
function placeOf(tensors: StoredTensor[], name: string): { begin: number; end: number } {
  return tensors.find((tensor) => tensor.name === name) ?? { begin: 0, end: 0 }
}

/** All parameters lie side by side, and so do the buffers after them. */
export function parametersStart(tensors: StoredTensor[], network: Network): number {
  return placeOf(tensors, `classifier.${tensorsOf(network)[0]?.name}`).begin
}

/** Views into the data. */
function viewsOf(tensors: StoredTensor[], data: Uint8Array<ArrayBuffer>) {
  const place = (name: string, width: number): [ArrayBuffer, number, number] => {
    const { begin, end } = placeOf(tensors, name)
    return [data.buffer, data.byteOffset + begin, (end - begin) / width]
  }
  return {
    floats: (name: string) => new Float32Array(...place(name, 4)),
    integers: (name: string) => new Int32Array(...place(name, 4)),
    bytes: (name: string) => new Uint8Array(...place(name, 1))
  }
}

function stateOf(tensors: StoredTensor[], data: Uint8Array<ArrayBuffer>, meaning: Meaning): SearchState {
  const { metric, network, unitLength, areBytes, scan } = meaning
  const { floats, integers, bytes } = viewsOf(tensors, data)
  const begin = data.byteOffset + parametersStart(tensors, network)
  const parameters = new Float32Array(data.buffer, begin, parameterCount(network))
  const buffers = new Float32Array(data.buffer, begin + parameters.byteLength, bufferCount(network))
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

function wordsOf(tensors: StoredTensor[], data: Uint8Array<ArrayBuffer>): WordList | undefined {
  if (tensors.at(-1)?.name !== 'words.bytes') return undefined
  const { integers, bytes } = viewsOf(tensors, data)
  return { offsets: integers('words.offsets'), bytes: bytes('words.bytes') }
}
