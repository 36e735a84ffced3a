/** Exact nearest neighbors by blocks of inner products: of every vector among the others, and of queries among vectors. */
import type { GraphMethod, JobOptions, KnnGraph, Metric } from '../engine.js'
import { distances as distancesOf } from './distances.js'
import { NearestLists } from './nearest-lists.js'
import { descend, mostRounds } from './nn-descent.js'
import { mostSharedDimensions, Panels, type Source } from './panels.js'
import { runInTurns, type Steps } from './turns.js'
import { areAllBytes } from './vectors.js'

const blockRows = 64
const rowsOfStep = 256
const mostSearchedExactly = 30_000 // rows: up to here NN-descent takes longer

export interface Nearest {
  ids: Int32Array<ArrayBuffer>
  distances: Float32Array<ArrayBuffer>
}

/** The k-NN graph of prepared vectors. */
export async function knnGraph(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  { neighbors, method, seed }: { neighbors: number; method: GraphMethod; seed: number },
  job: JobOptions
): Promise<KnnGraph> {
  const rows = vectors.length / dimensions
  if (method === 'exact' || rows <= mostSearchedExactly) {
    const steps = exactNeighbors(vectors, vectors, dimensions, metric, neighbors, true)
    return { neighbors, ...(await runInTurns(steps, (blocksOf(rows) * (blocksOf(rows) + 1)) / 2, job)) }
  }
  const steps = approximateNeighbors(vectors, dimensions, metric, neighbors, seed)
  return { neighbors, ...(await runInTurns(steps, mostRounds * rows, job)) }
}

/** The k nearest vectors of each query, both prepared. */
export function exactSearch(
  vectors: Float32Array,
  queries: Float32Array,
  dimensions: number,
  metric: Metric,
  k: number,
  job: JobOptions
): Promise<Nearest> {
  const blocks = blocksOf(vectors.length / dimensions) * blocksOf(queries.length / dimensions)
  return runInTurns(exactNeighbors(vectors, queries, dimensions, metric, k, false), blocks, job)
}

export function* approximateNeighbors(
  vectors: Float32Array,
  dimensions: number,
  metric: Metric,
  k: number,
  seed: number
): Steps<Nearest> {
  const lists = yield* descend(vectors, dimensions, metric, k, seed)
  return yield* rank(vectors, vectors, dimensions, metric, k, lists)
}

const blocksOf = (rows: number) => Math.ceil(rows / blockRows)

/** A unit of work is a pair of blocks. `isGraph`: the queries are the vectors, and none is its own neighbor. */
export function* exactNeighbors(
  vectors: Float32Array,
  queries: Float32Array,
  dimensions: number,
  metric: Metric,
  k: number,
  isGraph: boolean
): Steps<Nearest> {
  const available = vectors.length / dimensions - (isGraph ? 1 : 0)
  // A few more than k, which are ranked by their true distances in the end, as |a|^2 + |b|^2 - 2ab loses some digits.
  const capacity = Math.min(available, k + Math.max(4, k >> 3))
  const lists = new NearestLists(queries.length / dimensions, capacity)
  const pairs = yield* preparePairs(vectors, queries, dimensions, metric)
  for (let row = 0; row < lists.rows; row += blockRows) yield* scanBlocks(pairs, lists, row, isGraph)
  return yield* rank(vectors, queries, dimensions, metric, k, lists)
}

/** Of a pair the distance is constant + rowTerm + columnTerm + scale * product. */
interface Pairs {
  rows: Source
  columns: Source
  rowTerms: Float64Array
  columnTerms: Float64Array
  constant: number
  scale: number
  panels: Panels
}

function* preparePairs(vectors: Float32Array, queries: Float32Array, dimensions: number, metric: Metric): Steps<Pairs> {
  const shared = dimensions <= mostSharedDimensions && (yield* areAllBytes(vectors)) && (yield* areAllBytes(queries))
  const isEuclidean = metric === 'euclidean'
  const columns = { vectors, dimensions }
  const rows = { vectors: queries, dimensions }
  const noTerms = (source: Source) => new Float64Array(source.vectors.length / dimensions)
  const columnTerms = isEuclidean ? yield* squaredNorms(columns) : noTerms(columns)
  return {
    rows,
    columns,
    rowTerms: isEuclidean && queries !== vectors ? yield* squaredNorms(rows) : columnTerms,
    columnTerms,
    constant: metric === 'cosine' ? 1 : 0,
    scale: isEuclidean ? -2 : -1,
    panels: new Panels(blockRows, dimensions, shared)
  }
}

function* squaredNorms({ vectors, dimensions }: Source): Steps<Float64Array> {
  const norms = new Float64Array(vectors.length / dimensions)
  for (let row = 0, at = 0; row < norms.length; row++) {
    let sum = 0
    for (let c = 0; c < dimensions; c++) {
      const x = vectors[at++] as number
      sum += x * x
    }
    norms[row] = sum
    if (row % rowsOfStep === 0) yield 0
  }
  return norms
}

/** Compares a block of rows with all columns or, for a graph, with those from itself on, each pair for both. */
function* scanBlocks(pairs: Pairs, lists: NearestLists, firstRow: number, isGraph: boolean): Steps<void> {
  const { panels, rows, columns } = pairs
  const products = new Float64Array(blockRows * blockRows)
  const columnCount = pairs.columnTerms.length
  const blockOf = (first: number, all: number) => Math.min(blockRows, all - first)
  panels.setRows(rows, firstRow, blockOf(firstRow, lists.rows))
  for (let first = isGraph ? firstRow : 0; first < columnCount; first += blockRows) {
    panels.setColumns(columns, first, blockOf(first, columnCount))
    panels.multiply(blockOf(firstRow, lists.rows), blockOf(first, columnCount), products)
    select(pairs, lists, products, firstRow, first, isGraph)
    yield 1
  }
}

function select(
  { rowTerms, columnTerms, constant, scale }: Pairs,
  lists: NearestLists,
  products: Float64Array,
  firstRow: number,
  firstColumn: number,
  isGraph: boolean
): void {
  const endRow = Math.min(firstRow + blockRows, rowTerms.length)
  const endColumn = Math.min(firstColumn + blockRows, columnTerms.length)
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

/** The k nearest of each list by their distances in double precision, as by plain loops. */
function* rank(
  vectors: Float32Array,
  queries: Float32Array,
  dimensions: number,
  metric: Metric,
  k: number,
  lists: NearestLists
): Steps<Nearest> {
  const distance = distancesOf[metric]
  const ids = new Int32Array(lists.rows * k)
  const distances = new Float32Array(lists.rows * k)
  const ranked = new NearestLists(1, k)
  for (let row = 0; row < lists.rows; row++) {
    ranked.clear()
    for (let i = row * lists.capacity; i < (row + 1) * lists.capacity; i++) {
      const id = lists.ids[i] as number
      ranked.insert(0, distance(queries, row, vectors, id, dimensions), id)
    }
    ids.set(ranked.ids, row * k)
    distances.set(ranked.distances, row * k)
    if (row % rowsOfStep === 0) yield 0
  }
  return { ids, distances }
}
