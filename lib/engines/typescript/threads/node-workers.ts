/** The worker threads of Node.js. */
import { availableParallelism } from 'node:os'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import type { WorkerSource } from './pool.js'

/** Workers have the process's flags, but for one that says how a program on the command line is to be read: with it none
 * would start from a file. */
const options: WorkerOptions = process.execArgv.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {}

export const nodeWorkers: WorkerSource = {
  cores: availableParallelism(),
  // In this form bundlers see which file has to come along.
  start: () => new Worker(new URL('./worker.js', import.meta.url), options)
}
