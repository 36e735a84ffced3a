/** The nearest of each row so far: a list of bounded length a row, nearest first, ties by smaller id. */
export class NearestLists {
  /** Empty ones, or over what such lists have left in these arrays. */
  constructor(
    readonly rows: number,
    readonly capacity: number,
    /** rows x capacity; the last ones of a list that is not full are not ids. */
    readonly ids: Int32Array = new Int32Array(rows * capacity).fill(-1),
    /** rows x capacity */
    readonly distances: Float64Array = new Float64Array(rows * capacity).fill(Number.POSITIVE_INFINITY)
  ) {}

  clear(): void {
    this.ids.fill(-1)
    this.distances.fill(Number.POSITIVE_INFINITY)
  }

  /** What is farther than this does not come in. */
  threshold(row: number): number {
    return this.distances[(row + 1) * this.capacity - 1] as number
  }

  has(row: number, id: number): boolean {
    for (let i = row * this.capacity; i < (row + 1) * this.capacity; i++) {
      if (this.ids[i] === id) return true
    }
    return false
  }

  /** How many more would fill the list. */
  missing(row: number): number {
    let count = 0
    for (let i = row * this.capacity; i < (row + 1) * this.capacity; i++) {
      if (this.ids[i] === -1) count++
    }
    return count
  }

  /** Where the id came in, or -1; the caller sees to it that no id comes twice. */
  insert(row: number, distance: number, id: number): number {
    const { ids, distances, capacity } = this
    const first = row * capacity
    const last = first + capacity - 1
    if (isNearer(distances[last] as number, ids[last] as number, distance, id)) return -1
    let place = last
    for (; place > first; place--) {
      const before = distances[place - 1] as number
      const idBefore = ids[place - 1] as number
      if (isNearer(before, idBefore, distance, id)) break
      distances[place] = before
      ids[place] = idBefore
    }
    ids[place] = id
    distances[place] = distance
    return place
  }
}

function isNearer(distance: number, id: number, other: number, otherId: number): boolean {
  return distance < other || (distance === other && id < otherId)
}
