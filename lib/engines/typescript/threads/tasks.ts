/** What workers can do, by name. */
import { rankRows, scanBlocks } from '../exact-neighbors.js'
import { encodeRows, learnCodebooks } from '../four-bit-codes.js'
import { reassignRows } from '../kmeans.js'
import { answerQueries } from '../searcher.js'
import type { Task } from '../team.js'
import { trainTogether } from '../training/trainer.js'

/** What is given to a task has crossed the border to the worker as it was given to the team. */
export const tasks: ReadonlyMap<string, Task<unknown, unknown>> = new Map(
  [scanBlocks, rankRows, reassignRows, learnCodebooks, encodeRows, answerQueries, trainTogether].map((task) => [
    task.name,
    task as Task<unknown, unknown>
  ])
)
