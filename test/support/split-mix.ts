/** The random numbers of native/core/random.h, SplitMix64. */
const bits = (value: bigint) => BigInt.asUintN(64, value)

export class SplitMix {
  #state: bigint

  constructor(seed: bigint) {
    this.#state = seed
  }

  next(): bigint {
    this.#state = bits(this.#state + 0x9e3779b97f4a7c15n)
    let z = this.#state
    z = bits((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
    z = bits((z ^ (z >> 27n)) * 0x94d049bb133111ebn)
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
