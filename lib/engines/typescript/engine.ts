/** The engine that needs no binary: it opens and searches every index. */
import { EngineError } from '../../errors.js'
import type { Engine, JobOptions, SearchState } from '../engine.js'
import { exactSearch } from './exact-search.js'
import { TypescriptSearcher } from './searcher.js'
import { checkState } from './state-checks.js'
import { preparedRows } from './vectors.js'

/** Takes hold of a checked state. Rejects with ArgumentError, or the signal's reason. */
export async function openSearcher(state: SearchState, { signal }: JobOptions): Promise<TypescriptSearcher> {
  await checkState(state, signal)
  return new TypescriptSearcher(state)
}

async function cannotBuild(): Promise<never> {
  throw new EngineError(
    "the engine 'typescript' opens and searches indexes, but does not build them yet: build with the engine 'native', here or " +
      'on another machine, save the index, and open the file'
  )
}

export function createTypescriptEngine(): Engine {
  return {
    name: 'typescript',
    description: 'typescript (no native code, 1 thread; searches only)',
    hardwareThreads: 1,
    prepareVectors: preparedRows,
    exactSearch,
    openSearcher,
    knnGraph: cannotBuild,
    similarityGraph: cannotBuild,
    partition: cannotBuild,
    kmeans: cannotBuild,
    projectionPartition: cannotBuild,
    trainClassifier: cannotBuild,
    groupIntoBins: cannotBuild,
    calibrateToNeighbors: cannotBuild,
    assignToBins: cannotBuild,
    areBytes: cannotBuild,
    encodeFourBits: cannotBuild
  }
}
