/** What the main thread and its workers tell each other. */
import { ArgumentError, EngineError, type ErrorCode, NeuralLSHError } from '../../../errors.js'

/** What all threads of a job see: the places in an Int32Array. */
export const shared = {
  /** The next part that nobody has begun. */
  next: 0,
  /** Not 0: to stop at once. */
  stopped: 1,
  /** Units of work that are done. */
  done: 2
} as const

/** To a worker: what to do. */
export interface Order {
  task: string
  given: unknown
  slot: number
  parts: number
  /** See `shared`. */
  control: Int32Array
}

/** From a worker: that it is ready for orders, has worked some more, or has done with its order. `result`: of the task, where
 * this worker did the last part. */
export type Answer =
  | { type: 'ready' }
  | { type: 'working' }
  | { type: 'finished'; result: unknown }
  | { type: 'failed'; part: number; failure: Failure }

/** An error as it crosses the border, where errors lose their class. */
export type Failure = { argument: string; text: string } | { code: ErrorCode; text: string } | { error: unknown }

export function failureOf(error: unknown): Failure {
  if (error instanceof ArgumentError)
    return { argument: error.argument, text: error.message.slice(`${error.argument}: `.length) }
  if (error instanceof NeuralLSHError) return { code: error.code, text: error.message }
  return { error: error instanceof Error ? error : String(error) }
}

/** Where memory ran out it stays a RangeError, which job.ts knows. */
export function errorOf(failure: Failure): Error {
  if ('argument' in failure) return new ArgumentError(failure.argument, failure.text)
  if ('code' in failure) return new NeuralLSHError(failure.code, failure.text)
  const { error } = failure
  return error instanceof RangeError ? error : threadError(error)
}

export function threadError(cause: unknown): EngineError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new EngineError(`a worker thread of the engine 'typescript' failed: ${why}; threads: 1 does without them`, {
    cause
  })
}
