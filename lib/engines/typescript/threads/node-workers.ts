/** The worker threads of Node.js. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { WorkerSource } from './pool.js'

export const nodeWorkers: WorkerSource = {
  cores: availableParallelism(),
  // In this form bundlers see which file has to come along.
  start: () => new Worker(new URL('./worker.js', import.meta.url))
}
