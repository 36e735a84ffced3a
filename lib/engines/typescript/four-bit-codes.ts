/** Codes of four bits for every two numbers: product quantization (Jegou, Douze & Schmid, 2011) of what is left of a vector
 * beside its bin's mean. Every number is rounded to float32 where the native engine does so: the codes are the same. */
import type { FourBitCodes, JobOptions, SearchState } from '../engine.js'
import type { Stored } from './products.js'
import { SplitMix } from './split-mix.js'
import { alone, type Pool, type Task, type Team, withTeam } from './team.js'
import type { Steps } from './turns.js'

const entries = 16
const width = 2 // numbers of a part
const sampleRows = 16_384 // a thousand an entry
const rounds = 16 // of Lloyd's algorithm; later ones change the error by less than 0.1 %
const numbersOfStep = 1 << 14
const rowsOfPart = 1024
const { fround } = Math

/** Vectors in the order of their bins. */
export type StoredBins = Pick<SearchState, 'dimensions' | 'bins' | 'vectors'>

/** FourBitCodes that may lie in shared memory. */
interface Codes {
  codes: Uint8Array
  codebooks: Float32Array
  means: Float32Array
  columns: Int32Array
}

/** Rows, and the bins in which they are. */
interface Places {
  bins: Int32Array
  rows: Int32Array
}

export function encodeFourBits(
  stored: StoredBins,
  seed: number,
  job: JobOptions,
  pool: Pool = alone
): Promise<FourBitCodes> {
  const rows = stored.bins.ids.length
  const distances = (rows + Math.min(rows, sampleRows) * rounds) * partsOf(stored) * entries
  // Each takes as long as eight multiplications, because of its roundings.
  return withTeam(pool, job, { total: rows, multiplications: 8 * distances }, (team) => encode(team, stored, seed))
}

/** A unit of work is a row that is encoded. */
async function encode(team: Team, { dimensions, bins, vectors }: StoredBins, seed: number): Promise<FourBitCodes> {
  const stored: StoredBins = { dimensions, bins, vectors: await team.share(vectors) }
  const rows = bins.ids.length
  const parts = partsOf(stored)
  const made = {
    codes: team.room(Uint8Array, rows * Math.ceil(parts / 2)),
    codebooks: team.zeros(Float32Array, parts * entries * width),
    means: team.zeros(Float32Array, binCount(stored) * dimensions),
    columns: new Int32Array(dimensions)
  }
  if (rows > 0) {
    await team.inTurns(computeMeans(stored, made.means))
    const sample = await team.inTurns(drawSample(bins.offsets, seed))
    made.columns.set(pairedColumns(await team.inTurns(variancesOf(stored, sample, made.means))))
    const means = team.room(Float32Array, made.means.length)
    await team.inTurns(scanMeans(stored, made, means))
    const { columns, codebooks } = made
    const learning = { dimensions, vectors: stored.vectors, means, columns, sample, seed, codebooks }
    await team.run(learnCodebooks, learning, parts)
    await team.run(encodeRows, { stored, means, made }, Math.ceil(rows / rowsOfPart))
  }
  return {
    codes: await team.keep(made.codes),
    codebooks: await team.keep(made.codebooks),
    means: await team.keep(made.means),
    columns: made.columns
  }
}

const partsOf = ({ dimensions }: Pick<StoredBins, 'dimensions'>) => Math.ceil(dimensions / width)

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
function* drawSample(offsets: Int32Array, seed: number): Steps<Places> {
  const random = new SplitMix(BigInt(seed))
  let left = offsets.at(-1) as number
  let wanted = Math.min(left, sampleRows)
  const count = Math.ceil(wanted / entries) * entries
  const sample = { bins: new Int32Array(count), rows: new Int32Array(count) }
  let drawn = 0
  for (let bin = 0; bin + 1 < offsets.length; bin++) {
    for (let row = offsets[bin] as number; row < (offsets[bin + 1] as number); row++, left--) {
      if (row % numbersOfStep === 0) yield 0
      if (random.below(left) >= wanted) continue // Knuth's algorithm S
      sample.bins[drawn] = bin
      sample.rows[drawn++] = row
      wanted--
    }
  }
  sample.bins.fill(sample.bins[drawn - 1] as number, drawn)
  sample.rows.fill(sample.rows[drawn - 1] as number, drawn)
  return sample
}

