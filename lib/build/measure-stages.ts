/** What each stage of a build takes. */
import type { JobOptions } from '../engines/engine.js'
import type { StageRunner } from '../job.js'
import type { StageName } from '../options.js'

/** What a stage of a build took. */
export interface StageReport {
  name: StageName
  seconds: number
  /** Most memory that the process (and the partitioner, which has its own) held while the stage ran, in bytes. */
  peakBytes: number
}

/** `otherBytes`: what a stage held outside this process. */
export type MeasuredStage = <T>(
  name: StageName,
  work: (job: JobOptions) => Promise<T>,
  otherBytes?: (result: T) => number
) => Promise<T>

/** Wraps `run` so that each stage leaves a report in `stages`. */
export function measureStages(run: StageRunner): { stages: StageReport[]; stage: MeasuredStage } {
  const stages: StageReport[] = []
  const stage: MeasuredStage = async (name, work, otherBytes = () => 0) => {
    const memory = sampleMemory()
    const start = performance.now()
    try {
      const result = await run(name, work)
      const seconds = (performance.now() - start) / 1000
      stages.push({ name, seconds, peakBytes: memory.peakBytes() + otherBytes(result) })
      return result
    } finally {
      memory.stop()
    }
  }
  return { stages, stage }
}

/** Looks at the resident memory of the process every 10 ms, without keeping the process alive. */
function sampleMemory() {
  let peak = 0
  const peakBytes = () => {
    peak = Math.max(peak, process.memoryUsage.rss())
    return peak
  }
  const timer = setInterval(peakBytes, 10).unref()
  peakBytes()
  return { peakBytes, stop: () => clearInterval(timer) }
}
