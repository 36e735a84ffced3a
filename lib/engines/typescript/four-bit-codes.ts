/** Codes of four bits for every two numbers: product quantization (Jegou, Douze & Schmid, 2011) of what is left of a vector
 * beside its bin's mean. Every number is rounded to float32 where the native engine does so: the codes are the same. */
import type { FourBitCodes, JobOptions, SearchState } from '../engine.js'
import type { Stored } from './products.js'
import { SplitMix } from './split-mix.js'
import { runInTurns, type Steps } from './turns.js'

const entries = 16
const width = 2 // numbers of a part
const sampleRows = 16_384 // a thousand an entry
const rounds = 16 // of Lloyd's algorithm; later ones change the error by less than 0.1 %
const numbersOfStep = 1 << 14
const { fround } = Math

/** Vectors in the order of their bins. */
export type StoredBins = Pick<SearchState, 'dimensions' | 'bins' | 'vectors'>

/** A row, and the bin in which it is. */
interface Place {
  bin: number
  row: number
}

export function encodeFourBits(
  { dimensions, bins, vectors }: StoredBins,
  seed: number,
  job: JobOptions
): Promise<FourBitCodes> {
  return runInTurns(encodingSteps({ dimensions, bins, vectors }, seed), bins.ids.length, job)
}

/** A unit of work is a row that is encoded. */
function* encodingSteps(stored: StoredBins, seed: number): Steps<FourBitCodes> {
  const { dimensions, bins } = stored
  const parts = Math.ceil(dimensions / width)
  const codes: FourBitCodes = {
    codes: new Uint8Array(bins.ids.length * Math.ceil(parts / 2)),
    codebooks: new Float32Array(parts * entries * width),
    means: new Float32Array((bins.offsets.length - 1) * dimensions),
    columns: new Int32Array(dimensions)
  }
  if (bins.ids.length === 0) return codes
  yield* computeMeans(stored, codes.means)
  const sample = yield* drawSample(bins.offsets, seed)
  codes.columns.set(pairedColumns(yield* variancesOf(stored, sample, codes.means)))
  const means = yield* scannedMeans(stored, codes)
  for (let part = 0; part < parts; part++) {
    yield* learnCodebook(yield* residualsOfPart(stored, means, codes.columns, sample, part), seed + part, codes, part)
  }
  yield* encodeRows(stored, means, codes)
  return codes
}

const binCount = ({ bins }: StoredBins) => bins.offsets.length - 1

/** Of each bin; of an empty one, zeros. */
function* computeMeans(stored: StoredBins, means: Float32Array): Steps<void> {
  const { dimensions, bins, vectors } = stored
  for (let bin = 0; bin < binCount(stored); bin++) {
    const [begin, end] = [bins.offsets[bin] as number, bins.offsets[bin + 1] as number]
    const sums = new Float64Array(dimensions)
    for (let row = begin; row < end; row++) {
      for (let c = 0, at = row * dimensions; c < dimensions; c++, at++)
        sums[c] = (sums[c] as number) + (vectors[at] as number)
      yield 0
    }
    const share = end > begin ? 1 / (end - begin) : 0
    for (let c = 0; c < dimensions; c++) means[bin * dimensions + c] = (sums[c] as number) * share
  }
}

/** Distinct rows in ascending order (all, where they are few), the last one again until 16 divides their number. */
function* drawSample(offsets: Int32Array, seed: number): Steps<Place[]> {
  const random = new SplitMix(seed)
  const sample: Place[] = []
  let left = offsets.at(-1) as number
  let wanted = Math.min(left, sampleRows)
  for (let bin = 0; bin + 1 < offsets.length; bin++) {
    for (let row = offsets[bin] as number; row < (offsets[bin + 1] as number); row++, left--) {
      if (row % numbersOfStep === 0) yield 0
      if (random.below(left) >= wanted) continue // Knuth's algorithm S
      sample.push({ bin, row })
      wanted--
    }
  }
  while (sample.length % entries !== 0) sample.push(sample.at(-1) as Place)
  return sample
}

