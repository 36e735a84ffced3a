/** Memory that threads share, which one job after the other uses: V8 does not count it, and would let much of it pile up before
 * it looks for what nobody needs any more. */
export class SharedMemory {
  /** What may be taken, the smallest first. */
  private free: SharedArrayBuffer[] = []
  /** What is taken, in the order in which it was. */
  private readonly taken: SharedArrayBuffer[] = []

  /** At least so many bytes, of any value. What is too small makes way for what is new: so in time all sizes fit. */
  take(bytes: number): SharedArrayBuffer {
    const place = this.free.findIndex(({ byteLength }) => byteLength >= bytes)
    const [fitting] = place < 0 ? [] : this.free.splice(place, 1)
    if (!fitting) this.free.pop()
    const memory = fitting ?? new SharedArrayBuffer(bytes)
    this.taken.push(memory)
    return memory
  }

  /** How much is taken: for `giveBack`. */
  get mark(): number {
    return this.taken.length
  }

  /** What was taken since the mark. */
  giveBack(mark: number): void {
    this.free.push(...this.taken.splice(mark))
    this.free.sort((a, b) => a.byteLength - b.byteLength)
  }

  /** Lets go of what is free. */
  clear(): void {
    this.free = []
  }
}
