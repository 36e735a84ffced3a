import type { Steps } from './turns.js'

const golden = 0x9e3779b97f4a7c15n
const shuffledOfStep = 1 << 12

/** SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), as native/core/random.h: what draws from it draws the same numbers in every
 * engine. An output is two halves of 32 bits, as 64 are slow in JavaScript. What need not come out the same draws from the quicker random.ts. */
export class SplitMix {
  /** Of the last output, as signed integers. */
  high = 0
  low = 0
  private stateHigh: number
  private stateLow: number

  /** Of the seed 64 bits count; `skipped` outputs are left out. */
  constructor(seed: bigint, skipped = 0) {
    const state = seed + BigInt(skipped) * golden
    this.stateHigh = Number(BigInt.asIntN(32, state >> 32n))
    this.stateLow = Number(BigInt.asIntN(32, state))
  }

  next(): void {
    const sum = (this.stateLow >>> 0) + 0x7f4a7c15
    this.stateLow = sum | 0
    this.stateHigh = (this.stateHigh + 0x9e3779b9 + (sum > 0xffffffff ? 1 : 0)) | 0
    this.high = this.stateHigh
    this.low = this.stateLow
    this.foldDown(30)
    this.multiply(0xbf58476d, 0x1ce4e5b9)
    this.foldDown(27)
    this.multiply(0x94d049bb, 0x133111eb)
    this.foldDown(31)
  }

  /** The next output as a seed. */
  seed(): bigint {
    this.next()
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0)
  }

  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number {
    this.next()
    return ((this.high >>> 0) * 2 ** 21 + (this.low >>> 11)) * 2 ** -53
  }

  /** Writes two independent standard normal numbers (Box & Muller 1958). */
  normals(pair: Float64Array): void {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    const angle = 2 * Math.PI * this.uniform()
    pair[0] = radius * Math.cos(angle)
    pair[1] = radius * Math.sin(angle)
  }

  /** Uniform in [0, bound), for bounds below 2^32: the high half of the 32 upper bits' product with the bound. */
  below(bound: number): number {
    this.next()
    const lower = Math.floor(((this.high & 0xffff) * bound) / 2 ** 16)
    return Math.floor(((this.high >>> 16) * bound + lower) / 2 ** 16)
  }

  /** Fisher-Yates, from the last element down. */
  *shuffle(values: Int32Array): Steps<void> {
    for (let i = values.length; i > 1; i--) {
      const other = this.below(i)
      const value = values[i - 1] as number
      values[i - 1] = values[other] as number
      values[other] = value
      if (i % shuffledOfStep === 0) yield 0
    }
  }

  /** z ^= z >> bits, for 0 < bits < 32. */
  private foldDown(bits: number): void {
    this.low ^= (this.low >>> bits) | (this.high << (32 - bits))
    this.high ^= this.high >>> bits
  }

  /** The lower 64 bits of the product; of the lower halves' product the upper half is put together from 16 bits each. */
  private multiply(high: number, low: number): void {
    const [first, second] = [this.low & 0xffff, this.low >>> 16]
    const [third, fourth] = [low & 0xffff, low >>> 16]
    const across = second * third + (Math.imul(first, third) >>> 16)
    const back = first * fourth + (across & 0xffff)
    const carried = Math.imul(second, fourth) + (across >>> 16) + (back >>> 16)
    this.high = (carried + Math.imul(this.low, high) + Math.imul(this.high, low)) | 0
    this.low = Math.imul(this.low, low)
  }
}
