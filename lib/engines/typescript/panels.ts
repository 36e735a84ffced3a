/**
 * Inner products of blocks of rows with blocks of columns (both rows of vectors). Four numbers of as many rows and two of
 * as many columns lie side by side, so that eight sums grow at once from six numbers read.
 *
 * Where all numbers are integers in 0 .. 255, two rows share a double: (a + 2^26 a') b adds to two sums at once, which
 * stay apart and exact while 255^2 dimensions < 2^26. That halves the time.
 */
const rowsOfPanel = 4
const columnsOfPanel = 2
const shiftOfSecond = 2 ** 26

/** The most dimensions for which two sums of products of bytes fit into a double. */
export const mostSharedDimensions = Math.floor((shiftOfSecond - 1) / 255 ** 2)

export interface Source {
  vectors: Float32Array
  dimensions: number
}

/** Blocks of vectors; what is missing in a block is zeros. */
export class Panels {
  private readonly rows: Float64Array
  private readonly columns: Float64Array
  private readonly sums: Float64Array

  /** For blocks of `size` vectors, a multiple of 8; `shared`: two rows in a double. */
  constructor(
    private readonly size: number,
    private readonly dimensions: number,
    private readonly shared: boolean
  ) {
    this.rows = new Float64Array((size * dimensions) / (shared ? 2 : 1))
    this.columns = new Float64Array(size * dimensions)
    this.sums = new Float64Array((size * size) / (shared ? 2 : 1))
  }

  setRows(source: Source, first: number, count: number): void {
    this.rows.fill(0)
    if (this.shared) {
      pack(source, first, 2, (count + 1) >> 1, this.rows, rowsOfPanel, 1)
      pack(source, first + 1, 2, count >> 1, this.rows, rowsOfPanel, shiftOfSecond)
    } else {
      pack(source, first, 1, count, this.rows, rowsOfPanel, 1)
    }
  }

  setColumns(source: Source, first: number, count: number): void {
    this.columns.fill(0)
    pack(source, first, 1, count, this.columns, columnsOfPanel, 1)
  }

  /** Writes the products of so many rows with so many columns, `size` a row. */
  multiply(rowCount: number, columnCount: number, products: Float64Array): void {
    const { rows, columns, sums, size, dimensions, shared } = this
    const lines = shared ? (rowCount + 1) >> 1 : rowCount
    for (let row = 0; row < lines; row += rowsOfPanel) {
      for (let column = 0; column < columnCount; column += columnsOfPanel) {
        multiplyPanels(
          rows,
          row * dimensions,
          columns,
          column * dimensions,
          dimensions,
          sums,
          row * size + column,
          size
        )
      }
    }
    if (!shared) {
      products.set(sums)
      return
    }
    for (let line = 0; line < lines; line++) {
      for (let column = 0; column < columnCount; column++) {
        const sum = sums[line * size + column] as number
        const second = Math.floor(sum / shiftOfSecond)
        products[2 * line * size + column] = sum - second * shiftOfSecond
        products[(2 * line + 1) * size + column] = second
      }
    }
  }
}

/** Adds every `step`-th vector, times `scale`, to panels of `width`. */
function pack(
  { vectors, dimensions }: Source,
  first: number,
  step: number,
  count: number,
  out: Float64Array,
  width: number,
  scale: number
): void {
  for (let i = 0; i < count; i++) {
    const from = (first + i * step) * dimensions
    let to = (i - (i % width)) * dimensions + (i % width)
    for (let c = 0; c < dimensions; c++, to += width) {
      out[to] = (out[to] as number) + scale * (vectors[from + c] as number)
    }
  }
}

function multiplyPanels(
  rows: Float64Array,
  firstRow: number,
  columns: Float64Array,
  firstColumn: number,
  dimensions: number,
  out: Float64Array,
  at: number,
  stride: number
): void {
  let s00 = 0
  let s01 = 0
  let s10 = 0
  let s11 = 0
  let s20 = 0
  let s21 = 0
  let s30 = 0
  let s31 = 0
  const end = firstRow + rowsOfPanel * dimensions
  for (let p = firstRow, q = firstColumn; p < end; p += rowsOfPanel, q += columnsOfPanel) {
    const y0 = columns[q] as number
    const y1 = columns[q + 1] as number
    const x0 = rows[p] as number
    const x1 = rows[p + 1] as number
    const x2 = rows[p + 2] as number
    const x3 = rows[p + 3] as number
    s00 += x0 * y0
    s01 += x0 * y1
    s10 += x1 * y0
    s11 += x1 * y1
    s20 += x2 * y0
    s21 += x2 * y1
    s30 += x3 * y0
    s31 += x3 * y1
  }
  out[at] = s00
  out[at + 1] = s01
  out[at + stride] = s10
  out[at + stride + 1] = s11
  out[at + 2 * stride] = s20
  out[at + 2 * stride + 1] = s21
  out[at + 3 * stride] = s30
  out[at + 3 * stride + 1] = s31
}
