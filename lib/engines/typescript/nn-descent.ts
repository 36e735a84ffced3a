/**
 * The approximate k-NN graph: NN-descent (Dong, Moses & Li, "Efficient k-nearest neighbor graph construction for generic
 * similarity measures", WWW 2011). A neighbor of a neighbor is probably a neighbor. Threads compare the rows of some groups and
 * note which of them belong into each other's lists; then each writes the lists of some rows, in the order of the notes: what
 * comes out does not depend on who did what.
 */
import type { Metric } from '../engine.js'
import { distances as distancesOf } from './distances.js'
import type { Lists } from './exact-neighbors.js'
import { NearestLists } from './nearest-lists.js'
import { Random } from './random.js'
import { leafStarts, orderByTree } from './random-leaves.js'
import type { Task, Team } from './team.js'
import type { Steps } from './turns.js'

const trees = 8
const leafSize = 64
const longestRow = 30 // neighbors that are looked for at least: their neighbors are looked at
const sampled = 20 // new, and as many old, of a row's neighbors and of the rows whose neighbor it is (the paper's rho K)
const leastShare = 0.001 // of all neighbors, that a round must change so that there is another (the paper's delta)
export const mostRounds = 30
const rowsOfStep = 16
const partsTogether = 32 // whose notes are in memory at once
const leavesOfPart = 16
const rowsOfPart = 64
const mostPairs = Math.max(
  (leavesOfPart * leafSize * (leafSize - 1)) / 2,
  rowsOfPart * ((sampled * (sampled - 1)) / 2 + sampled * sampled)
)

export interface Descent {
  vectors: Float32Array
  dimensions: number
  metric: Metric
  neighbors: number
  seed: number
}

/** What is known of each row's neighbors, and how many of them, more than there are in the graph; a unit of work is a round's
 * row. The vectors and the lists are memory of the team. */
export async function descend(team: Team, asked: Descent): Promise<{ lists: Lists; capacity: number }> {
  const rows = asked.vectors.length / asked.dimensions
  const capacity = Math.min(rows - 1, Math.max(longestRow, asked.neighbors + (asked.neighbors >> 1)))
  const known: Known = {
    capacity,
    ids: team.room(Int32Array, rows * capacity).fill(-1),
    distances: team.room(Float64Array, rows * capacity).fill(Number.POSITIVE_INFINITY),
    isNew: team.zeros(Uint8Array, rows * capacity)
  }
  await team.scoped(() => search(team, asked, known))
  return { lists: known, capacity }
}

/** A list for every row; whether an entry has not taken part in a join yet. */
interface Known extends Lists {
  capacity: number
  isNew: Uint8Array
}

async function search(team: Team, asked: Descent, known: Known): Promise<void> {
  const rows = asked.vectors.length / asked.dimensions
  const notes = Array.from({ length: partsTogether }, () => ({
    count: team.zeros(Int32Array, 1),
    rows: team.room(Int32Array, 2 * mostPairs),
    distances: team.room(Float64Array, mostPairs)
  }))
  const changes = team.zeros(Int32Array, team.threads)
  /** Compares the rows of all groups, and changes the lists; returns how many entries came in. */
  async function improve(groups: Groups, parts: number): Promise<number> {
    changes.fill(0)
    for (let first = 0; first < parts; first += partsTogether) {
      const count = Math.min(partsTogether, parts - first)
      await team.run(compareGroups, { asked, known, notes, groups, first }, count)
      await team.run(applyNotes, { known, notes: notes.slice(0, count), changes }, team.threads)
    }
    return changes.reduce((sum, count) => sum + count, 0)
  }

  const orders = team.room(Int32Array, trees * rows)
  await team.run(plantTrees, { asked, orders }, trees)
  const starts = leafStarts(rows, leafSize)
  for (let tree = 0; tree < trees; tree++) {
    const order = orders.subarray(tree * rows, (tree + 1) * rows)
    await improve({ order, starts }, Math.ceil((starts.length - 1) / leavesOfPart))
  }
  await team.run(fillLists, { asked, known }, 1)
  const samples = { fresh: samplesIn(team, rows), old: samplesIn(team, rows) }
  for (let round = 0; round < mostRounds; round++) {
    await team.run(drawSamples, { asked, known, samples, round }, 1)
    const changed = await improve(samples, Math.ceil(rows / rowsOfPart))
    if (changed < leastShare * rows * asked.neighbors) return
  }
}

