/** The source of all random choices of this engine: SplitMix32, which is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)
 * with a state of 32 bits and the finalizer of MurmurHash3, as 64-bit products are slow in JavaScript. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0
  }

  /** Uniform in [0, 2^32). */
  next(): number {
    this.state = (this.state + 0x9e3779b9) | 0
    let z = this.state
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.next() / 2 ** 32
  }

  /** Uniform in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.uniform() * bound)
  }

  /** Fisher-Yates, from the last element down. */
  shuffle(values: Int32Array): void {
    for (let i = values.length - 1; i > 0; i--) {
      const other = this.below(i + 1)
      const value = values[i] as number
      values[i] = values[other] as number
      values[other] = value
    }
  }
}
