// Iterative quantization beside NumPy's, and step by step beside a plain one.
import test from 'ava'
import { partitioners, projectionsOf, readWords, reference } from './partition.js'

const { bits } = reference.itq
const bins = 2 ** bits

type Square = number[][]

const transposed = (a: Square): Square => a.map((_, i) => a.map((row) => row[i] as number))

/** By Gauss and Jordan, with pivots. */
function inverse(matrix: Square): Square {
  const n = matrix.length
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))])
  for (let column = 0; column < n; column++) {
    const pivot = rows.reduce(
      (best, row, i) =>
        i >= column && Math.abs(row[column] as number) > Math.abs(rows[best]?.[column] as number) ? i : best,
      column
    )
    const chosen = rows[pivot] as number[]
    rows[pivot] = rows[column] as number[]
    const scale = chosen[column] as number
    const unit = chosen.map((x) => x / scale)
    rows[column] = unit
    for (const [i, row] of rows.entries()) {
      const factor = row[column] as number
      if (i !== column) rows[i] = row.map((x, j) => x - factor * (unit[j] as number))
    }
  }
  return rows.map((row) => row.slice(n))
}

/** The orthogonal matrix nearest to a matrix, by Newton's iteration (Higham 1986). */
function nearestRotation(matrix: Square): Square {
  let current = matrix
  for (let i = 0; i < 60; i++) {
    const other = transposed(inverse(current))
    current = current.map((row, a) => row.map((x, b) => (x + (other[a]?.[b] as number)) / 2))
  }
  return current
}

const times = (row: readonly number[], matrix: Square) =>
  matrix.map((_, j) => row.reduce((sum, x, k) => sum + x * (matrix[k]?.[j] as number), 0))

/** Rounds of signs and rotations; returns the turned rows. */
function quantize(rows: number[][], rounds: number): number[][] {
  let turned = rows
  for (let round = 0; round < rounds; round++) {
    const product = Array.from({ length: bits }, () => new Array<number>(bits).fill(0))
    for (const [r, row] of rows.entries()) {
      for (const [i, x] of (turned[r] as number[]).entries())
        for (const [j, y] of row.entries()) (product[j] as number[])[i] = (product[j]?.[i] as number) + (x > 0 ? y : -y)
    }
    const rotation = nearestRotation(product)
    turned = rows.map((row) => times(row, rotation))
  }
  return turned
}

for (const { engine, partition } of partitioners) {
  test(`${engine}: the loss falls at every iteration, to where it falls for NumPy`, async (t) => {
    const { vectors, dimensions } = await readWords()
    const { losses } = await partition(vectors, dimensions, { method: 'itq', bins, iterations: 50 })
    t.is(losses.length, 50)
    for (let i = 1; i < 50; i++) t.true((losses[i] as number) <= (losses[i - 1] as number) * (1 + 1e-7), `${i}`)
    t.true((losses[49] as number) < (losses[0] as number) * 0.93)
    const [least, most] = [Math.min(...reference.itq.losses), Math.max(...reference.itq.losses)]
    const last = losses[49] as number
    t.log(`loss ${last.toFixed(4)}; NumPy, ten starts: ${least.toFixed(4)} to ${most.toFixed(4)}`)
    t.true(last > least * 0.999 && last < most * 1.001)
  })

  test(`${engine}: the projections explain as much variance as NumPy’s principal components`, async (t) => {
    const { vectors, dimensions, rows } = await readWords()
    const made = await partition(vectors, dimensions, { method: 'itq', bins, iterations: 1 })
    let squares = 0
    const sums = new Array<number>(bits).fill(0)
    for (let row = 0; row < rows; row++) {
      for (const [i, x] of projectionsOf(made, vectors, dimensions, row).entries()) {
        squares += x * x
        sums[i] = (sums[i] as number) + x
      }
    }
    const explained = squares / rows
    const expected = reference.principal.variances.reduce((a, b) => a + b)
    t.log(`explained variance ${explained.toFixed(6)}, NumPy ${expected.toFixed(6)}`)
    t.true(Math.abs(explained / expected - 1) < 1e-4)
    t.true(sums.every((sum) => Math.abs(sum / rows) < 1e-4))
  })

  test(`${engine}: a bin is the code of the signs, and the iterations are those of the paper`, async (t) => {
    const { vectors, dimensions, rows } = await readWords()
    const run = async (iterations: number) => {
      const made = await partition(vectors, dimensions, { method: 'itq', bins, iterations })
      const numbers = Array.from({ length: rows }, (_, row) => projectionsOf(made, vectors, dimensions, row))
      return { made, numbers }
    }
    const codeOf = (numbers: readonly number[]) => numbers.reduce((code, x, i) => code + (x > 0 ? 2 ** i : 0), 0)
    const first = await run(1)
    const last = await run(30)
    for (const { made, numbers } of [first, last]) t.deepEqual(Array.from(made.labels), numbers.map(codeOf))
    // Where one iteration has led to, the other 29 start.
    const plain = quantize(first.numbers, 29)
    let same = 0
    for (const [row, numbers] of plain.entries())
      for (const [i, x] of numbers.entries()) same += x > 0 === (last.numbers[row]?.[i] as number) > 0 ? 1 : 0
    t.log(`${((100 * same) / (rows * bits)).toFixed(2)} % of the bits are those of the plain iterations`)
    t.true(same / (rows * bits) > 0.99)
  })

  test(`${engine}: vectors that vary in fewer directions than there are bits still have codes`, async (t) => {
    const vectors = Float32Array.from({ length: 300 * 6 }, (_, i) => (i % 6 < 2 ? Math.sin(i * i) : 1))
    const { labels, weights, losses } = await partition(vectors, 6, { method: 'itq', bins: 16 })
    t.true(labels.every((label) => label >= 0 && label < 16))
    t.true(weights.every(Number.isFinite) && losses.every(Number.isFinite))
  })
}
