/**
 * Exact nearest neighbors by blocks of inner products: of every vector among the others, and of queries among vectors. Every
 * thread keeps lists of its own, so that a pair of vectors is compared once for both; what is nearest in all of them does
 * not depend on who compared what.
 */
import type { Metric } from '../engine.js'
import { distances as distancesOf } from './distances.js'
import { NearestLists } from './nearest-lists.js'
import { mostSharedDimensions, Panels, type Source } from './panels.js'
import type { Task, Team } from './team.js'
import type { Steps } from './turns.js'
import { areAllBytes } from './vectors.js'

const blockRows = 64
const blocksOfPart = 64
const rowsOfStep = 64
const rowsOfPart = 1024

export interface Nearest {
  ids: Int32Array<ArrayBuffer>
  distances: Float32Array<ArrayBuffer>
}

/** The k nearest vectors of each query. `isGraph`: the queries are the vectors, and none is its own neighbor. */
export interface Question extends Compared {
  isGraph: boolean
}

interface Compared {
  vectors: Float32Array
  queries: Float32Array
  dimensions: number
  metric: Metric
  k: number
}

export const blocksOf = (rows: number) => Math.ceil(rows / blockRows)

/** A unit of work is a pair of blocks. Beside the result, each thread has 12 bytes for every entry of its lists. */
export function exactNeighbors(team: Team, asked: Question): Promise<Nearest> {
  return team.scoped(() => findNeighbors(team, asked))
}

async function findNeighbors(team: Team, asked: Question): Promise<Nearest> {
  const vectors = await team.share(asked.vectors)
  const question = { ...asked, vectors, queries: asked.isGraph ? vectors : await team.share(asked.queries) }
  const { dimensions, k, isGraph } = question
  const rows = question.queries.length / dimensions
  const columns = vectors.length / dimensions
  // A few more than k, which are ranked by their true distances in the end, as |a|^2 + |b|^2 - 2ab loses some digits.
  const capacity = Math.min(columns - (isGraph ? 1 : 0), k + Math.max(4, k >> 3))
  const lists = Array.from({ length: team.threads }, () => ({
    ids: team.room(Int32Array, rows * capacity),
    distances: team.room(Float64Array, rows * capacity)
  }))
  const terms = {
    rowTerms: team.zeros(Float64Array, rows),
    columnTerms: team.zeros(Float64Array, columns),
    areBytes: false
  }
  await team.inTurns(prepareTerms(question, terms))
  const chunks = Math.ceil(blocksOf(columns) / blocksOfPart)
  await team.run(scanBlocks, { question, terms, capacity, lists }, blocksOf(rows) * chunks)
  return rankLists(team, question, capacity, lists)
}

// ----------------------------------------------------------------------------------------------- comparing blocks

/** Of a pair the Euclidean distance is rowTerm + columnTerm - 2 product. */
interface Terms {
  rowTerms: Float64Array
  columnTerms: Float64Array
  areBytes: boolean
}

function* prepareTerms({ vectors, queries, dimensions, metric }: Question, terms: Terms): Steps<void> {
  if (metric === 'euclidean') {
    yield* squaredNorms({ vectors, dimensions }, terms.columnTerms)
    if (queries === vectors) terms.rowTerms.set(terms.columnTerms)
    else yield* squaredNorms({ vectors: queries, dimensions }, terms.rowTerms)
  }
  terms.areBytes = dimensions <= mostSharedDimensions && (yield* areAllBytes(vectors)) && (yield* areAllBytes(queries))
}

function* squaredNorms({ vectors, dimensions }: Source, norms: Float64Array): Steps<void> {
  for (let row = 0, at = 0; row < norms.length; row++) {
    let sum = 0
    for (let c = 0; c < dimensions; c++) {
      const x = vectors[at++] as number
      sum += x * x
    }
    norms[row] = sum
    if (row % rowsOfStep === 0) yield 0
  }
}

/** What is nearest so far: rows x capacity (nearest-lists.ts). */
export interface Lists {
  ids: Int32Array
  distances: Float64Array
}

interface Scan {
  question: Question
  terms: Terms
  capacity: number
  /** One of each thread. */
  lists: Lists[]
}

/** A part is a block of rows beside many blocks of columns, of which a graph compares those from the rows on, each pair
 * for both. */
