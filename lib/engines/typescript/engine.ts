/** The engine that needs no binary: it opens and searches every index, and builds them by all methods but the projections. */
import { EngineError } from '../../errors.js'
import type { Engine } from '../engine.js'
import { groupIntoBins } from './bins.js'
import { kmeans } from './kmeans.js'
import { exactSearch, knnGraph } from './knn-graph.js'
import { openSearcher } from './open-searcher.js'
import { partition } from './partition.js'
import { similarityGraph } from './similarity-graph.js'
import { assignToBins } from './training/assignment.js'
import { calibrateToNeighbors } from './training/neighbor-calibration.js'
import { trainClassifier } from './training/trainer.js'
import { areBytes, prepareVectors } from './vectors.js'

async function cannotBuild(): Promise<never> {
  throw new EngineError(
    "the engine 'typescript' neither partitions by projections nor encodes for the scan 'pq4' yet: build with the engine " +
      "'native', here or on another machine, save the index, and open the file"
  )
}

export function createTypescriptEngine(): Engine {
  return {
    name: 'typescript',
    description: 'typescript (no native code, 1 thread)',
    hardwareThreads: 1,
    prepareVectors,
    exactSearch,
    openSearcher,
    knnGraph,
    similarityGraph,
    partition,
    kmeans,
    groupIntoBins,
    areBytes,
    trainClassifier,
    calibrateToNeighbors,
    assignToBins,
    projectionPartition: cannotBuild,
    encodeFourBits: cannotBuild
  }
}
