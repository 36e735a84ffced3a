/**
 * k-means: k-means++ (Arthur & Vassilvitskii, SODA 2007), Lloyd's iterations over a sample, in which a row looks for its
 * next centroid among those nearest to its last one, and in the end the exact nearest centroid of every row.
 */
import type { JobOptions, Kmeans } from '../engine.js'
import { assignWithinCapacity } from './bin-auction.js'
import { squaredDistance } from './distances.js'
import { exactNeighbors, type Nearest } from './exact-neighbors.js'
import { Random } from './random.js'
import { alone, type Pool, type Task, type Team, withTeam } from './team.js'
import type { Steps } from './turns.js'

const sampleRowsPerBin = 256
const closureSize = 64 // centroids that a row is compared with in an iteration
const boundedRounds = 3 // of bins with bounded sizes and their means
const rowsOfStep = 32
const rowsOfPart = 1024

export interface KmeansOptions {
  bins: number
  iterations: number
  seed: number
  largest?: number | undefined
}

/** Vectors and what is known of them. */
interface Points {
  vectors: Float32Array
  dimensions: number
  rows: number
}

export function kmeans(
  vectors: Float32Array,
  dimensions: number,
  options: KmeansOptions,
  job: JobOptions,
  pool: Pool = alone
): Promise<Kmeans> {
  const { bins, iterations } = options
  const sampled = Math.min(vectors.length, bins * sampleRowsPerBin * dimensions)
  const multiplications = vectors.length * bins + iterations * sampled * Math.min(closureSize, bins)
  const work = { total: iterations + 1, multiplications }
  return withTeam(pool, job, work, (team) => cluster(team, vectors, dimensions, options))
}

/** A unit of work is an iteration. The vectors and the sample are in memory once more where several threads work. */
async function cluster(
  team: Team,
  given: Float32Array,
  dimensions: number,
  { bins, iterations, seed, largest }: KmeansOptions
): Promise<Kmeans> {
  const vectors = await team.share(given)
  const all = { vectors, dimensions, rows: vectors.length / dimensions }
  const random = new Random(seed)
  const sampled = await team.inTurns(sample(all, bins * sampleRowsPerBin, random))
  const points = { ...sampled, vectors: await team.share(sampled.vectors) }
  const centroids = await team.keep(await train(team, points, bins, iterations, random))
  const labels = (await nearestCentroids(team, all, centroids, 1)).ids
  await fillEmptyBins(team, all, bins, centroids, labels)
  if (largest !== undefined) {
    const mean = all.rows / bins
    await boundBins(team, all, bins, Math.max(Math.ceil(mean), Math.floor(largest * mean + 1e-9)), centroids, labels)
  }
  const distances = await team.inTurns(distancesToCentroids(all, centroids, labels))
  const meanSquaredError = distances.reduce((sum, distance) => sum + distance, 0) / all.rows
  const balance = sizesOf(labels, bins).reduce((most, size) => Math.max(most, size), 0) / (all.rows / bins)
  return { bins, labels, centroids, balance, meanSquaredError }
}

/** At most so many rows, in their order (Knuth's algorithm S). */
function* sample(points: Points, count: number, random: Random): Steps<Points> {
  if (points.rows <= count) return points
  const { vectors, dimensions, rows } = points
  const drawn = new Float32Array(count * dimensions)
  for (let row = 0, found = 0; found < count; row++) {
    if (row % rowsOfStep === 0) yield 0
    if (random.below(rows - row) >= count - found) continue
    drawn.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), found * dimensions)
    found++
  }
  return { vectors: drawn, dimensions, rows: count }
}

async function train(
  team: Team,
  points: Points,
  bins: number,
  iterations: number,
  random: Random
): Promise<Float32Array<ArrayBuffer>> {
  const centroids = team.room(Float32Array, bins * points.dimensions)
  const labels = team.zeros(Int32Array, points.rows)
  await team.inTurns(seedLabels(points, bins, centroids, labels, random))
  for (let iteration = 0; ; iteration++) {
    await team.inTurns(computeMeans(points, labels, centroids))
    if (iteration === iterations) break
    const changed = await reassign(team, points, bins, centroids, labels)
    await team.inTurns(refillEmptyBins(points, bins, centroids, labels))
    team.advance(1)
    if (changed === 0) break
  }
  return centroids
}

/** k-means++: each row's label is its nearest seed. The seeds are written to `centroids`; where there are fewer different
 * rows than bins, the last ones are the first row. */