/** The sum of the squared distances of each column's numbers from their bins' means. */
function* variancesOf({ dimensions, vectors }: StoredBins, sample: Place[], means: Float32Array): Steps<Float64Array> {
  const sums = new Float64Array(dimensions)
  for (const { bin, row } of sample) {
    for (let c = 0; c < dimensions; c++) {
      const difference = (vectors[row * dimensions + c] as number) - (means[bin * dimensions + c] as number)
      sums[c] = (sums[c] as number) + difference * difference
    }
    yield 0
  }
  return sums
}

/** The column of the largest variance beside that of the least, and so on; of an odd number, the one of the largest is
 * alone, in the end. */
function pairedColumns(variances: Float64Array): Int32Array {
  const sorted = Array.from(variances.keys()).sort((a, b) => (variances[b] as number) - (variances[a] as number))
  const alone = sorted.splice(0, sorted.length % 2)
  const pairs = sorted
    .slice(0, sorted.length / 2)
    .flatMap((column, i) => [column, sorted[sorted.length - 1 - i] as number])
  return Int32Array.from([...pairs, ...alone])
}

/** The bins' means as scans read them, in the order of the codes' columns: the mean of all vectors and, in 16 bits (the upper
 * half of a float), what they differ from it. What that loses is part of the residual. */
function* scannedMeans(stored: StoredBins, { means, columns }: FourBitCodes): Steps<Float32Array> {
  const { dimensions, bins } = stored
  const sums = new Float64Array(dimensions)
  for (let bin = 0; bin < binCount(stored); bin++) {
    const weight = (bins.offsets[bin + 1] as number) - (bins.offsets[bin] as number)
    for (let c = 0; c < dimensions; c++)
      sums[c] = (sums[c] as number) + weight * (means[bin * dimensions + c] as number)
    yield 0
  }
  const center = Float32Array.from(columns, (column) => (sums[column] as number) / bins.ids.length)
  const scanned = new Float32Array(means.length)
  const bits = new Uint32Array(scanned.buffer)
  for (let bin = 0; bin < binCount(stored); bin++) {
    const isEmpty = bins.offsets[bin] === bins.offsets[bin + 1]
    for (let c = 0, at = bin * dimensions; c < dimensions; c++, at++) {
      scanned[at] = isEmpty ? 0 : (means[bin * dimensions + (columns[c] as number)] as number) - (center[c] as number)
      bits[at] = (bits[at] as number) & 0xffff0000
      scanned[at] = (center[c] as number) + (scanned[at] as number)
    }
    yield 0
  }
  return scanned
}

/** Pairs of numbers: the first and the second ones. */
interface Points {
  x: Float32Array
  y: Float32Array
}

/** What is left of the sampled rows, of one part; a column that is not there is zeros. */
function* residualsOfPart(
  { dimensions, vectors }: StoredBins,
  means: Float32Array,
  columns: Int32Array,
  sample: Place[],
  part: number
): Steps<Points> {
  const points = { x: new Float32Array(sample.length), y: new Float32Array(sample.length) }
  const first = part * width
  for (let i = 0; i < sample.length; i++) {
    const { bin, row } = sample[i] as Place
    points.x[i] = residual(vectors, means, columns, dimensions, bin, row, first)
    if (first + 1 < dimensions) points.y[i] = residual(vectors, means, columns, dimensions, bin, row, first + 1)
    if (i % numbersOfStep === 0) yield 0
  }
  return points
}

function residual(
  vectors: Stored,
  means: Float32Array,
  columns: Int32Array,
  dimensions: number,
  bin: number,
  row: number,
  c: number
): number {
  return fround(
    (vectors[row * dimensions + (columns[c] as number)] as number) - (means[bin * dimensions + c] as number)
  )
}

function* learnCodebook(points: Points, seed: number, { codebooks }: FourBitCodes, part: number): Steps<void> {
  const book = yield* drawEntries(points, new SplitMix(seed).split())
  for (let round = 0; round < rounds; round++) yield* improve(points, book)
  for (let entry = 0; entry < entries; entry++) {
    codebooks[(part * entries + entry) * width] = book.x[entry] as number
    codebooks[(part * entries + entry) * width + 1] = book.y[entry] as number
  }
}

/** k-means++ (Arthur & Vassilvitskii 2007): each entry is a point, drawn in proportion to its squared distance from the
 * entries before it. Where no point is away from them, they are enough, and the others are the first one. */
