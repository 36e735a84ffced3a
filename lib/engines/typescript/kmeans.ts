/**
 * k-means: k-means++ (Arthur & Vassilvitskii, SODA 2007), Lloyd's iterations over a sample, in which a row looks for its
 * next centroid among those nearest to its last one, and in the end the exact nearest centroid of every row.
 */
import type { JobOptions, Kmeans } from '../engine.js'
import { assignWithinCapacity } from './bin-auction.js'
import { squaredDistance } from './distances.js'
import { exactNeighbors, type Nearest } from './knn-graph.js'
import { Random } from './random.js'
import { runInTurns, type Steps } from './turns.js'

const sampleRowsPerBin = 256
const closureSize = 64 // centroids that a row is compared with in an iteration
const boundedRounds = 3 // of bins with bounded sizes and their means
const rowsOfStep = 32

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
  job: JobOptions
): Promise<Kmeans> {
  return runInTurns(kmeansSteps(vectors, dimensions, options), options.iterations + 1, job)
}

/** A unit of work is an iteration. */
export function* kmeansSteps(
  vectors: Float32Array,
  dimensions: number,
  { bins, iterations, seed, largest }: KmeansOptions
): Steps<Kmeans> {
  const all = { vectors, dimensions, rows: vectors.length / dimensions }
  const random = new Random(seed)
  const centroids = yield* train(sample(all, bins * sampleRowsPerBin, random), bins, iterations, random)
  const labels = (yield* nearestCentroids(all, centroids, 1)).ids
  yield* fillEmptyBins(all, bins, centroids, labels)
  if (largest !== undefined) {
    const mean = all.rows / bins
    yield* boundBins(all, bins, Math.max(Math.ceil(mean), Math.floor(largest * mean + 1e-9)), centroids, labels)
  }
  const distances = yield* distancesToCentroids(all, centroids, labels)
  const meanSquaredError = distances.reduce((sum, distance) => sum + distance, 0) / all.rows
  const balance = sizesOf(labels, bins).reduce((most, size) => Math.max(most, size), 0) / (all.rows / bins)
  return { bins, labels, centroids, balance, meanSquaredError }
}

/** At most so many rows, in their order (Knuth's algorithm S). */
function sample(points: Points, count: number, random: Random): Points {
  if (points.rows <= count) return points
  const { vectors, dimensions, rows } = points
  const drawn = new Float32Array(count * dimensions)
  for (let row = 0, found = 0; found < count; row++) {
    if (random.below(rows - row) >= count - found) continue
    drawn.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), found * dimensions)
    found++
  }
  return { vectors: drawn, dimensions, rows: count }
}

function* train(points: Points, bins: number, iterations: number, random: Random): Steps<Float32Array<ArrayBuffer>> {
  const centroids = new Float32Array(bins * points.dimensions)
  const labels = yield* seedLabels(points, bins, centroids, random)
  for (let iteration = 0; ; iteration++) {
    yield* computeMeans(points, labels, centroids)
    if (iteration === iterations) break
    const changed = yield* reassign(points, bins, centroids, labels)
    yield* refillEmptyBins(points, bins, centroids, labels)
    yield 1
    if (changed === 0) break
  }
  return centroids
}

/** k-means++: the number of each row's nearest seed. The seeds are written to `centroids`; where there are fewer
 * different rows than bins, the last ones are the first row. */
function* seedLabels(points: Points, bins: number, centroids: Float32Array, random: Random): Steps<Int32Array> {
  const { vectors, dimensions, rows } = points
  const labels = new Int32Array(rows)
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
  return labels
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
function* reassign(points: Points, bins: number, centroids: Float32Array, labels: Int32Array): Steps<number> {
  const { vectors, dimensions, rows } = points
  const others = Math.min(closureSize, bins) - 1
  if (others === 0) return 0
  const near = yield* withoutProgress(exactNeighbors(centroids, centroids, dimensions, 'euclidean', others, true))
  let changed = 0
  for (let row = 0; row < rows; row++) {
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
    if (best !== own) changed++
    labels[row] = best
    if (row % rowsOfStep === 0) yield 0
  }
  return changed
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
function* fillEmptyBins(points: Points, bins: number, centroids: Float32Array, labels: Int32Array): Steps<void> {
  const { vectors, dimensions } = points
  for (let empty = emptyOf(sizesOf(labels, bins)); empty.length > 0; empty = emptyOf(sizesOf(labels, bins))) {
    const distances = yield* distancesToCentroids(points, centroids, labels)
    const rows = differentRows(points, distances, empty.length)
    if (rows.length === 0) return
    rows.forEach((row, i) => {
      const bin = empty[i] as number
      centroids.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), bin * dimensions)
    })
    labels.set((yield* nearestCentroids(points, centroids, 1)).ids)
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
function* boundBins(
  points: Points,
  bins: number,
  capacity: number,
  centroids: Float32Array<ArrayBuffer>,
  labels: Int32Array
): Steps<void> {
  const { vectors, dimensions } = points
  for (let round = 0; round < boundedRounds; round++) {
    const candidates = yield* nearestCentroids(points, centroids, Math.min(16, bins))
    labels.set(yield* assignWithinCapacity(vectors, centroids, dimensions, candidates, capacity))
    yield* refillEmptyBins(points, bins, centroids, labels)
    yield* computeMeans(points, labels, centroids)
  }
}

/** Of each row the `count` nearest centroids. */
function nearestCentroids({ vectors, dimensions }: Points, centroids: Float32Array, count: number): Steps<Nearest> {
  return withoutProgress(exactNeighbors(centroids, vectors, dimensions, 'euclidean', count, false))
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

/** What these steps do is not counted. */
function* withoutProgress<T>(steps: Steps<T>): Steps<T> {
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value
    yield 0
  }
}

function sizesOf(labels: Int32Array, bins: number): Int32Array {
  const sizes = new Int32Array(bins)
  for (const label of labels) sizes[label] = (sizes[label] as number) + 1
  return sizes
}

function emptyOf(sizes: Int32Array): number[] {
  return Array.from(sizes.keys()).filter((bin) => sizes[bin] === 0)
}