// -------------------------------------------------------------------------------------------------- the first lists

/** A part is a tree. */
export const plantTrees: Task<{ asked: Descent; orders: Int32Array }> = {
  name: 'plant-trees',
  begin({ asked: { vectors, dimensions, seed }, orders }) {
    const rows = vectors.length / dimensions
    return (part) => {
      const order = orders.subarray(part * rows, (part + 1) * rows)
      return orderByTree(vectors, dimensions, leafSize, new Random(seed + part), order)
    }
  }
}

/** Where lists are not full, random neighbors. */
export const fillLists: Task<{ asked: Descent; known: Known }> = {
  name: 'fill-lists',
  begin({ asked, known }) {
    const lists = new ChangingLists(known)
    const random = new Random(asked.seed + trees)
    const distance = distanceIn(asked)
    return function* () {
      for (let row = 0; row < lists.rows; row++) {
        for (let missing = lists.missing(row); missing > 0; ) {
          const id = random.below(lists.rows)
          if (id !== row) missing -= lists.take(row, id, distance(row, id))
        }
        if (row % rowsOfStep === 0) yield 0
      }
    }
  }
}

// ------------------------------------------------------------------------------------------------- what is compared

/** Leaves of a tree, whose rows are all compared with each other, or samples. */
type Groups = { order: Int32Array; starts: Int32Array } | { fresh: Samples; old: Samples }

/** For each row some of the ids that were added, drawn with equal chances (Vitter's algorithm R, 1985). */
interface Samples {
  /** rows x sampled */
  ids: Int32Array
  /** rows: how many were added. */
  added: Int32Array
}

const samplesIn = (team: Team, rows: number): Samples => ({
  ids: team.room(Int32Array, rows * sampled),
  added: team.room(Int32Array, rows)
})

function addTo({ ids, added }: Samples, row: number, id: number, random: Random): void {
  const before = added[row] as number
  added[row] = before + 1
  const place = before < sampled ? before : random.below(before + 1)
  if (place < sampled) ids[row * sampled + place] = id
}

const samplesOf = ({ ids, added }: Samples, row: number) =>
  ids.subarray(row * sampled, row * sampled + Math.min(sampled, added[row] as number))

/** Of each row's neighbors and the rows whose neighbor it is some new and some old ones; the new ones that were drawn are not
 * new any more. */
export const drawSamples: Task<{
  asked: Descent
  known: Known
  samples: { fresh: Samples; old: Samples }
  round: number
}> = {
  name: 'draw-samples',
  begin({ asked, known: { ids, isNew, capacity }, samples: { fresh, old }, round }) {
    const random = new Random(asked.seed + trees + 1 + round)
    const rows = fresh.added.length
    return function* () {
      fresh.added.fill(0)
      old.added.fill(0)
      for (let row = 0; row < rows; row++) {
        for (let i = row * capacity; i < (row + 1) * capacity; i++) {
          const id = ids[i] as number
          const kind = isNew[i] === 1 ? fresh : old
          addTo(kind, row, id, random)
          addTo(kind, id, row, random)
        }
        if (row % rowsOfStep === 0) yield 0
      }
      for (let row = 0; row < rows; row++) {
        const drawn = samplesOf(fresh, row)
        for (let i = row * capacity; i < (row + 1) * capacity; i++) {
          if (isNew[i] === 1 && drawn.includes(ids[i] as number)) isNew[i] = 0
        }
        if (row % rowsOfStep === 0) yield 0
      }
    }
  }
}

/** Calls visit(a, b) with all pairs of two new ones, and of a new and an old one. */
function joinSamples(fresh: Int32Array, old: Int32Array, visit: (a: number, b: number) => void): void {
  for (let i = 0; i < fresh.length; i++) {
    const id = fresh[i] as number
    for (let j = i + 1; j < fresh.length; j++) visit(id, fresh[j] as number)
    for (let j = 0; j < old.length; j++) visit(id, old[j] as number)
  }
}

