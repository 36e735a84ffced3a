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
import { prepareVectors } from './vectors.js'

/** Takes hold of a checked state. Rejects with ArgumentError, or the signal's reason. */
export async function openSearcher(state: SearchState, { signal }: JobOptions): Promise<TypescriptSearcher> {
  await checkState(state, signal)
  return new TypescriptSearcher(state)
}

async function cannotBuild(): Promise<never> {
  throw new EngineError(
    "the engine 'typescript' opens and searches indexes, but does not train their routers yet: build with the engine " +
      "'native', here or on another machine, save the index, and open the file"
  )
}

export function createTypescriptEngine(): Engine {
  return {
    name: 'typescript',
    description: 'typescript (no native code, 1 thread; trains no router)',
    hardwareThreads: 1,
    prepareVectors,
    exactSearch,
    openSearcher,
    knnGraph,
    similarityGraph,
    partition,
    kmeans,
    projectionPartition,
    encodeFourBits,
    groupIntoBins,
    // What a build asks for first: it is to fail before the long stages, not after them.
    areBytes: cannotBuild,
    trainClassifier: cannotBuild,
    calibrateToNeighbors: cannotBuild,
    assignToBins: cannotBuild
  }
}
