/** What workers can do, by name. */
import { rankRows, scanBlocks } from '../exact-neighbors.js'
import { encodeRows, learnCodebooks } from '../four-bit-codes.js'
import { reassignRows } from '../kmeans.js'
import { answerQueries } from '../searcher.js'
import type { Task } from '../team.js'

/** What is given to a task has crossed the border to the worker as it was given to the team. */
export const tasks: ReadonlyMap<string, Task<unknown>> = new Map(
  [scanBlocks, rankRows, reassignRows, learnCodebooks, encodeRows, answerQueries].map((task) => [
    task.name,
    task as Task<unknown>
  ])
)
