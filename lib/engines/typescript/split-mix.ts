/** The random numbers of the native engine (native/core/random.h): SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), in halves of
 * 32 bits. What is to come out as there draws from it; what need not, from the quicker random.ts. */
export class SplitMix {
  /** Of the state. */
  private high: number
  private low: number
  /** Of the last number, as signed integers. */
  private upper = 0
  private lower = 0

  /** `seed`: a whole number of at most 53 bits. */
  constructor(seed: number) {
    this.high = Math.floor(seed / 2 ** 32) | 0
    this.low = seed | 0
  }

  /** A generator that begins with the next number. */
  split(): SplitMix {
    this.advance()
    const other = new SplitMix(0)
    other.high = this.upper
    other.low = this.lower
    return other
  }

  /** The highest bit of the next number. */
  bit(): number {
    this.advance()
    return this.upper >>> 31
  }

  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number {
    this.advance()
    return ((this.upper >>> 0) * 2 ** 21 + (this.lower >>> 11)) * 2 ** -53
  }

  /** Two independent standard normal numbers (Box & Muller 1958). */
  normals(): [number, number] {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    const angle = 2 * Math.PI * this.uniform()
    return [radius * Math.cos(angle), radius * Math.sin(angle)]
  }

  /** Uniform in [0, bound), by the high half of a product of 64 bits. */
  below(bound: number): number {
    this.advance()
    const lower = Math.floor(((this.upper & 0xffff) * bound) / 2 ** 16)
    return Math.floor(((this.upper >>> 16) * bound + lower) / 2 ** 16)
  }

  private advance(): void {
    const low = (this.low >>> 0) + 0x7f4a7c15
    this.low = low | 0
    this.high = (this.high + 0x9e3779b9 + (low > 0xffffffff ? 1 : 0)) | 0
    this.upper = this.high
    this.lower = this.low
    this.mix(30)
    this.multiply(0xbf58476d, 0x1ce4e5b9)
    this.mix(27)
    this.multiply(0x94d049bb, 0x133111eb)
    this.mix(31)
  }

  /** z ^= z >> bits */
  private mix(bits: number): void {
    this.lower ^= (this.lower >>> bits) | (this.upper << (32 - bits))
    this.upper ^= this.upper >>> bits
  }

  /** z *= the number with these halves */
  private multiply(upper: number, lower: number): void {
    const crossed = Math.imul(this.upper, lower) + Math.imul(this.lower, upper)
    this.upper = (highHalf(this.lower >>> 0, lower) + crossed) | 0
    this.lower = Math.imul(this.lower, lower)
  }
}

/** Of a product of two unsigned numbers of 32 bits. */
function highHalf(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16]
  const middle = a1 * b0 + Math.floor((a0 * b0) / 2 ** 16)
  const other = a0 * b1 + (middle % 2 ** 16)
  return a1 * b1 + Math.floor(middle / 2 ** 16) + Math.floor(other / 2 ** 16)
}