export const scanBlocks: Task<Scan> = {
  name: 'scan-blocks',
  begin({ question, terms, capacity, lists }, slot) {
    const { vectors, queries, dimensions, isGraph } = question
    const [rows, columns] = [queries.length / dimensions, vectors.length / dimensions]
    const chunks = Math.ceil(blocksOf(columns) / blocksOfPart)
    const { ids, distances } = lists[slot] as Lists
    const own = new NearestLists(rows, capacity, ids, distances)
    own.clear()
    const panels = new Panels(blockRows, dimensions, terms.areBytes)
    const products = new Float64Array(blockRows * blockRows)
    return function* (part) {
      const firstRow = Math.floor(part / chunks) * blockRows
      const firstColumn = (part % chunks) * blocksOfPart * blockRows
      const endColumn = Math.min(columns, firstColumn + blocksOfPart * blockRows)
      const start = isGraph ? Math.max(firstColumn, firstRow) : firstColumn
      if (start >= endColumn) return
      const rowCount = Math.min(blockRows, rows - firstRow)
      panels.setRows({ vectors: queries, dimensions }, firstRow, rowCount)
      for (let first = start; first < endColumn; first += blockRows) {
        const columnCount = Math.min(blockRows, columns - first)
        panels.setColumns({ vectors, dimensions }, first, columnCount)
        panels.multiply(rowCount, columnCount, products)
        select(question, terms, own, products, firstRow, first)
        yield 1
      }
    }
  }
}

function select(
  { metric, isGraph }: Question,
  { rowTerms, columnTerms }: Terms,
  lists: NearestLists,
  products: Float64Array,
  firstRow: number,
  firstColumn: number
): void {
  const endRow = Math.min(firstRow + blockRows, rowTerms.length)
  const endColumn = Math.min(firstColumn + blockRows, columnTerms.length)
  const scale = metric === 'euclidean' ? -2 : -1
  const constant = metric === 'cosine' ? 1 : 0
  for (let row = firstRow; row < endRow; row++) {
    const rowTerm = constant + (rowTerms[row] as number)
    const at = (row - firstRow) * blockRows - firstColumn
    for (let column = isGraph ? Math.max(firstColumn, row + 1) : firstColumn; column < endColumn; column++) {
      const distance = rowTerm + (columnTerms[column] as number) + scale * (products[at + column] as number)
      if (distance <= lists.threshold(row)) lists.insert(row, distance, column)
      if (isGraph && distance <= lists.threshold(column)) lists.insert(column, distance, row)
    }
  }
}

// ------------------------------------------------------------------------------------------- ranking what was found

/** For each query the k nearest in its lists, which are memory of the team as all that is asked. */
export async function rankLists(team: Team, question: Compared, capacity: number, lists: Lists[]): Promise<Nearest> {
  const rows = question.queries.length / question.dimensions
  const ids = team.room(Int32Array, rows * question.k)
  const distances = team.room(Float32Array, rows * question.k)
  await team.run(rankRows, { question, capacity, lists, ids, distances }, Math.ceil(rows / rowsOfPart))
  return { ids: await team.keep(ids), distances: await team.keep(distances) }
}

interface Rank {
  question: Compared
  capacity: number
  lists: Lists[]
  ids: Int32Array
  distances: Float32Array
}

/** Of some rows the k nearest in the lists of all threads. */
export const rankRows: Task<Rank> = {
  name: 'rank-rows',
  begin({ question, capacity, lists, ids, distances }) {
    const rows = ids.length / question.k
    const merged = new NearestLists(1, capacity)
    const ranker = new Ranker(question)
    return function* (part) {
      const end = Math.min(rows, (part + 1) * rowsOfPart)
      for (let row = part * rowsOfPart; row < end; row++) {
        merged.clear()
        for (const own of lists) {
          for (let i = row * capacity; i < (row + 1) * capacity; i++) {
            if ((own.ids[i] as number) >= 0) merged.insert(0, own.distances[i] as number, own.ids[i] as number)
          }
        }
        ranker.rank(row, merged.ids, 0, capacity, ids, distances)
        if (row % rowsOfStep === 0) yield 0
      }
    }
  }
}

/** Ranks by distances in double precision, as by plain loops. */
class Ranker {
  private readonly ranked: NearestLists

  constructor(private readonly question: Compared) {
    this.ranked = new NearestLists(1, question.k)
  }

  /** Writes the k nearest of the ids between `first` and `end` to the row of `ids` and `distances`. */
  rank(row: number, from: Int32Array, first: number, end: number, ids: Int32Array, distances: Float32Array): void {
    const { vectors, queries, dimensions, metric, k } = this.question
    const distance = distancesOf[metric]
    this.ranked.clear()
    for (let i = first; i < end; i++) {
      const id = from[i] as number
      this.ranked.insert(0, distance(queries, row, vectors, id, dimensions), id)
    }
    ids.set(this.ranked.ids, row * k)
    distances.set(this.ranked.distances, row * k)
  }
}
