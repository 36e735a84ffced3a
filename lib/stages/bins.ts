import type { Bins } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { type RunOptions, resolveGroupIntoBins } from '../options.js'

/**
 * Groups rows by their bin: those of bin b are ids[offsets[b]] .. ids[offsets[b + 1] - 1], ascending.
 *
 * @param labels n labels in [0, bins).
 * @param bins number of bins, from 1; some may stay empty.
 * @throws ArgumentError when an argument is wrong or a label is out of range.
 */
export async function groupIntoBins(labels: Int32Array, bins: number, options: RunOptions = {}): Promise<Bins> {
  const { engine: choice, device, ...run } = resolveGroupIntoBins(labels, bins, options)
  const engine = await selectEngine(choice, device)
  return runJob(run, ({ stage }) => stage('bins', (job) => engine.groupIntoBins(labels, bins, undefined, job)))
}
