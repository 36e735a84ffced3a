#!/usr/bin/env node
import { closest } from '../checks/fields.js'
import { ArgumentError, NeuralLSHError } from '../errors.js'
import { packageVersion } from '../version.js'
import { buildCommand } from './build.js'
import type { Command, Context } from './command.js'
import { demoCommand } from './demo.js'
import { evaluateCommand } from './evaluate.js'
import { commonFlags, parseFlags, UsageError } from './flags.js'
import { helpOf, overview } from './help.js'
import { infoCommand } from './info.js'
import { showProgress } from './progress.js'
import { searchCommand } from './search.js'
import { formatSeconds } from './text.js'

const commands = [buildCommand, searchCommand, evaluateCommand, infoCommand, demoCommand]
const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 }

/** Runs one command line and returns its exit code. */
async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--version') return say(packageVersion())
  if (name === undefined || name === '--help' || name === 'help') return say(overview(commands, packageVersion()))
  const command = commands.find((one) => one.name === name)
  if (command === undefined) return complainAboutCommand(name)
  const interruption = new AbortController()
  // Only once: a second Ctrl-C ends the process at once, as it would without us.
  process.once('SIGINT', () => interruption.abort(new Error('stopped by Ctrl-C')))
  try {
    await execute(command, args, interruption.signal)
    return interruption.signal.aborted ? exitCodes.interrupted : exitCodes.done
  } catch (error) {
    if (interruption.signal.aborted) return complain(command, 'stopped', exitCodes.interrupted)
    return explain(command, error)
  }
}

async function execute(command: Command, args: string[], signal: AbortSignal): Promise<void> {
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

function say(text: string): number {
  process.stdout.write(`${text}\n`)
  return exitCodes.done
}

function complain(command: Command, text: string, code: number): number {
  process.stderr.write(`neural-lsh ${command.name}: ${text}\n`)
  return code
}

function complainAboutCommand(name: string): number {
  const meant = closest(
    name,
    commands.map((command) => command.name)
  )
  const names = commands.map((command) => command.name).join(', ')
  const help = meant ? `did you mean ${meant}?` : `there are ${names}`
  process.stderr.write(`neural-lsh: ${JSON.stringify(name)} is not a command; ${help}\n`)
  return exitCodes.usage
}

/** Says what went wrong. What the user can cure needs no stack; anything else is a bug, whose stack we want to see. */
function explain(command: Command, error: unknown): number {
  if (error instanceof UsageError || (error instanceof ArgumentError && isOption(command, error.argument))) {
    return complain(
      command,
      `${error.message}\nneural-lsh ${command.name} --help explains the options.`,
      exitCodes.usage
    )
  }
  const known = error instanceof NeuralLSHError || (error instanceof Error && 'syscall' in error)
  return complain(command, known ? error.message : String((error as Error).stack ?? error), exitCodes.failed)
}

/** Whether the argument is an option of the command, part of one (classifier.layers[2]), or a group of several. */
function isOption(command: Command, argument: string): boolean {
  const isPart = (part: string, whole: string) =>
    part === whole || part.startsWith(`${whole}.`) || part.startsWith(`${whole}[`)
  return Object.entries(command.flags).some(
    ([name, { path = name }]) => argument === name || isPart(argument, path) || isPart(path, argument)
  )
}

for (const stream of [process.stdout, process.stderr]) {
  // `neural-lsh … | head` closes the pipe when it has seen enough: no failure of ours.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(exitCodes.done)
  })
}

process.exitCode = await main(process.argv.slice(2))
