/** The approximate k-NN graph: NN-descent (Dong, Moses & Li, "Efficient k-nearest neighbor graph construction for generic
 * similarity measures", WWW 2011). A neighbor of a neighbor is probably a neighbor. */
import type { Metric } from '../engine.js'
import { type Distance, distances as distancesOf } from './distances.js'
import { NearestLists } from './nearest-lists.js'
import { Random } from './random.js'
import { eachLeaf } from './random-leaves.js'
import type { Steps } from './turns.js'

const trees = 8
const leafSize = 64
const longestRow = 30 // neighbors that are looked for at least: their neighbors are looked at
const sampled = 20 // new, and as many old, of a row's neighbors and of the rows whose neighbor it is (the paper's rho K)
const leastShare = 0.001 // of all neighbors, that a round must change so that there is another (the paper's delta)
export const mostRounds = 30
const rowsOfStep = 16

/** What is known of each row's neighbors, more than there are in the graph; a unit of work is a round's row. */
export function* descend(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  neighbors: number,
  seed: number
): Steps<NearestLists> {
  const rows = vectors.length / dimensions
  const lists = new NearestLists(rows, Math.min(rows - 1, Math.max(longestRow, neighbors + (neighbors >> 1))))
  const search = new Search(vectors, dimensions, distancesOf[metric], lists, new Random(seed))
  yield* search.start()
  for (let round = 0; round < mostRounds; round++) {
    const changes = yield* search.join()
    if (changes < leastShare * rows * neighbors) break
  }
  return lists
}

class Search {
  /** Whether a list's entry has not taken part in a join yet. */
  private readonly isNew: Uint8Array
  private readonly fresh: Samples
  private readonly old: Samples

  constructor(
    private readonly vectors: Float32Array,
    private readonly dimensions: number,
    private readonly distance: Distance,
    private readonly lists: NearestLists,
    private readonly random: Random
  ) {
    this.isNew = new Uint8Array(lists.ids.length)
    this.fresh = new Samples(lists.rows, random)
    this.old = new Samples(lists.rows, random)
  }

  /** The neighbors in the leaves of some random trees; where lists are not full, random ones. */
  *start(): Steps<void> {
    const { vectors, dimensions, lists, random } = this
    const visit = (rows: Int32Array) => {
      for (let i = 0; i < rows.length; i++) {
        for (let j = 0; j < i; j++) this.compare(rows[i] as number, rows[j] as number)
      }
    }
    for (let tree = 0; tree < trees; tree++) yield* eachLeaf(vectors, dimensions, leafSize, random, visit)
    for (let row = 0; row < lists.rows; row++) {
      for (let missing = lists.missing(row); missing > 0; ) {
        const id = random.below(lists.rows)
        if (id !== row && !lists.has(row, id)) missing -= this.insert(row, id, this.distanceOf(row, id))
      }
      if (row % rowsOfStep === 0) yield 0
    }
  }

  /** Compares the neighbors of every row with each other, of which one must be new; returns how many came into lists. */
  *join(): Steps<number> {
    yield* this.sample()
    let changes = 0
    for (let row = 0; row < this.lists.rows; row++) {
      const fresh = this.fresh.of(row)
      const old = this.old.of(row)
      for (let i = 0; i < fresh.length; i++) {
        const id = fresh[i] as number
        for (let j = i + 1; j < fresh.length; j++) changes += this.compare(id, fresh[j] as number)
        for (let j = 0; j < old.length; j++) changes += this.compare(id, old[j] as number)
      }
      if (row % rowsOfStep === 0) yield rowsOfStep
    }
    return changes
  }

  /** Of each row's neighbors and the rows whose neighbor it is some new and some old ones; the new ones that were drawn
   * are not new any more. */
  private *sample(): Steps<void> {
    const { lists, isNew, fresh, old } = this
    fresh.clear()
    old.clear()
    for (let row = 0; row < lists.rows; row++) {
      for (let i = row * lists.capacity; i < (row + 1) * lists.capacity; i++) {
        const id = lists.ids[i] as number
        const samples = isNew[i] === 1 ? fresh : old
        samples.add(row, id)
        samples.add(id, row)
      }
      if (row % rowsOfStep === 0) yield 0
    }
    for (let row = 0; row < lists.rows; row++) {
      const drawn = fresh.of(row)
      for (let i = row * lists.capacity; i < (row + 1) * lists.capacity; i++) {
        if (isNew[i] === 1 && drawn.includes(lists.ids[i] as number)) isNew[i] = 0
      }
      if (row % rowsOfStep === 0) yield 0
    }
  }

  private compare(a: number, b: number): number {
    if (a === b) return 0
    const distance = this.distanceOf(a, b)
    return this.insert(a, b, distance) + this.insert(b, a, distance)
  }

  private distanceOf(a: number, b: number): number {
    return this.distance(this.vectors, a, this.vectors, b, this.dimensions)
  }

  /** 1 where the neighbor came in, 0 otherwise. */
  private insert(row: number, id: number, distance: number): number {
    const { lists, isNew } = this
    if (distance > lists.threshold(row) || lists.has(row, id)) return 0
    const place = lists.insert(row, distance, id)
    if (place < 0) return 0
    for (let i = (row + 1) * lists.capacity - 1; i > place; i--) isNew[i] = isNew[i - 1] as number
    isNew[place] = 1
    return 1
  }
}

/** For each row some of the ids that were added, drawn with equal chances (Vitter's algorithm R, 1985). */
class Samples {
  private readonly ids: Int32Array
  private readonly added: Int32Array

  constructor(
    rows: number,
    private readonly random: Random
  ) {
    this.ids = new Int32Array(rows * sampled)
    this.added = new Int32Array(rows)
  }

  clear(): void {
    this.added.fill(0)
  }

  add(row: number, id: number): void {
    const before = this.added[row] as number
    this.added[row] = before + 1
    const place = before < sampled ? before : this.random.below(before + 1)
    if (place < sampled) this.ids[row * sampled + place] = id
  }

  of(row: number): Int32Array {
    return this.ids.subarray(row * sampled, row * sampled + Math.min(sampled, this.added[row] as number))
  }
}