/** The sum of the squared distances of each column's numbers from their bins' means. */
function* variancesOf({ dimensions, vectors }: StoredBins, sample: Places, means: Float32Array): Steps<Float64Array> {
  const sums = new Float64Array(dimensions)
  for (const [i, row] of sample.rows.entries()) {
    const bin = sample.bins[i] as number
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
function* scanMeans(
  stored: StoredBins,
  { means, columns }: Pick<Codes, 'means' | 'columns'>,
  scanned: Float32Array
): Steps<void> {
  const { dimensions, bins } = stored
  const sums = new Float64Array(dimensions)
  for (let bin = 0; bin < binCount(stored); bin++) {
    const weight = (bins.offsets[bin + 1] as number) - (bins.offsets[bin] as number)
    for (let c = 0; c < dimensions; c++)
      sums[c] = (sums[c] as number) + weight * (means[bin * dimensions + c] as number)
    yield 0
  }
  const center = Float32Array.from(columns, (column) => (sums[column] as number) / bins.ids.length)
  const bits = new Uint32Array(scanned.buffer, scanned.byteOffset, scanned.length)
  for (let bin = 0; bin < binCount(stored); bin++) {
    const isEmpty = bins.offsets[bin] === bins.offsets[bin + 1]
    for (let c = 0, at = bin * dimensions; c < dimensions; c++, at++) {
      scanned[at] = isEmpty ? 0 : (means[bin * dimensions + (columns[c] as number)] as number) - (center[c] as number)
      bits[at] = (bits[at] as number) & 0xffff0000
      scanned[at] = (center[c] as number) + (scanned[at] as number)
    }
    yield 0
  }
}

/** Pairs of numbers: the first and the second ones. */
interface Points {
  x: Float32Array
  y: Float32Array
}

interface Learning extends Pick<StoredBins, 'dimensions' | 'vectors'> {
  /** As scans read them. */
  means: Float32Array
  columns: Int32Array
  sample: Places
  seed: number
  codebooks: Float32Array
}

export const learnCodebooks: Task<Learning> = {
  name: 'learn-codebooks',
  begin(learning) {
    const { seed, codebooks } = learning
    return function* (part) {
      const points = yield* residualsOfPart(learning, part)
      const book = yield* drawEntries(points, new SplitMix(new SplitMix(BigInt(seed + part)).seed()))
      for (let round = 0; round < rounds; round++) yield* improve(points, book)
      for (let entry = 0; entry < entries; entry++) {
        codebooks[(part * entries + entry) * width] = book.x[entry] as number
        codebooks[(part * entries + entry) * width + 1] = book.y[entry] as number
      }
    }
  }
}

/** What is left of the sampled rows, of one part; a column that is not there is zeros. */
function* residualsOfPart({ dimensions, vectors, means, columns, sample }: Learning, part: number): Steps<Points> {
  const { bins, rows } = sample
  const points = { x: new Float32Array(rows.length), y: new Float32Array(rows.length) }
  const first = part * width
  for (let i = 0; i < rows.length; i++) {
    const [bin, row] = [bins[i] as number, rows[i] as number]
    points.x[i] = residual(vectors, means, columns, dimensions, bin, row, first)
    if (first + 1 < dimensions) points.y[i] = residual(vectors, means, columns, dimensions, bin, row, first + 1)
    if (i % rowsOfPart === 0) yield 0
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

interface Encoding {
  stored: StoredBins
  /** As scans read them. */
  means: Float32Array
  made: Codes
}

/** A part are some rows. */
export const encodeRows: Task<Encoding> = {
  name: 'encode-rows',
  begin({ stored: { dimensions, bins, vectors }, means, made: { codes, codebooks, columns } }) {
    const parts = partsOf({ dimensions })
    const codeBytes = Math.ceil(parts / 2)
    const x = Float32Array.from({ length: parts * entries }, (_, i) => codebooks[width * i] as number)
    const y = Float32Array.from({ length: parts * entries }, (_, i) => codebooks[width * i + 1] as number)
    const entryOf = (bin: number, row: number, part: number) => {
      const c = part * width
      const first = residual(vectors, means, columns, dimensions, bin, row, c)
      const second = c + 1 < dimensions ? residual(vectors, means, columns, dimensions, bin, row, c + 1) : 0
      return nearestEntry(x, y, part * entries, first, second)
    }
    return function* (some) {
      const end = Math.min(bins.ids.length, (some + 1) * rowsOfPart)
      let bin = 0
      for (let row = some * rowsOfPart; row < end; row++) {
        while ((bins.offsets[bin + 1] as number) <= row) bin++
        for (let byte = 0; byte < codeBytes; byte++) {
          const second = 2 * byte + 1 < parts ? entryOf(bin, row, 2 * byte + 1) : 0
          codes[row * codeBytes + byte] = entryOf(bin, row, 2 * byte) | (second << 4)
        }
        yield 1
      }
    }
  }
}
