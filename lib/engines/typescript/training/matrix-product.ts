/**
 * Products of matrices. Four rows of the one and four columns of the other lie side by side in panels of doubles, so that
 * sixteen sums grow at once from eight numbers read: about four billion operations a second, which is what JavaScript,
 * where no operation works on more than two numbers, has to give.
 */
import type { Steps } from '../turns.js'
import type { Reals } from './reals.js'
import type { SharedWork } from './shared-work.js'

const width = 4
/** Rows and columns that are packed at a time and make a tile of the product, so that both stay in the cache. */
const tileRows = 256
const tileColumns = 32
/** Products in a step: a quarter of a millisecond. */
const productsOfStep = 1 << 19
/** Half a millisecond: some ten times as long as it takes to wake another thread. */
const worthSharing = 1 << 20

/** A matrix of rows that lie `stride` numbers apart, or the transposed one. */
export interface Operand {
  values: Reals
  stride: number
  isTransposed: boolean
}

export interface Size {
  rows: number
  columns: number
  /** Numbers in a row of the first matrix and in a column of the second. */
  depth: number
}

/** What is to be done: `out` becomes the product of `a` and `b`, or that is added to it; its rows follow on each other. */
interface Product extends Size {
  a: Operand
  b: Operand
  out: Reals
  adds: boolean
}

/** A part of the product that one thread computes. */
interface Tile {
  firstRow: number
  firstColumn: number
  rows: number
  columns: number
}

export class MatrixProduct {
  readonly #work: SharedWork | undefined
  #rows = new Float64Array(0)
  #columns = new Float64Array(0)
  /** The first of the rows that are packed; -1: none of this product. */
  #packed = -1
  readonly #sums = new Float64Array(width * width)
  #done = 0

  /** With `work`: together with its other threads, where what is multiplied lies in its memory. */
  constructor(work?: SharedWork) {
    this.#work = work
  }

