/** Long computations as generators, which a caller may run at once (in a thread of its own) or in turns. */
import { nextTurn } from '../../turn.js'
import type { JobOptions } from '../engine.js'

/** A computation that stops for a moment now and then; what it yields is how much of its work it has done since. */
export type Steps<T> = Generator<number, T, void>

const longestTurn = 1 // milliseconds

/** How far a job has come. */
export class Progress {
  done = 0
  private reported = 0

  constructor(
    private readonly total: number,
    private readonly job: Pick<JobOptions, 'signal' | 'onProgress'>
  ) {}

  advance(work: number): void {
    this.done += work
  }

  /** Throws what onProgress throws. */
  report(): void {
    if (this.done > this.reported) this.job.onProgress?.(Math.min(this.done, this.total), this.total)
    this.reported = this.done
  }

  /** Runs a computation on the event loop, which breathes after every millisecond. Rejects with the signal's reason once
   * it is aborted, and with what onProgress throws. */
  async inTurns<T>(steps: Steps<T>): Promise<T> {
    const { signal } = this.job
    signal?.throwIfAborted()
    let turn = performance.now()
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) return step.value
      this.advance(step.value)
      if (performance.now() - turn < longestTurn) continue
      this.report()
      await nextTurn()
      signal?.throwIfAborted()
      turn = performance.now()
    }
  }
}

/** A whole job of one computation. */
export async function runInTurns<T>(steps: Steps<T>, total: number, job: JobOptions): Promise<T> {
  const progress = new Progress(total, job)
  const result = await progress.inTurns(steps)
  progress.report()
  return result
}

/** The same steps, which do not count as work. */
export function* uncounted<T>(steps: Steps<T>): Steps<T> {
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value
    yield 0
  }
}
