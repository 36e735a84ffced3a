import type { Flags, ValuesOf } from './flags.js'
import { UsageError } from './flags.js'
import type { ProgressDisplay } from './progress.js'

/** What a command may use of the outside world. */
export interface Context {
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
  /** What is not an option: file names. */
  positionals: string[]
  /** Writes lines for people to standard output; nothing with --json. */
  print(text?: string): void
  /** Writes the result for machines to standard output; nothing without --json. */
  printJson(result: unknown): void
  /** Shows progress on standard error: bars on a terminal, a line for each finished stage elsewhere. */
  progress(finished?: (stage: string, seconds: number) => void): ProgressDisplay
}

export interface Command {
  name: string
  /** One line for the list of commands. */
  summary: string
  usage: string
  /** What it does and how to read what it prints; paragraphs. */
  explanation: string[]
  examples: { line: string; meaning: string }[]
  flags: Flags
  /** How many file names it takes without an option. */
  positionals: number
  run(values: { [name: string]: unknown }, context: Context): Promise<void>
}

/** Gives `run` the types of the values that its flags parse. */
export function defineCommand<F extends Flags>(
  command: Omit<Command, 'flags' | 'run'> & { flags: F; run(values: ValuesOf<F>, context: Context): Promise<void> }
): Command {
  return command
}

/** The value of an option that the command cannot do without. */
export function required<T>(value: T | undefined, name: string, purpose: string): T {
  if (value === undefined) throw new UsageError(`--${name} is missing: ${purpose}`)
  return value
}
