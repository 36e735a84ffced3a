/** What workers can do, by name. */
import { rankRows, scanBlocks } from '../exact-neighbors.js'
import { encodeRows, learnCodebooks } from '../four-bit-codes.js'
import { reassignRows } from '../kmeans.js'
import { applyNotes, compareGroups, drawSamples, fillLists, plantTrees } from '../nn-descent.js'
import { cutGraph } from '../partition.js'
import { project } from '../projection-partition.js'
import { answerQueries, findWithin, routeQueries } from '../searcher.js'
import { joinNeighbors } from '../similarity-graph.js'
import type { Task } from '../team.js'
import { chooseBins } from '../training/assignment.js'
import { fillCalibrationSet } from '../training/neighbor-calibration.js'
import { trainTogether } from '../training/trainer.js'

const all = [
  scanBlocks,
  rankRows,
  plantTrees,
  fillLists,
  drawSamples,
  compareGroups,
  applyNotes,
  joinNeighbors,
  cutGraph,
  project,
  reassignRows,
  learnCodebooks,
  encodeRows,
  trainTogether,
  fillCalibrationSet,
  chooseBins,
  answerQueries,
  findWithin,
  routeQueries
]

/** What is given to a task has crossed the border to the worker as it was given to the team. */
export const tasks: ReadonlyMap<string, Task<unknown, unknown>> = new Map(
  all.map((task) => [task.name, task as Task<unknown, unknown>])
)
