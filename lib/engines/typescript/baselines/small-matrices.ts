/** Linear algebra of matrices that are small in one direction, in double precision. */
import type { SplitMix } from '../split-mix.js'
import type { Steps } from '../turns.js'

/** Row-major. */
export class Matrix {
  readonly numbers: Float64Array
  private readonly views: Float64Array[]

  constructor(
    readonly rows: number,
    readonly columns: number
  ) {
    this.numbers = new Float64Array(rows * columns)
    this.views = Array.from({ length: rows }, (_, i) => this.numbers.subarray(i * columns, (i + 1) * columns))
  }

  row(i: number): Float64Array {
    return this.views[i] as Float64Array
  }
}

export function dotProduct(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

export const norm = (row: Float64Array) => Math.sqrt(dotProduct(row, row))

/** to += factor * from */
function add(to: Float64Array, factor: number, from: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + factor * (from[i] as number)
}

/** A B */
export function* product(a: Matrix, b: Matrix): Steps<Matrix> {
  const result = new Matrix(a.rows, b.columns)
  for (let i = 0; i < a.rows; i++) {
    for (const [k, factor] of a.row(i).entries()) add(result.row(i), factor, b.row(k))
    yield 0
  }
  return result
}

/** A B^T */
export function* productWithTransposed(a: Matrix, b: Matrix): Steps<Matrix> {
  const result = new Matrix(a.rows, b.rows)
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.rows; j++) result.row(i)[j] = dotProduct(a.row(i), b.row(j))
    yield 0
  }
  return result
}

/** Standard normal numbers. */
export function randomNormals(rows: number, columns: number, random: SplitMix): Matrix {
  const result = new Matrix(rows, columns)
  fillWithNormals(result.numbers, random)
  return result
}

function fillWithNormals(numbers: Float64Array, random: SplitMix): void {
  const pair = new Float64Array(2)
  for (let i = 0; i < numbers.length; i += 2) {
    random.normals(pair)
    numbers[i] = pair[0] as number
    if (i + 1 < numbers.length) numbers[i + 1] = pair[1] as number
  }
}

/** Makes the rows, at most as many as there are columns, orthogonal and of unit length (Gram & Schmidt, twice for its
 * rounding). A row that depends on those before it is replaced by a random one. */
export function* orthonormalize(matrix: Matrix, random: SplitMix): Steps<void> {
  const dependent = 1e-10 // what is left of a row that depends on others is rounding
  for (let i = 0; i < matrix.rows; i++) {
    const row = matrix.row(i)
    let before = norm(row)
    removeComponents(matrix, i)
    while (!(norm(row) > dependent * before)) {
      fillWithNormals(row, random)
      before = norm(row)
      removeComponents(matrix, i)
      yield 0
    }
    const length = norm(row)
    for (let c = 0; c < row.length; c++) row[c] = (row[c] as number) / length
    yield 0
  }
}

/** What lies along the rows before it. */
function removeComponents(matrix: Matrix, row: number): void {
  const x = matrix.row(row)
  for (let round = 0; round < 2; round++) {
    for (let other = 0; other < row; other++) {
      const unit = matrix.row(other)
      add(x, -dotProduct(x, unit), unit)
    }
  }
}

/** Makes the rows of a square matrix orthogonal by rotations, the longest first (one-sided Jacobi: Hestenes 1958). Returns
 * them, and the product of the rotations: the new matrix is that times the old one. What was symmetric and positive
 * semidefinite has the rows of that product as eigenvectors. */
export function* orthogonalizeByRotations(matrix: Matrix): Steps<{ turned: Matrix; rotations: Matrix }> {
  const mostSweeps = 60 // ten are usual: convergence is quadratic
  const rotations = new Matrix(matrix.rows, matrix.rows)
  for (let i = 0; i < matrix.rows; i++) rotations.row(i)[i] = 1
  for (let i = 0; i < mostSweeps && sweep(matrix, rotations); i++) yield 0
  const lengths = Array.from({ length: matrix.rows }, (_, i) => norm(matrix.row(i)))
  const order = Array.from(lengths.keys()).sort((a, b) => (lengths[b] as number) - (lengths[a] as number))
  return { turned: inOrder(matrix, order), rotations: inOrder(rotations, order) }
}

/** Returns whether any two rows had to be rotated. */
function sweep(matrix: Matrix, rotations: Matrix): boolean {
  const negligible = 1e-14
  let rotated = false
  for (let i = 0; i < matrix.rows; i++) {
    for (let j = i + 1; j < matrix.rows; j++) {
      const [a, b] = [matrix.row(i), matrix.row(j)]
      const [squaredA, squaredB, dot] = [dotProduct(a, a), dotProduct(b, b), dotProduct(a, b)]
      if (!(Math.abs(dot) > negligible * Math.sqrt(squaredA) * Math.sqrt(squaredB))) continue
      const [cosine, sine] = orthogonalizing(squaredA, squaredB, dot)
      rotate(a, b, cosine, sine)
      rotate(rotations.row(i), rotations.row(j), cosine, sine)
      rotated = true
    }
  }
  return rotated
}

/** The rotation that makes two vectors with these squared lengths and this product orthogonal. */
function orthogonalizing(squaredA: number, squaredB: number, dot: number): [cosine: number, sine: number] {
  const cotangent = (squaredB - squaredA) / (2 * dot)
  const sign = cotangent < 0 || Object.is(cotangent, -0) ? -1 : 1
  const tangent = sign / (Math.abs(cotangent) + Math.hypot(1, cotangent))
  const cosine = 1 / Math.hypot(1, tangent)
  return [cosine, cosine * tangent]
}

/** (a, b) becomes (cosine a - sine b, sine a + cosine b). */
function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number
    const y = b[i] as number
    a[i] = cosine * x - sine * y
    b[i] = sine * x + cosine * y
  }
}

function inOrder(matrix: Matrix, order: readonly number[]): Matrix {
  const result = new Matrix(matrix.rows, matrix.columns)
  for (const [i, row] of order.entries()) result.row(i).set(matrix.row(row))
  return result
}
