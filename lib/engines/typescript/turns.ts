/** Long computations as generators, which a caller may run at once (in a thread of its own) or in turns. */
import { nextTurn } from '../../turn.js'
import type { JobOptions } from '../engine.js'

/** A computation that stops for a moment now and then; what it yields is how much of its work it has done since. */
export type Steps<T> = Generator<number, T, void>

const longestTurn = 1 // milliseconds

/** Runs a computation on the event loop, which breathes after every millisecond. Rejects with the signal's reason once
 * it is aborted, and with what onProgress throws. */
export async function runInTurns<T>(steps: Steps<T>, total: number, { signal, onProgress }: JobOptions): Promise<T> {
  signal?.throwIfAborted()
  let done = 0
  let reported = 0
  const report = () => {
    if (done > reported) onProgress?.(Math.min(done, total), total)
    reported = done
  }
  let turn = performance.now()
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) {
      report()
      return step.value
    }
    done += step.value
    if (performance.now() - turn < longestTurn) continue
    report()
    await nextTurn()
    signal?.throwIfAborted()
    turn = performance.now()
  }
}
