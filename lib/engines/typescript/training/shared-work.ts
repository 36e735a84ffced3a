/**
 * Work that the threads of one job share piece by piece. One of them leads: it has the job, and describes what is large
 * enough to be shared. The others come to its help, each by taking one block of that after the other, until none is left.
 */
import type { Steps } from '../turns.js'

/** Places in an Int32Array that all threads see. */
const at = {
  /** Odd while there is work to share, even in between, `ended` in the end; others wait here for it to change. */
  state: 0,
  /** The next block that nobody has begun. */
  next: 1,
  /** How many threads are helping; the leader waits here for them. */
  helping: 2,
  /** Not 0: one of them has failed. */
  failed: 3
} as const

const ended = -1
const longestWait = 20 // milliseconds, after which it is seen whether the job was stopped
const longestDescription = 32

/** What all threads see. */
export interface SharedPlaces {
  /** Where what they work on lies. */
  memory: ArrayBuffer
  /** 0 at first. */
  control: Int32Array
  /** How many blocks there are, and what the leader says of them. */
  description: Float64Array
}

export const placesNeeded = { control: Object.keys(at).length, description: 1 + longestDescription }

type Blocks = (block: number) => Steps<void>

export class SharedWork {
  readonly memory: ArrayBuffer
  readonly #control: Int32Array
  readonly #description: Float64Array

  constructor({ memory, control, description }: SharedPlaces) {
    this.memory = memory
    this.#control = control
    this.#description = description
  }

  /** For the leader: does all blocks, with those who help. */
  *share(description: readonly number[], blocks: number, work: Blocks): Steps<void> {
    const control = this.#control
    this.#description[0] = blocks
    this.#description.set(description, 1)
    Atomics.store(control, at.next, 0)
    Atomics.add(control, at.state, 1)
    Atomics.notify(control, at.state)
    yield* this.#takeBlocks(blocks, work)
    // Whoever comes from now on sees that there is nothing to do; the others have begun all that is left.
    Atomics.add(control, at.state, 1)
    for (let left = this.#helping; left > 0; left = this.#helping) {
      Atomics.wait(control, at.helping, left, longestWait)
      yield 0
    }
    if (Atomics.load(control, at.failed) !== 0) throw new Error('a thread that helped has failed')
  }

  /** For the leader, when nothing more will come. */
  end(): void {
    Atomics.store(this.#control, at.state, ended)
    Atomics.notify(this.#control, at.state)
  }

  /** For the others: until the end. `begin` returns what to do for a block of what was described. */
  *help(begin: (description: Float64Array) => Blocks): Steps<void> {
    for (let state = this.#state; state !== ended; state = this.#state) {
      if (isOpen(state)) yield* this.#join(begin)
      Atomics.wait(this.#control, at.state, state, longestWait)
      yield 0
    }
  }

  /** The leader changes nothing while somebody helps, so what was open then still is what is described. */
  *#join(begin: (description: Float64Array) => Blocks): Steps<void> {
    const control = this.#control
    Atomics.add(control, at.helping, 1)
    try {
      if (!isOpen(this.#state)) return
      yield* this.#takeBlocks(this.#description[0] as number, begin(this.#description.subarray(1)))
    } catch (error) {
      Atomics.store(control, at.failed, 1)
      throw error
    } finally {
      Atomics.sub(control, at.helping, 1)
      Atomics.notify(control, at.helping)
    }
  }

  *#takeBlocks(blocks: number, work: Blocks): Steps<void> {
    const next = () => Atomics.add(this.#control, at.next, 1)
    for (let block = next(); block < blocks; block = next()) yield* work(block)
  }

  get #state(): number {
    return Atomics.load(this.#control, at.state)
  }

  get #helping(): number {
    return Atomics.load(this.#control, at.helping)
  }
}

/** `ended` is odd, too. */
const isOpen = (state: number) => state !== ended && state % 2 === 1
