import { ClosedError } from './errors.js'

/** What may be closed while calls use it: it is let go of once the last of them has finished. */
export class Closable<T extends object> {
  readonly #release: (contents: T) => void
  #contents: T | undefined
  #users = 0
  #closed = false

  constructor(contents: T, release: (contents: T) => void) {
    this.#contents = contents
    this.#release = release
  }

  /** @throws ClosedError */
  get(): T {
    if (this.#closed || !this.#contents) throw new ClosedError()
    return this.#contents
  }

  /** Rejects with ClosedError, or with what `work` rejects with. */
  async use<R>(work: (contents: T) => Promise<R>): Promise<R> {
    const contents = this.get()
    this.#users++
    try {
      return await work(contents)
    } finally {
      this.#users--
      this.#releaseWhenUnused()
    }
  }

  close(): void {
    this.#closed = true
    this.#releaseWhenUnused()
  }

  #releaseWhenUnused(): void {
    if (!this.#closed || this.#users > 0 || !this.#contents) return
    this.#release(this.#contents)
    this.#contents = undefined
  }
}