/** Calls visit(a, b) with the pairs of a part. */
function* eachPair(groups: Groups, part: number, visit: (a: number, b: number) => void): Steps<void> {
  if ('order' in groups) {
    const { order, starts } = groups
    const end = Math.min(starts.length - 1, (part + 1) * leavesOfPart)
    for (let leaf = part * leavesOfPart; leaf < end; leaf++) {
      joinSamples(order.subarray(starts[leaf], starts[leaf + 1]), none, visit)
      yield 0
    }
  } else {
    const { fresh, old } = groups
    const end = Math.min(fresh.added.length, (part + 1) * rowsOfPart)
    for (let row = part * rowsOfPart; row < end; row++) {
      joinSamples(samplesOf(fresh, row), samplesOf(old, row), visit)
      if (row % rowsOfStep === 0) yield rowsOfStep
    }
  }
}
const none = new Int32Array(0)

/** Pairs of which at least one belongs into the other's list, as far as was known when they were compared. */
interface Notes {
  /** Of one number. */
  count: Int32Array
  /** Two a pair. */
  rows: Int32Array
  distances: Float64Array
}

/** Part i writes notes[i] of the groups' part first + i. */
export const compareGroups: Task<{ asked: Descent; known: Known; notes: Notes[]; groups: Groups; first: number }> = {
  name: 'compare-groups',
  begin({ asked, known, notes, groups, first }) {
    const lists = new NearestLists(known.ids.length / known.capacity, known.capacity, known.ids, known.distances)
    const distance = distanceIn(asked)
    return function* (part) {
      const { count, rows, distances } = notes[part] as Notes
      let noted = 0
      yield* eachPair(groups, first + part, (a, b) => {
        if (a === b) return
        const between = distance(a, b)
        if (between > lists.threshold(a) && between > lists.threshold(b)) return
        rows[2 * noted] = a
        rows[2 * noted + 1] = b
        distances[noted++] = between
      })
      count[0] = noted
    }
  }
}

const distanceIn = ({ vectors, dimensions, metric }: Descent) => {
  const distance = distancesOf[metric]
  return (a: number, b: number) => distance(vectors, a, vectors, b, dimensions)
}

/** Part i writes the lists of the i-th rows, and how many entries came in. */
export const applyNotes: Task<{ known: Known; notes: Notes[]; changes: Int32Array }> = {
  name: 'apply-notes',
  begin({ known, notes, changes }) {
    const lists = new ChangingLists(known)
    return function* (part) {
      const begin = Math.floor((part * lists.rows) / changes.length)
      const end = Math.floor(((part + 1) * lists.rows) / changes.length)
      const isOwn = (row: number) => row >= begin && row < end
      let changed = changes[part] as number
      for (const { count, rows, distances } of notes) {
        const noted = count[0] as number
        for (let i = 0; i < noted; i++) {
          const [a, b, between] = [rows[2 * i] as number, rows[2 * i + 1] as number, distances[i] as number]
          if (isOwn(a)) changed += lists.take(a, b, between)
          if (isOwn(b)) changed += lists.take(b, a, between)
        }
        yield 0
      }
      changes[part] = changed
    }
  }
}

class ChangingLists extends NearestLists {
  private readonly isNew: Uint8Array

  constructor({ ids, distances, isNew, capacity }: Known) {
    super(ids.length / capacity, capacity, ids, distances)
    this.isNew = isNew
  }

  /** 1 where the neighbor came in, 0 otherwise. */
  take(row: number, id: number, distance: number): number {
    const { isNew, capacity } = this
    if (distance > this.threshold(row) || this.has(row, id)) return 0
    const place = this.insert(row, distance, id)
    if (place < 0) return 0
    for (let i = (row + 1) * capacity - 1; i > place; i--) isNew[i] = isNew[i - 1] as number
    isNew[place] = 1
    return 1
  }
}
