/** The engine that needs no binary: it opens, searches and builds every index. */
import type { Engine } from '../engine.js'
import { groupIntoBins } from './bins.js'
import { encodeFourBits } from './four-bit-codes.js'
import { kmeans } from './kmeans.js'
import { exactSearch, knnGraph } from './knn-graph.js'
import { openSearcher } from './open-searcher.js'
import { partition } from './partition.js'
import { projectionPartition } from './projection-partition.js'
import { similarityGraph } from './similarity-graph.js'
import { alone, type Pool } from './team.js'
import { assignToBins } from './training/assignment.js'
import { calibrateToNeighbors } from './training/neighbor-calibration.js'
import { trainClassifier } from './training/trainer.js'
import { areBytes, prepareVectors } from './vectors.js'

/** Long stages take threads from the pool. */
export function createTypescriptEngine(pool: Pool = alone): Engine {
  return {
    name: 'typescript',
    get description() {
      return `typescript (no native code, ${pool.threads === 1 ? '1 thread' : `${pool.threads} threads`})`
    },
    get hardwareThreads() {
      return pool.threads
    },
    prepareVectors,
    exactSearch: (vectors, queries, dimensions, metric, k, job) =>
      exactSearch(vectors, queries, dimensions, metric, k, job, pool),
    openSearcher: (state, job) => openSearcher(state, job, pool),
    knnGraph: (vectors, dimensions, metric, options, job) => knnGraph(vectors, dimensions, metric, options, job, pool),
    similarityGraph: (knn, job) => similarityGraph(knn, job, pool),
    partition: (graph, options, job) => partition(graph, options, job, pool),
    kmeans: (vectors, dimensions, options, job) => kmeans(vectors, dimensions, options, job, pool),
    projectionPartition: (vectors, dimensions, options, job) =>
      projectionPartition(vectors, dimensions, options, job, pool),
    encodeFourBits: (state, seed, job) => encodeFourBits(state, seed, job, pool),
    groupIntoBins,
    areBytes,
    trainClassifier: (request, job) => trainClassifier(request, job, pool),
    calibrateToNeighbors: (classifier, queries, neighborBins, job) =>
      calibrateToNeighbors(classifier, queries, neighborBins, job, pool),
    assignToBins: (classifier, vectors, largest, job) => assignToBins(classifier, vectors, largest, job, pool)
  }
}
