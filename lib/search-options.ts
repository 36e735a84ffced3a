/** The options that all searches share, with their defaults and checks: what needs no engine and no Node.js. */
import { integer, isNumber, optional, type Resolved } from './checks/fields.js'
import type { Progress } from './option-types.js'

export const isMass = (value: unknown) => isNumber(value) && value > 0 && value <= 1

export const results = (rows: number) => integer(1, rows, Math.min(10, rows), 'the number of vectors')

export const searchRun = {
  threads: integer(0, 1024, 0),
  signal: optional<AbortSignal>('an AbortSignal', (value) => value instanceof AbortSignal),
  onProgress: optional<(progress: Progress) => void>('a function', (value) => typeof value === 'function')
}

/** How a long-running call is run, resolved. */
export type Run = Resolved<typeof searchRun>
