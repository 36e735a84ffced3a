/** Single searches of the addon: results come back through arrays that are handed over once, slots that are used again. */
import type { SearchResult } from './engine.js'
import type { NativeSearchQueue } from './native.js'

type ResultArrays = [ids: Int32Array, distances: Float32Array, visited: Int32Array]

/** Where the addon writes the results of one search after the other. */
export class Results {
  #ids = new Int32Array(0)
  #distances = new Float32Array(0)
  readonly #visited = new Int32Array(2)
  readonly #handOver: (...arrays: ResultArrays) => void

  constructor(handOver: (...arrays: ResultArrays) => void) {
    this.#handOver = handOver
  }

  /** Makes room for k results. */
  reserve(k: number): void {
    if (k <= this.#ids.length) return
    // Small arrays would lie on JavaScript's heap, where the addon cannot write.
    const room = Math.max(32, k)
    this.#ids = new Int32Array(room)
    this.#distances = new Float32Array(room)
    this.#handOver(this.#ids, this.#distances, this.#visited)
  }

  take(k: number): SearchResult {
    const [candidates = 0, probes = 0] = this.#visited
    return { ids: this.#ids.slice(0, k), distances: this.#distances.slice(0, k), candidates, probes }
  }
}

interface Slot {
  readonly number: number
  readonly results: Results
  k: number
  resolve: (result: SearchResult) => void
  reject: (error: unknown) => void
}

/** Searches under way; made when the first one starts. */
export class SearchQueue {
  readonly #create: (finished: Int32Array, onFinished: (count: number) => void) => NativeSearchQueue
  readonly #finished = new Int32Array(256)
  readonly #slots: Slot[] = []
  readonly #free: Slot[] = []
  #native: NativeSearchQueue | undefined

  constructor(create: (finished: Int32Array, onFinished: (count: number) => void) => NativeSearchQueue) {
    this.#create = create
  }

  /** `start` puts the search into the slot; what it throws rejects. */
  search(k: number, start: (native: NativeSearchQueue, slot: number) => void): Promise<SearchResult> {
    return new Promise((resolve, reject) => {
      this.#native ??= this.#create(this.#finished, (count) => this.#settle(count))
      const native = this.#native
      const slot = this.#free.pop() ?? this.#addSlot(native)
      slot.results.reserve(k)
      slot.k = k
      slot.resolve = resolve
      slot.reject = reject
      try {
        start(native, slot.number)
      } catch (error) {
        this.#free.push(slot)
        throw error
      }
    })
  }

  #addSlot(native: NativeSearchQueue): Slot {
    const number = this.#slots.length
    const results = new Results((...arrays) => native.setSlot(number, ...arrays))
    const unused = () => undefined
    const slot: Slot = { number, results, k: 0, resolve: unused, reject: unused }
    this.#slots.push(slot)
    return slot
  }

  #settle(count: number): void {
    for (let i = 0; i < count; i++) {
      const entry = this.#finished[i] as number
      const failed = entry < 0
      const slot = this.#slots[failed ? ~entry : entry] as Slot
      if (failed) slot.reject(this.#native?.takeError(slot.number))
      else slot.resolve(slot.results.take(slot.k))
      this.#free.push(slot)
    }
  }
}
