/** The engine that needs no binary: it opens and searches every index, and does the stages of a build that train nothing. */
import { EngineError } from '../../errors.js'
import type { Engine, JobOptions, SearchState } from '../engine.js'
import { groupIntoBins } from './bins.js'
import { encodeFourBits } from './four-bit-codes.js'
import { kmeans } from './kmeans.js'
import { exactSearch, knnGraph } from './knn-graph.js'
import { partition } from './partition.js'
import { projectionPartition } from './projection-partition.js'
import { TypescriptSearcher } from './searcher.js'
import { similarityGraph } from './similarity-graph.js'
import { checkState } from './state-checks.js'
import { alone, type Pool } from './team.js'
import { prepareVectors } from './vectors.js'

/** Takes hold of a checked state. Rejects with ArgumentError, or the signal's reason. */
export async function openSearcher(
  state: SearchState,
  { signal }: JobOptions,
  pool: Pool = alone
): Promise<TypescriptSearcher> {
  await checkState(state, signal)
  return new TypescriptSearcher(state, pool)
}

async function cannotBuild(): Promise<never> {
  throw new EngineError(
    "the engine 'typescript' opens and searches indexes, but does not train their routers yet: build with the engine " +
      "'native', here or on another machine, save the index, and open the file"
  )
}

/** Long stages take threads from the pool. */
export function createTypescriptEngine(pool: Pool = alone): Engine {
  return {
    name: 'typescript',
    get description() {
      return `typescript (no native code, ${pool.threads === 1 ? '1 thread' : `${pool.threads} threads`}; trains no router)`
    },
    get hardwareThreads() {
      return pool.threads
    },
    prepareVectors,
    exactSearch: (vectors, queries, dimensions, metric, k, job) =>
      exactSearch(vectors, queries, dimensions, metric, k, job, pool),
    openSearcher: (state, job) => openSearcher(state, job, pool),
    knnGraph: (vectors, dimensions, metric, options, job) => knnGraph(vectors, dimensions, metric, options, job, pool),
    similarityGraph,
    partition,
    kmeans: (vectors, dimensions, options, job) => kmeans(vectors, dimensions, options, job, pool),
    projectionPartition,
    encodeFourBits: (state, seed, job) => encodeFourBits(state, seed, job, pool),
    groupIntoBins,
    // What a build asks for first: it is to fail before the long stages, not after them.
    areBytes: cannotBuild,
    trainClassifier: cannotBuild,
    calibrateToNeighbors: cannotBuild,
    assignToBins: cannotBuild
  }
}
