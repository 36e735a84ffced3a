/** Runs a command line: options read, Ctrl-C heard, errors explained, exit codes. */
import { ArgumentError, NeuralLSHError } from '../errors.js'
import type { Command, Context } from './command.js'
import { commonFlags, parseFlags, UsageError } from './flags.js'
import { helpOf } from './help.js'
import { showProgress } from './progress.js'
import { formatSeconds } from './text.js'

export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 }

/** Runs `main` with the arguments of this process. */
export async function runProgram(main: (args: string[]) => Promise<number>): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    // `neural-lsh … | head` closes the pipe when it has seen enough: no failure of ours.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit(exitCodes.done)
    })
  }
  process.exitCode = await main(process.argv.slice(2))
}

/** Runs a command and returns its exit code. `title` is what people type to run it. */
export async function runCommand(title: string, command: Command, args: readonly string[]): Promise<number> {
  const interruption = new AbortController()
  // Only once: a second Ctrl-C ends the process at once, as it would without us.
  process.once('SIGINT', () => interruption.abort(new Error('stopped by Ctrl-C')))
  try {
    await execute(command, args, interruption.signal)
    return interruption.signal.aborted ? exitCodes.interrupted : exitCodes.done
  } catch (error) {
    if (interruption.signal.aborted) return complain(title, 'stopped', exitCodes.interrupted)
    return explain(title, command, error)
  }
}

export function say(text: string): number {
  process.stdout.write(`${text}\n`)
  return exitCodes.done
}

export function complain(title: string, text: string, code: number): number {
  process.stderr.write(`${title}: ${text}\n`)
  return code
}

async function execute(command: Command, args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseFlags({ ...command.flags, ...commonFlags }, args)
  const { json, help, ...options } = values
  if (help) return void say(helpOf(command))
  if (positionals.length > command.positionals) {
    throw new UsageError(`does not know what to do with ${JSON.stringify(positionals[command.positionals])}`)
  }
  await command.run(options, contextOf(json === true, signal, positionals))
}

function contextOf(json: boolean, signal: AbortSignal, positionals: string[]): Context {
  const line = (stage: string, seconds: number) => {
    if (!json) process.stderr.write(`${stage}: ${formatSeconds(seconds)}\n`)
  }
  return {
    signal,
    positionals,
    print: (text = '') => void (json || say(text)),
    printJson: (result) => void (json && say(JSON.stringify(result))),
    progress: (finished = line) => showProgress(process.stderr, finished)
  }
}

/** Says what went wrong. What the user can cure needs no stack; anything else is a bug, whose stack we want to see. */
function explain(title: string, command: Command, error: unknown): number {
  if (error instanceof UsageError || (error instanceof ArgumentError && isOption(command, error.argument))) {
    return complain(title, `${error.message}\n${title} --help explains the options.`, exitCodes.usage)
  }
  const known = error instanceof NeuralLSHError || (error instanceof Error && 'syscall' in error)
  return complain(title, known ? error.message : String((error as Error).stack ?? error), exitCodes.failed)
}

/** Whether the argument is an option of the command, part of one (classifier.layers[2]), or a group of several. */
function isOption(command: Command, argument: string): boolean {
  const isPart = (part: string, whole: string) =>
    part === whole || part.startsWith(`${whole}.`) || part.startsWith(`${whole}[`)
  return Object.entries(command.flags).some(
    ([name, { path = name }]) => argument === name || isPart(argument, path) || isPart(path, argument)
  )
}
