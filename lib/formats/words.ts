import { FileError } from '../errors.js'
import { withByteReader } from './byte-reader.js'
import { allocate, checkRowLength, type ReadOptions, store } from './matrix.js'

const newline = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const tab = 0x09
const longestLine = 1 << 24
/** Exact as doubles, so that a product or quotient of two exact numbers is rounded once, as it should be. */
const powersOfTen = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))
const numberPattern = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

export interface WordVectors {
  vectors: Float32Array<ArrayBuffer>
  rows: number
  dimensions: number
  words: string[]
}

interface Survey {
  rows: number
  dimensions: number
  hasHeader: boolean
}

/**
 * Reads word vectors as GloVe, word2vec and fastText write them: a line is a word and its numbers, split by spaces or
 * tabs; word2vec's first line 'rows dimensions' is optional. Blank lines do not count.
 */
export async function readWords(path: string, options: ReadOptions): Promise<WordVectors> {
  const { rows, dimensions, hasHeader } = await survey(path, options)
  const vectors = allocate(path, Float32Array, rows, dimensions)
  const words: string[] = []
  const numbers = new Float64Array(dimensions)
  let skip = hasHeader ? 1 : 0
  await forEachLine(path, options, (line) => {
    if (skip-- > 0) return true
    if (words.length === rows) return false
    const row = words.length
    words.push(readRow(path, line, numbers, row))
    store(path, numbers, vectors, row * dimensions, dimensions)
    return true
  })
  return { vectors, rows, dimensions, words }
}

/** Counts the rows first: walking over the lines costs little, and the result needs to be allocated only once. */
async function survey(path: string, options: ReadOptions): Promise<Survey> {
  let lines = 0
  let dimensions = 0
  let announced: number | undefined
  await forEachLine(path, options, (line) => {
    if (lines++ === 0) ({ dimensions, announced } = readFirstLine(path, line))
    return lines < options.limit + 1
  })
  const hasHeader = announced !== undefined
  const found = hasHeader ? lines - 1 : lines
  if (found < 1) throw new FileError(path, 'holds no word vectors')
  if (announced !== undefined && found < options.limit && found !== announced) {
    throw new FileError(path, `announces ${announced} rows in its first line, but holds ${found}`)
  }
  return { rows: Math.min(found, options.limit), dimensions, hasHeader }
}

function readFirstLine(path: string, line: Buffer): { dimensions: number; announced: number | undefined } {
  const tokens = line
    .toString('latin1')
    .split(/[ \t]+/)
    .filter(Boolean)
  const isHeader = tokens.length === 2 && tokens.every((token) => /^\d+$/.test(token))
  const dimensions = isHeader ? Number(tokens[1]) : tokens.length - 1
  if (dimensions < 1 && !isHeader)
    throw new FileError(path, 'holds a word and no numbers: is this a file of word vectors?', 0)
  checkRowLength(path, dimensions, 0)
  return { dimensions, announced: isHeader ? Number(tokens[0]) : undefined }
}

/** Calls `visit` with each line that is not blank, without its end, until it returns false. */
function forEachLine(path: string, options: ReadOptions, visit: (line: Buffer) => boolean): Promise<void> {
  return withByteReader(path, options, async (reader) => {
    let rest: Buffer = Buffer.alloc(0)
    for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
      const text =
        rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk])
      const end = visitLines(text, visit)
      if (end < 0) return
      rest = text.subarray(end)
      if (rest.length > longestLine)
        throw new FileError(path, `has a line of more than ${longestLine} bytes: is this a text file?`)
    }
    const last = trimEnd(rest)
    if (last.length > 0) visit(last)
  })
}

/** Where the last, unfinished line starts; -1 when `visit` has seen enough. */
function visitLines(text: Buffer, visit: (line: Buffer) => boolean): number {
  let start = 0
  for (let end = text.indexOf(newline); end >= 0; end = text.indexOf(newline, start)) {
    const line = trimEnd(text.subarray(start, end))
    start = end + 1
    if (line.length > 0 && !visit(line)) return -1
  }
  return start
}

function readRow(path: string, line: Buffer, numbers: Float64Array, row: number): string {
  const wordEnd = tokenEnd(line, 0)
  if (wordEnd === 0) throw new FileError(path, 'starts with a space: the word is missing', row)
  let at = wordEnd
  for (let column = 0; column < numbers.length; column++) {
    const start = tokenStart(line, at)
    if (start === line.length) throw new FileError(path, `holds ${column} numbers, expected ${numbers.length}`, row)
    at = tokenEnd(line, start)
    numbers[column] = parseNumber(path, line, start, at, row, column)
  }
  if (at < line.length)
    throw new FileError(path, `holds more than ${numbers.length} numbers, or a space in its word`, row)
  return line.toString('utf8', 0, wordEnd)
}

/** Short decimals directly, for their digits and their power of ten are exact; all others by JavaScript's own parser. */
function parseNumber(path: string, line: Buffer, start: number, end: number, row: number, column: number): number {
  const sign = line[start] === 0x2d ? -1 : 1
  let at = sign < 0 || line[start] === 0x2b ? start + 1 : start
  let digits = 0
  let mantissa = 0
  let afterPoint = -1
  for (; at < end; at++) {
    const digit = (line[at] ?? 0) - 0x30
    if (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit
      digits++
    } else if (digit === -2 && afterPoint < 0) afterPoint = at + 1
    else break
  }
  const decimals = afterPoint < 0 ? 0 : at - afterPoint
  const divisor = powersOfTen[decimals]
  if (at === end && digits > 0 && digits <= 15 && divisor !== undefined) return (sign * mantissa) / divisor

  const text = line.toString('latin1', start, end)
  if (numberPattern.test(text)) return Number(text)
  throw new FileError(path, `column ${column} is '${text.slice(0, 40)}', not a finite number`, row)
}

function isSpace(byte: number | undefined): boolean {
  return byte === space || byte === tab
}

function tokenStart(line: Buffer, at: number): number {
  while (at < line.length && isSpace(line[at])) at++
  return at
}

function tokenEnd(line: Buffer, at: number): number {
  while (at < line.length && !isSpace(line[at])) at++
  return at
}

function trimEnd(line: Buffer): Buffer {
  let end = line.length
  while (end > 0 && (isSpace(line[end - 1]) || line[end - 1] === carriageReturn)) end--
  return line.subarray(0, end)
}
