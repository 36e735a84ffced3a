/** The thread that draws maps (see map.ts): both projections take seconds. JavaScript, so that it runs where it lies. */
import { parentPort, workerData } from 'node:worker_threads'
import { PCA, TSNE } from '@saehrimnir/druidjs'

const perplexity = 30
const iterations = 500

const { vectors, dimensions, unitLength, seed } = workerData
const rows = Array.from({ length: vectors.length / dimensions }, (_, row) => {
  const values = Float64Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions))
  const length = unitLength ? Math.hypot(...values) : 1
  return values.map((value) => value / length)
})

/** A perplexity counts neighbors: a small sample has fewer. */
const neighbors = Math.max(1, Math.min(perplexity, Math.floor((rows.length - 1) / 3)))
/** Belkina et al. 2019: a step in proportion to the number of points. */
const epsilon = Math.max(10, rows.length / 12)

const pca = new PCA(rows, { d: 2, seed }).transform()
const tsne = new TSNE(rows, { d: 2, perplexity: neighbors, epsilon, seed }).transform(iterations)
const pairs = (points) => Array.from(points, ([x, y]) => [x, y])
parentPort.postMessage({ pca: pairs(pca), tsne: pairs(tsne) })
