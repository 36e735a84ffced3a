import type { Progress } from '../options.js'
import { formatSeconds } from './text.js'

const barWidth = 30
const redrawMilliseconds = 100

export interface ProgressDisplay {
  onProgress(progress: Pick<Progress, 'done' | 'total'> & { stage: string }): void
  /** Waits for the work whose progress is shown; its last stage is over when it is. */
  follow<T>(work: Promise<T>): Promise<T>
}

/** Where progress goes: a bar when `stream` is a terminal, and `finished` once for every stage that is over. */
export function showProgress(
  stream: NodeJS.WriteStream,
  finished: (stage: string, seconds: number) => void
): ProgressDisplay {
  let stage: string | undefined
  let started = 0
  let drawn = 0

  const erase = () => stream.isTTY && stream.write('\r\x1b[K')
  function finish() {
    erase()
    if (stage !== undefined) finished(stage, (performance.now() - started) / 1000)
    stage = undefined
  }

  return {
    onProgress(progress) {
      const now = performance.now()
      if (progress.stage !== stage) {
        finish()
        stage = progress.stage
        started = now
        drawn = 0
      }
      if (!stream.isTTY || now - drawn < redrawMilliseconds) return
      drawn = now
      erase()
      stream.write(bar(progress, (now - started) / 1000))
    },
    async follow(work) {
      try {
        const result = await work
        finish()
        return result
      } finally {
        erase()
      }
    }
  }
}

function bar({ stage, done, total }: { stage: string; done: number; total: number }, seconds: number): string {
  const share = total > 0 ? done / total : 0
  const filled = Math.round(share * barWidth)
  const gauge = '█'.repeat(filled) + '░'.repeat(barWidth - filled)
  return `${stage.padEnd(16)} ${gauge} ${`${Math.floor(100 * share)} %`.padStart(5)}  ${formatSeconds(seconds)}`
}