function* seedLabels(
  points: Points,
  bins: number,
  centroids: Float32Array,
  labels: Int32Array,
  random: Random
): Steps<void> {
  const { vectors, dimensions, rows } = points
  const nearest = new Float64Array(rows).fill(Number.POSITIVE_INFINITY)
  for (let bin = 0; bin < bins; bin++) centroids.set(vectors.subarray(0, dimensions), bin * dimensions)
  let chosen = random.below(rows)
  for (let bin = 0; bin < bins; bin++) {
    centroids.set(vectors.subarray(chosen * dimensions, (chosen + 1) * dimensions), bin * dimensions)
    // A row is not nearer to the new seed than to its own one, if that is twice as far from the new one (Elkan, 2003).
    const between = Float64Array.from({ length: bin }, (_, other) =>
      squaredDistance(centroids, other, centroids, bin, dimensions)
    )
    let total = 0
    for (let row = 0; row < rows; row++) {
      const own = nearest[row] as number
      if (!((between[labels[row] as number] as number) >= 4 * own)) {
        const distance = squaredDistance(vectors, row, centroids, bin, dimensions)
        if (distance < own) {
          nearest[row] = distance
          labels[row] = bin
        }
      }
      total += nearest[row] as number
      if (row % rowsOfStep === 0) yield 0
    }
    if (!(total > 0)) break
    let rest = random.uniform() * total
    for (chosen = 0; chosen + 1 < rows; chosen++) {
      rest -= nearest[chosen] as number
      if (rest < 0) break
    }
  }
}

/** The mean of each bin's rows; that of an empty bin stays as it is. */
function* computeMeans(
  { vectors, dimensions, rows }: Points,
  labels: Int32Array,
  centroids: Float32Array
): Steps<void> {
  const sizes = sizesOf(labels, centroids.length / dimensions)
  const sums = new Float64Array(centroids.length)
  for (let row = 0; row < rows; row++) {
    const first = (labels[row] as number) * dimensions
    for (let c = 0; c < dimensions; c++) {
      sums[first + c] = (sums[first + c] as number) + (vectors[row * dimensions + c] as number)
    }
    if (row % rowsOfStep === 0) yield 0
  }
  sums.forEach((sum, i) => {
    const size = sizes[Math.floor(i / dimensions)] as number
    if (size > 0) centroids[i] = sum / size
  })
}

/** One step of Lloyd: each row's nearest centroid among those nearest to its last one, in whose order the search ends
 * where the triangle inequality rules out all others (Phillips, "Acceleration of k-means and related clustering
 * algorithms", ALENEX 2002: sort-means). Returns how many labels have changed. */
async function reassign(
  team: Team,
  points: Points,
  bins: number,
  centroids: Float32Array,
  labels: Int32Array
): Promise<number> {
  const others = Math.min(closureSize, bins) - 1
  if (others === 0) return 0
  const question = { vectors: centroids, queries: centroids, dimensions: points.dimensions, k: others }
  const near = await exactNeighbors(team.uncounted, { ...question, metric: 'euclidean', isGraph: true })
  const parts = Math.ceil(points.rows / rowsOfPart)
  const changed = team.zeros(Int32Array, parts)
  await team.run(reassignRows, { points, centroids, labels, near, changed }, parts)
  return changed.reduce((sum, count) => sum + count, 0)
}

interface Reassignment {
  points: Points
  centroids: Float32Array
  /** Each row's last centroid, and then its next one. */
  labels: Int32Array
  /** Of each centroid the nearest others. */
  near: Nearest
  /** In each part, how many labels have. */
  changed: Int32Array
}

export const reassignRows: Task<Reassignment> = {
  name: 'reassign-rows',
  begin({ points: { vectors, dimensions, rows }, centroids, labels, near, changed }) {
    const others = near.ids.length / (centroids.length / dimensions)
    /** A row's next centroid. */
    const next = (row: number) => {
      const own = labels[row] as number
      const farthest = 4 * squaredDistance(vectors, row, centroids, own, dimensions)
      let best = own
      let least = farthest / 4
      for (let i = own * others; i < (own + 1) * others && (near.distances[i] as number) < farthest; i++) {
        const bin = near.ids[i] as number
        const distance = squaredDistance(vectors, row, centroids, bin, dimensions)
        if (distance > least || (distance === least && bin > best)) continue
        least = distance
        best = bin
      }
      return best
    }
    return function* (part) {
      const end = Math.min(rows, (part + 1) * rowsOfPart)
      for (let row = part * rowsOfPart; row < end; row++) {
        const bin = next(row)
        if (bin !== labels[row]) changed[part] = (changed[part] as number) + 1
        labels[row] = bin
        if (row % rowsOfStep === 0) yield 0
      }
    }
  }
}