  /** Writes the product of `a` and `b` to `out`, whose rows follow on each other, or adds it to what is there. Every sum is
   * that of one thread, in the same order whoever computes it. */
  *multiply(size: Size, a: Operand, b: Operand, out: Reals, adds = false): Steps<void> {
    const product = { ...size, a, b, out, adds }
    const tiles = tilesOf(size)
    const multiplyTile = this.#begin(product)
    if (this.#work && tiles > 1 && isShareable(product, this.#work))
      return yield* this.#work.share(describe(product), tiles, multiplyTile)
    for (let tile = 0; tile < tiles; tile++) yield* multiplyTile(tile)
  }

  /** Together with the thread that leads the work, until its end. */
  help(work: SharedWork): Steps<void> {
    return work.help((description) => this.#begin(described(description, work.memory)))
  }

  /** Returns what to do for a tile. */
  #begin(product: Product): (tile: number) => Steps<void> {
    this.#rows = reserve(this.#rows, Math.min(tileRows, product.rows), product.depth)
    this.#columns = reserve(this.#columns, Math.min(tileColumns, product.columns), product.depth)
    this.#packed = -1
    return (tile) => this.#multiplyTile(product, tileOf(product, tile))
  }

  /** `isAcross`: the numbers of a row or column to pack are `stride` apart. */
  *#pack(
    { values, stride }: Operand,
    isAcross: boolean,
    first: number,
    count: number,
    depth: number,
    panels: Float64Array
  ): Steps<void> {
    for (let i = 0; i < count; i += width) {
      const present = Math.min(width, count - i)
      const [begin, next] = isAcross ? [first + i, 1] : [(first + i) * stride, stride]
      packPanel(values, begin, next, isAcross ? stride : 1, present, depth, panels, i * depth)
      if (this.#isLong(width * depth)) yield 0
    }
  }

  *#multiplyTile({ a, b, columns: stride, depth, out, adds }: Product, tile: Tile): Steps<void> {
    const { firstRow, firstColumn, rows, columns } = tile
    // Tiles side by side share their rows.
    if (this.#packed !== firstRow) yield* this.#pack(a, a.isTransposed, firstRow, rows, depth, this.#rows)
    this.#packed = firstRow
    yield* this.#pack(b, !b.isTransposed, firstColumn, columns, depth, this.#columns)
    for (let row = 0; row < rows; row += width) {
      for (let column = 0; column < columns; column += width) {
        const place = (firstRow + row) * stride + firstColumn + column
        if (!adds && row + width <= rows && column + width <= columns) {
          multiplyPanels(this.#rows, row * depth, this.#columns, column * depth, depth, out, place, stride)
        } else {
          multiplyPanels(this.#rows, row * depth, this.#columns, column * depth, depth, this.#sums, 0, width)
          this.#writeSums(Math.min(width, rows - row), Math.min(width, columns - column), out, place, stride, adds)
        }
        if (this.#isLong(width * width * depth)) yield 0
      }
    }
  }

  #writeSums(rows: number, columns: number, out: Reals, at: number, stride: number, adds: boolean): void {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const place = at + row * stride + column
        const sum = this.#sums[row * width + column] as number
        out[place] = adds ? (out[place] as number) + sum : sum
      }
    }
  }

  /** Whether it is time to let others go first, after so many more products. */
  #isLong(products: number): boolean {
    this.#done += products
    if (this.#done < productsOfStep) return false
    this.#done = 0
    return true
  }
}

const tilesOf = ({ rows, columns }: Size) => Math.ceil(rows / tileRows) * Math.ceil(columns / tileColumns)

function tileOf({ rows, columns }: Size, number: number): Tile {
  const across = Math.ceil(columns / tileColumns)
  const firstRow = Math.floor(number / across) * tileRows
  const firstColumn = (number % across) * tileColumns
  return {
    firstRow,
    firstColumn,
    rows: Math.min(tileRows, rows - firstRow),
    columns: Math.min(tileColumns, columns - firstColumn)
  }
}

const isShareable = ({ rows, columns, depth, a, b, out }: Product, { memory }: SharedWork) =>
  rows * columns * depth >= worthSharing && [a.values, b.values, out].every(({ buffer }) => buffer === memory)

/** A product in numbers, for threads that see the same memory. */
const describe = ({ rows, columns, depth, a, b, out, adds }: Product): number[] => [
  ...[rows, columns, depth],
  ...numbersOf(a),
  ...numbersOf(b),
  ...placeOf(out),
  Number(adds)
]

const numbersOf = ({ values, stride, isTransposed }: Operand) => [...placeOf(values), stride, Number(isTransposed)]

const placeOf = ({ BYTES_PER_ELEMENT, byteOffset, length }: Reals) => [BYTES_PER_ELEMENT, byteOffset, length]

function described(numbers: Float64Array, memory: ArrayBuffer): Product {
  let read = 0
  const next = () => numbers[read++] as number
  const reals = () => {
    const [bytes, offset, length] = [next(), next(), next()]
    return bytes === Float32Array.BYTES_PER_ELEMENT
      ? new Float32Array(memory, offset, length)
      : new Float64Array(memory, offset, length)
  }
  const operand = () => ({ values: reals(), stride: next(), isTransposed: next() === 1 })
  const size = { rows: next(), columns: next(), depth: next() }
  return { ...size, a: operand(), b: operand(), out: reals(), adds: next() === 1 }
}

/** Memory for the panels of so many rows or columns. */
function reserve(panels: Float64Array<ArrayBuffer>, rows: number, depth: number): Float64Array<ArrayBuffer> {
  const needed = Math.ceil(rows / width) * width * depth
  return panels.length < needed ? new Float64Array(needed) : panels
}

/** Packs up to four rows or columns: they begin `next` numbers apart, and their own numbers are `step` apart. */
function packPanel(
  values: Reals,
  begin: number,
  next: number,
  step: number,
  present: number,
  depth: number,
  panels: Float64Array,
  at: number
): void {
  const end = at + width * depth
  if (present < width) {
    panels.fill(0, at, end)
    for (let i = 0; i < present; i++) {
      for (let from = begin + i * next, to = at + i; to < end; from += step, to += width)
        panels[to] = values[from] as number
    }
    return
  }
  for (let from = begin, to = at; to < end; from += step, to += width) {
    panels[to] = values[from] as number
    panels[to + 1] = values[from + next] as number
    panels[to + 2] = values[from + 2 * next] as number
    panels[to + 3] = values[from + 3 * next] as number
  }
}

function multiplyPanels(
  rows: Float64Array,
  firstRow: number,
  columns: Float64Array,
  firstColumn: number,
  depth: number,
  out: Reals,
  at: number,
  stride: number
): void {
  let s00 = 0
  let s01 = 0
  let s02 = 0
  let s03 = 0
  let s10 = 0
  let s11 = 0
  let s12 = 0
  let s13 = 0
  let s20 = 0
  let s21 = 0
  let s22 = 0
  let s23 = 0
  let s30 = 0
  let s31 = 0
  let s32 = 0
  let s33 = 0
  const end = firstRow + width * depth
  for (let p = firstRow, q = firstColumn; p < end; p += width, q += width) {
    const y0 = columns[q] as number
    const y1 = columns[q + 1] as number
    const y2 = columns[q + 2] as number
    const y3 = columns[q + 3] as number
    const x0 = rows[p] as number
    s00 += x0 * y0
    s01 += x0 * y1
    s02 += x0 * y2
    s03 += x0 * y3
    const x1 = rows[p + 1] as number
    s10 += x1 * y0
    s11 += x1 * y1
    s12 += x1 * y2
    s13 += x1 * y3
    const x2 = rows[p + 2] as number
    s20 += x2 * y0
    s21 += x2 * y1
    s22 += x2 * y2
    s23 += x2 * y3
    const x3 = rows[p + 3] as number
    s30 += x3 * y0
    s31 += x3 * y1
    s32 += x3 * y2
    s33 += x3 * y3
  }
  out[at] = s00
  out[at + 1] = s01
  out[at + 2] = s02
  out[at + 3] = s03
  out[at + stride] = s10
  out[at + stride + 1] = s11
  out[at + stride + 2] = s12
  out[at + stride + 3] = s13
  out[at + 2 * stride] = s20
  out[at + 2 * stride + 1] = s21
  out[at + 2 * stride + 2] = s22
  out[at + 2 * stride + 3] = s23
  out[at + 3 * stride] = s30
  out[at + 3 * stride + 1] = s31
  out[at + 3 * stride + 2] = s32
  out[at + 3 * stride + 3] = s33
}
