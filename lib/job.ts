/** Runs stages for a caller: tells their progress, stops them on the caller's signal or when its callback throws. */
import type { JobOptions } from './engines/engine.js'
import { asMemoryError } from './errors.js'
import type { Progress, StageName } from './option-types.js'
import type { Run } from './search-options.js'

/** Runs one named stage; its progress is reported from 0 to its total. */
export type StageRunner = <T>(name: StageName, work: (job: JobOptions) => Promise<T>) => Promise<T>

export interface JobControl {
  threads: number
  signal: AbortSignal
  onProgress: (progress: Progress) => void
  stage: StageRunner
}

/**
 * Runs `body`. Rejects with the reason of the caller's signal once it is aborted, or with what its onProgress threw;
 * the running stage is cancelled first, and nothing is left on the caller's signal.
 */
export async function runJob<T>(
  { threads, signal, onProgress }: Run,
  body: (control: JobControl) => Promise<T>
): Promise<T> {
  signal?.throwIfAborted()
  const controller = new AbortController()
  const abort = () => controller.abort(signal?.reason)

  function report(progress: Progress) {
    if (controller.signal.aborted) return
    try {
      onProgress?.(progress)
    } catch (error) {
      controller.abort(error)
    }
  }

  async function stage<V>(name: StageName, work: (job: JobOptions) => Promise<V>): Promise<V> {
    let last = { stage: name, done: 0, total: 1 }
    let running = true
    // The engine's reports come from its own threads: one may arrive after the stage, or a later one before it.
    const advance = (done: number, total: number) => {
      if (!running || done <= last.done) return
      last = { stage: name, done, total }
      report(last)
    }
    report(last)
    controller.signal.throwIfAborted()
    try {
      const result = await work({ threads, signal: controller.signal, onProgress: onProgress && advance })
      advance(last.total, last.total)
      return result
    } finally {
      running = false
    }
  }

  signal?.addEventListener('abort', abort, { once: true })
  try {
    const result = await body({ threads, signal: controller.signal, onProgress: report, stage })
    controller.signal.throwIfAborted()
    return result
  } catch (error) {
    throw asMemoryError(error)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