/** Empty bins get the rows that lie farthest from their centroids, each from a bin that keeps another. */
function* refillEmptyBins(points: Points, bins: number, centroids: Float32Array, labels: Int32Array): Steps<void> {
  const sizes = sizesOf(labels, bins)
  const empty = emptyOf(sizes)
  if (empty.length === 0) return
  const distances = yield* distancesToCentroids(points, centroids, labels)
  for (const row of farthestFirst(distances)) {
    const donor = labels[row] as number
    if (empty.length === 0 || distances[row] === 0) return
    if ((sizes[donor] as number) < 2) continue
    sizes[donor] = (sizes[donor] as number) - 1
    labels[row] = empty.shift() as number
  }
}

/** Moves the centroids of empty bins to the farthest rows until no bin is empty or every row is a centroid. A bin whose
 * centroid is a row of its own stays so, hence this ends. */
async function fillEmptyBins(
  team: Team,
  points: Points,
  bins: number,
  centroids: Float32Array,
  labels: Int32Array
): Promise<void> {
  const { vectors, dimensions } = points
  for (let empty = emptyOf(sizesOf(labels, bins)); empty.length > 0; empty = emptyOf(sizesOf(labels, bins))) {
    const distances = await team.inTurns(distancesToCentroids(points, centroids, labels))
    const rows = differentRows(points, distances, empty.length)
    if (rows.length === 0) return
    rows.forEach((row, i) => {
      const bin = empty[i] as number
      centroids.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), bin * dimensions)
    })
    labels.set((await nearestCentroids(team, points, centroids, 1)).ids)
  }
}

/** Up to `count` rows that differ from each other and from their centroids, the farthest first. */
function differentRows({ vectors, dimensions }: Points, distances: Float64Array, count: number): number[] {
  const chosen: number[] = []
  for (const row of farthestFirst(distances)) {
    if (chosen.length === count || distances[row] === 0) break
    const isNew = chosen.every((other) => squaredDistance(vectors, row, vectors, other, dimensions) > 0)
    if (isNew) chosen.push(row)
  }
  return chosen
}

function farthestFirst(distances: Float64Array): Int32Array {
  const order = Int32Array.from(distances.keys())
  return order.sort((a, b) => (distances[b] as number) - (distances[a] as number))
}

/** Bins of at most `capacity` rows, and their means. */
async function boundBins(
  team: Team,
  points: Points,
  bins: number,
  capacity: number,
  centroids: Float32Array<ArrayBuffer>,
  labels: Int32Array
): Promise<void> {
  const { vectors, dimensions } = points
  for (let round = 0; round < boundedRounds; round++) {
    const candidates = await nearestCentroids(team, points, centroids, Math.min(16, bins))
    labels.set(await team.inTurns(assignWithinCapacity(vectors, centroids, dimensions, candidates, capacity)))
    await team.inTurns(refillEmptyBins(points, bins, centroids, labels))
    await team.inTurns(computeMeans(points, labels, centroids))
  }
}

/** Of each row the `count` nearest centroids. */
function nearestCentroids(
  team: Team,
  { vectors, dimensions }: Points,
  centroids: Float32Array,
  k: number
): Promise<Nearest> {
  const question = { vectors: centroids, queries: vectors, dimensions, metric: 'euclidean', k, isGraph: false } as const
  return exactNeighbors(team.uncounted, question)
}

function* distancesToCentroids(
  { vectors, dimensions, rows }: Points,
  centroids: Float32Array,
  labels: Int32Array
): Steps<Float64Array> {
  const distances = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    distances[row] = squaredDistance(vectors, row, centroids, labels[row] as number, dimensions)
    if (row % rowsOfStep === 0) yield 0
  }
  return distances
}

function sizesOf(labels: Int32Array, bins: number): Int32Array {
  const sizes = new Int32Array(bins)
  for (const label of labels) sizes[label] = (sizes[label] as number) + 1
  return sizes
}

function emptyOf(sizes: Int32Array): number[] {
  return Array.from(sizes.keys()).filter((bin) => sizes[bin] === 0)
}
