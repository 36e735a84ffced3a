/** A heap of numbered items, the highest priority on top, in which priorities can change. */
export class Heap {
  private readonly items: Int32Array
  /** Of each item; -1: not in the heap. */
  private readonly places: Int32Array
  private readonly priorities: Float64Array
  private count = 0

  constructor(capacity: number) {
    this.items = new Int32Array(capacity)
    this.places = new Int32Array(capacity).fill(-1)
    this.priorities = new Float64Array(capacity)
  }

  get size(): number {
    return this.count
  }

  get top(): number {
    return this.items[0] as number
  }

  priorityOf(item: number): number {
    return this.priorities[item] as number
  }

  has(item: number): boolean {
    return (this.places[item] as number) >= 0
  }

  /** Puts an item in, or gives it another priority. */
  set(item: number, priority: number): void {
    const place = this.places[item] as number
    const before = this.priorities[item] as number
    this.priorities[item] = priority
    if (place < 0) this.rise(item, this.count++)
    else if (priority > before) this.rise(item, place)
    else if (priority < before) this.sink(item, place)
  }

  remove(item: number): void {
    const place = this.places[item] as number
    this.places[item] = -1
    const last = this.items[--this.count] as number
    if (last === item) return
    const priority = this.priorities[last] as number
    if (priority > (this.priorities[item] as number)) this.rise(last, place)
    else this.sink(last, place)
  }

  pop(): number {
    const item = this.top
    this.remove(item)
    return item
  }

  clear(): void {
    for (let i = 0; i < this.count; i++) this.places[this.items[i] as number] = -1
    this.count = 0
  }

  private put(item: number, place: number): void {
    this.items[place] = item
    this.places[item] = place
  }

  private rise(item: number, from: number): void {
    const priority = this.priorities[item] as number
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = this.items[parent] as number
      if ((this.priorities[above] as number) >= priority) break
      this.put(above, place)
      place = parent
    }
    this.put(item, place)
  }

  private sink(item: number, from: number): void {
    const priority = this.priorities[item] as number
    let place = from
    for (;;) {
      let child = 2 * place + 1
      if (child >= this.count) break
      const right = child + 1
      if (right < this.count && this.priorityAt(right) > this.priorityAt(child)) child = right
      if (this.priorityAt(child) <= priority) break
      this.put(this.items[child] as number, place)
      place = child
    }
    this.put(item, place)
  }

  private priorityAt(place: number): number {
    return this.priorities[this.items[place] as number] as number
  }
}
