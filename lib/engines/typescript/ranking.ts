import type { Steps } from './turns.js'

const sunkOfStep = 1 << 12

/** A heap of numbered keys: whoever takes only the first few does not pay for the order of the others. */
export class Ranking {
  keys = new Float64Array(0)
  ids = new Int32Array(0)
  #size = 0

  /** Makes room for `count` entries, which are then written to `keys` and `ids`. */
  reserve(count: number): void {
    if (count <= this.keys.length) return
    this.keys = new Float64Array(count)
    this.ids = new Int32Array(count)
  }

  /** Ranks the first `size` entries. */
  start(size: number): void {
    this.#size = size
    for (let place = (size >> 1) - 1; place >= 0; place--) this.#sink(place)
  }

  /** As `start`, of many. */
  *startInSteps(size: number): Steps<void> {
    this.#size = size
    for (let place = (size >> 1) - 1; place >= 0; place--) {
      this.#sink(place)
      if (place % sunkOfStep === 0) yield 0
    }
  }

  get size(): number {
    return this.#size
  }

  /** Takes out the entry with the smallest key, of equal ones that with the smallest id, and returns where it then stands
   * in `keys` and `ids`: behind all that are left. There must be one. */
  next(): number {
    const last = --this.#size
    this.#swap(0, last)
    this.#sink(0)
    return last
  }

  #sink(place: number): void {
    for (;;) {
      let smallest = place
      const left = 2 * place + 1
      if (left < this.#size && this.#isBefore(left, smallest)) smallest = left
      if (left + 1 < this.#size && this.#isBefore(left + 1, smallest)) smallest = left + 1
      if (smallest === place) return
      this.#swap(place, smallest)
      place = smallest
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [first, second] = [this.keys[a] as number, this.keys[b] as number]
    return first < second || (first === second && (this.ids[a] as number) < (this.ids[b] as number))
  }

  #swap(a: number, b: number): void {
    const [key, id] = [this.keys[a] as number, this.ids[a] as number]
    this.keys[a] = this.keys[b] as number
    this.ids[a] = this.ids[b] as number
    this.keys[b] = key
    this.ids[b] = id
  }
}
