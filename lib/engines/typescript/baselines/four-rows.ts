/** Rows four at a time, number by number side by side: four sums grow at once from each number of a direction that is read. */
export class FourRows {
  private readonly numbers: Float64Array

  constructor(private readonly columns: number) {
    this.numbers = new Float64Array(4 * columns)
  }

  /** Takes `count` rows, at most four, from `first` on, without their mean; the others are zeros. */
  take(vectors: Float32Array, first: number, count: number, mean?: Float64Array): void {
    const { numbers, columns } = this
    if (count < 4) numbers.fill(0)
    for (let i = 0; i < count; i++) {
      const from = (first + i) * columns
      for (let c = 0; c < columns; c++) {
        numbers[4 * c + i] = (vectors[from + c] as number) - (mean ? (mean[c] as number) : 0)
      }
    }
  }

  /** Their products with the direction that begins at `at`. */
  multiply(directions: Float64Array, at: number, products: Float64Array): void {
    const { numbers, columns } = this
    let first = 0
    let second = 0
    let third = 0
    let fourth = 0
    for (let c = 0, i = 0; c < columns; c++, i += 4) {
      const factor = directions[at + c] as number
      first += factor * (numbers[i] as number)
      second += factor * (numbers[i + 1] as number)
      third += factor * (numbers[i + 2] as number)
      fourth += factor * (numbers[i + 3] as number)
    }
    products[0] = first
    products[1] = second
    products[2] = third
    products[3] = fourth
  }

  /** Adds the rows, each times its factor, to the sums that begin at `at`. */
  addTo(sums: Float64Array, at: number, factors: Float64Array): void {
    const { numbers, columns } = this
    const first = factors[0] as number
    const second = factors[1] as number
    const third = factors[2] as number
    const fourth = factors[3] as number
    for (let c = 0, i = 0; c < columns; c++, i += 4) {
      sums[at + c] =
        (sums[at + c] as number) +
        first * (numbers[i] as number) +
        second * (numbers[i + 1] as number) +
        (third * (numbers[i + 2] as number) + fourth * (numbers[i + 3] as number))
    }
  }
}