function* drawEntries({ x, y }: Points, random: SplitMix): Steps<Points> {
  const first = random.below(x.length)
  const book = {
    x: new Float32Array(entries).fill(x[first] as number),
    y: new Float32Array(entries).fill(y[first] as number)
  }
  const distances = new Float32Array(x.length).fill(Number.POSITIVE_INFINITY)
  for (let entry = 1; entry < entries; entry++) {
    const sum = approach(distances, { x, y }, book.x[entry - 1] as number, book.y[entry - 1] as number)
    if (!(sum > 0 && sum <= Number.MAX_VALUE)) break
    let left = random.uniform() * sum
    let drawn = 0
    while (drawn + 1 < x.length && left >= (distances[drawn] as number)) left -= distances[drawn++] as number
    book.x[entry] = x[drawn] as number
    book.y[entry] = y[drawn] as number
    yield 0
  }
  return book
}

/** To another entry: lowers the squared distances to the nearest one, and returns their sum. */
function approach(distances: Float32Array, { x, y }: Points, entryX: number, entryY: number): number {
  let sum = 0
  for (let i = 0; i < x.length; i++) {
    const distance = Math.min(distances[i] as number, squaredDistance(x[i] as number, y[i] as number, entryX, entryY))
    distances[i] = distance
    sum += distance
  }
  return sum
}

function squaredDistance(x: number, y: number, otherX: number, otherY: number): number {
  const dx = fround(x - otherX)
  const dy = fround(y - otherY)
  return fround(fround(dx * dx) + fround(dy * dy))
}

/** Of a codebook's entries from `first` on, the first of the nearest. */
function nearestEntry(x: Float32Array, y: Float32Array, first: number, pointX: number, pointY: number): number {
  let nearest = 0
  let least = Number.POSITIVE_INFINITY
  for (let entry = 0; entry < entries; entry++) {
    const distance = squaredDistance(pointX, pointY, x[first + entry] as number, y[first + entry] as number)
    if (distance < least) {
      least = distance
      nearest = entry
    }
  }
  return nearest
}

/** Lloyd's algorithm. An entry that no point is nearest to stays. */
function* improve({ x, y }: Points, book: Points): Steps<void> {
  const sumsX = new Float64Array(entries)
  const sumsY = new Float64Array(entries)
  const counts = new Float64Array(entries)
  for (let i = 0; i < x.length; i++) {
    const entry = nearestEntry(book.x, book.y, 0, x[i] as number, y[i] as number)
    sumsX[entry] = (sumsX[entry] as number) + (x[i] as number)
    sumsY[entry] = (sumsY[entry] as number) + (y[i] as number)
    counts[entry] = (counts[entry] as number) + 1
    if (i % 1024 === 1023) yield 0
  }
  for (const [entry, count] of counts.entries()) {
    if (count === 0) continue
    book.x[entry] = (sumsX[entry] as number) / count
    book.y[entry] = (sumsY[entry] as number) / count
  }
}

function* encodeRows(
  stored: StoredBins,
  means: Float32Array,
  { codes, codebooks, columns }: FourBitCodes
): Steps<void> {
  const { dimensions, bins, vectors } = stored
  const parts = Math.ceil(dimensions / width)
  const codeBytes = Math.ceil(parts / 2)
  const x = Float32Array.from({ length: parts * entries }, (_, i) => codebooks[width * i] as number)
  const y = Float32Array.from({ length: parts * entries }, (_, i) => codebooks[width * i + 1] as number)
  for (let bin = 0; bin < binCount(stored); bin++) {
    for (let row = bins.offsets[bin] as number; row < (bins.offsets[bin + 1] as number); row++) {
      for (let part = 0; part < parts; part++) {
        const c = part * width
        const first = residual(vectors, means, columns, dimensions, bin, row, c)
        const second = c + 1 < dimensions ? residual(vectors, means, columns, dimensions, bin, row, c + 1) : 0
        const entry = nearestEntry(x, y, part * entries, first, second)
        const at = row * codeBytes + (part >> 1)
        codes[at] = (codes[at] as number) | (entry << (4 * (part & 1)))
      }
      yield 1
    }
  }
}
