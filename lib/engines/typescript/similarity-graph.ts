/** The similarity graph: rows are joined where one is the other's neighbor, with weight 2 where each is. */
import { ArgumentError } from '../../errors.js'
import type { JobOptions, KnnGraph, SimilarityGraph } from '../engine.js'
import { alone, type Pool, type Task, withTeam } from './team.js'
import type { Steps } from './turns.js'

type Neighbors = Pick<KnnGraph, 'neighbors' | 'ids'>

const rowsOfStep = 256
const perEntry = 100 // multiplications, about, that an entry takes as long as
const mostEntries = 2 ** 31 - 1
const tooManyEdges = 'the similarity graph has more than 2^31 - 1 directed edges; use fewer neighbors or rows'

/** Throws ArgumentError where a neighbor is not another row, or stands twice in a row. */
export function similarityGraph(
  { neighbors, ids }: Neighbors,
  job: JobOptions,
  pool: Pool = alone
): Promise<SimilarityGraph> {
  const work = { total: (2 * ids.length) / neighbors, multiplications: perEntry * ids.length }
  return withTeam(pool, job, work, (team) =>
    team.scoped(async () => team.run(joinNeighbors, { neighbors, ids: await team.share(ids) }, 1))
  )
}

/** All of it is one part. */
export const joinNeighbors: Task<Neighbors, SimilarityGraph> = {
  name: 'join-neighbors',
  begin: (knn) => () => joined(knn)
}

function* joined({ neighbors, ids }: Neighbors): Steps<SimilarityGraph> {
  const rows = ids.length / neighbors
  const incoming = yield* transpose(ids, rows, neighbors)
  const xadj = new Int32Array(rows + 1)
  const outgoing = new Int32Array(neighbors)
  const targets = new Int32Array(2 * ids.length)
  const weights = new Int32Array(2 * ids.length)
  let at = 0
  for (let row = 0; row < rows; row++) {
    outgoing.set(ids.subarray(row * neighbors, (row + 1) * neighbors))
    outgoing.sort()
    checkOnce(outgoing, row)
    const sources = incoming.rows.subarray(incoming.offsets[row], incoming.offsets[row + 1])
    at = merge(outgoing, sources, targets, weights, at)
    xadj[row + 1] = at
    if (row % rowsOfStep === 0) yield rowsOfStep
  }
  if (at > mostEntries) throw new ArgumentError('knnGraph', tooManyEdges)
  return { xadj, adjncy: targets.slice(0, at), adjcwgt: weights.slice(0, at) }
}

/** For every row those that name it as their neighbor, ascending. */
function* transpose(
  ids: Int32Array,
  rows: number,
  neighbors: number
): Steps<{ offsets: Int32Array; rows: Int32Array }> {
  const offsets = new Int32Array(rows + 1)
  for (let row = 0, at = 0; row < rows; row++) {
    for (let i = 0; i < neighbors; i++) {
      const target = ids[at++] as number
      checkTarget(target, row, rows)
      offsets[target + 1] = (offsets[target + 1] as number) + 1
    }
    if (row % rowsOfStep === 0) yield rowsOfStep
  }
  for (let row = 0; row < rows; row++) offsets[row + 1] = (offsets[row + 1] as number) + (offsets[row] as number)
  const next = offsets.slice()
  const sources = new Int32Array(ids.length)
  for (let row = 0, at = 0; row < rows; row++) {
    for (let i = 0; i < neighbors; i++) {
      const target = ids[at++] as number
      const place = next[target] as number
      sources[place] = row
      next[target] = place + 1
    }
    if (row % rowsOfStep === 0) yield 0
  }
  return { offsets, rows: sources }
}

function checkTarget(target: number, row: number, rows: number): void {
  if (target >= 0 && target < rows && target !== row) return
  throw new ArgumentError(
    'knnGraph',
    `row ${row} has the neighbor ${target}; neighbors must be other rows in [0, ${rows})`
  )
}

function checkOnce(sorted: Int32Array, row: number): void {
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] === sorted[i - 1]) throw new ArgumentError('knnGraph', `row ${row} has a neighbor twice`)
  }
}

/** Merges two ascending lists, with weight 2 for what stands in both; returns where the next row begins. */
function merge(outgoing: Int32Array, incoming: Int32Array, targets: Int32Array, weights: Int32Array, begin: number) {
  let at = begin
  for (let o = 0, i = 0; o < outgoing.length || i < incoming.length; at++) {
    const out = outgoing[o] ?? Number.POSITIVE_INFINITY
    const into = incoming[i] ?? Number.POSITIVE_INFINITY
    targets[at] = Math.min(out, into)
    weights[at] = out === into ? 2 : 1
    if (out <= into) o++
    if (into <= out) i++
  }
  return at
}
