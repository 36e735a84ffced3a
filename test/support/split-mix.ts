/** The random numbers of native/core/random.h, SplitMix64. */
const bits = (value: bigint) => BigInt.asUintN(64, value)

const [increment, first, second] = [0x9e3779b97f4a7c15n, 0xbf58476d1ce4e5b9n, 0x94d049bb133111ebn]

/** Of an odd number modulo 2^64, by Newton's iteration, which doubles the bits that are right. */
const inverse = (odd: bigint) =>
  Array(6)
    .fill(odd)
    .reduce((x: bigint) => bits(x * (2n - odd * x)), odd)

/** The z of which `shifted` is z ^ (z >> by), by at least 22. */
const unshifted = (shifted: bigint, by: bigint) => shifted ^ (shifted >> by) ^ (shifted >> (2n * by))

export class SplitMix {
  #state: bigint

  /** The seed of which output number `number`, from 0, is `output`. */
  static seedOf(output: bigint, number: number): bigint {
    let z = unshifted(output, 31n)
    z = unshifted(bits(z * inverse(second)), 27n)
    z = unshifted(bits(z * inverse(first)), 30n)
    return bits(z - BigInt(number + 1) * increment)
  }

  constructor(seed: bigint) {
    this.#state = seed
  }

  next(): bigint {
    this.#state = bits(this.#state + increment)
    let z = this.#state
    z = bits((z ^ (z >> 30n)) * first)
    z = bits((z ^ (z >> 27n)) * second)
    return z ^ (z >> 31n)
  }

  /** Fisher-Yates, from the last element down. */
  shuffled<T>(values: readonly T[]): T[] {
    const order = [...values]
    for (let i = order.length; i > 1; i--) {
      const j = Number(((this.next() >> 32n) * BigInt(i)) >> 32n)
      const [a, b] = [order[i - 1], order[j]] as [T, T]
      order[i - 1] = b
      order[j] = a
    }
    return order
  }
}
