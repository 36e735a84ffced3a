/** Stable codes of the errors that this package throws. */
export type ErrorCode =
  | 'ERR_NLSH_ARGUMENT'
  | 'ERR_NLSH_FILE'
  | 'ERR_NLSH_CLOSED'
  | 'ERR_NLSH_ENGINE'
  | 'ERR_NLSH_TRAINING'
  | 'ERR_NLSH_PARTITION'
  | 'ERR_NLSH_MEMORY'

/** Every error of this package is one of these; `code` says which kind, `message` what is wrong and what would be right. */
export class NeuralLSHError extends Error {
  override name = 'NeuralLSHError'
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions
  ) {
    super(message, options)
  }
}

/** An argument or option is wrong; `argument` is its name as the caller wrote it, e.g. `graph.neighbors`. */
export class ArgumentError extends NeuralLSHError {
  override name = 'ArgumentError'
  constructor(
    readonly argument: string,
    message: string,
    options?: ErrorOptions
  ) {
    super('ERR_NLSH_ARGUMENT', `${argument}: ${message}`, options)
  }
}

/** A file is not what it should be; `path` names it and `row` (from 0), where one row is to blame, the row. */
export class FileError extends NeuralLSHError {
  override name = 'FileError'
  constructor(
    readonly path: string,
    message: string,
    readonly row?: number,
    options?: ErrorOptions
  ) {
    super('ERR_NLSH_FILE', `${path}${row === undefined ? '' : `, row ${row}`}: ${message}`, options)
  }
}

/** V8 throws a RangeError where an array finds no memory; everything else comes back as it is. */
export function asMemoryError(error: unknown): unknown {
  if (!(error instanceof RangeError && /allocation failed/i.test(error.message))) return error
  return new NeuralLSHError('ERR_NLSH_MEMORY', 'not enough memory for the result or a copy of the vectors', {
    cause: error
  })
}

/** The index was closed. */
export class ClosedError extends NeuralLSHError {
  override name = 'ClosedError'
  constructor() {
    super('ERR_NLSH_CLOSED', 'this index is closed: open the file again, or build it again')
  }
}

/** No engine can do this here; the message says why and how to cure it. */
export class EngineError extends NeuralLSHError {
  override name = 'EngineError'
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_NLSH_ENGINE', message, options)
  }
}

/** The device that an engine computes on is lost, out of memory (isFull) or fails: another engine may answer in its place. */
export class DeviceError extends EngineError {
  constructor(
    message: string,
    readonly isFull: boolean,
    options?: ErrorOptions
  ) {
    super(message, options)
  }
}
