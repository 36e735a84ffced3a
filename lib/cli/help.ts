import type { Command } from './command.js'
import { commonFlags, type Flag, type Flags } from './flags.js'
import { wrap } from './text.js'

const lineWidth = 100
const optionWidth = 30

/** The overview: what there is. */
export function overview(commands: readonly Command[], version: string): string {
  return [
    `neural-lsh ${version}: nearest neighbors with a learned partition of space`,
    '',
    'Usage: neural-lsh <command> [options]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`),
    '',
    'neural-lsh <command> --help explains a command; neural-lsh --version prints the version.',
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.'
  ].join('\n')
}

export function helpOf(command: Command): string {
  const explanation = command.explanation.flatMap((paragraph) => [wrap(paragraph, lineWidth, ''), ''])
  const examples = command.examples.flatMap(({ line, meaning }) => [
    `  ${line}`,
    `      ${wrap(meaning, lineWidth - 6, '      ')}`
  ])
  const options = Object.entries({ ...command.flags, ...commonFlags } as Flags).map(optionLine)
  return [`Usage: ${command.usage}`, '', ...explanation, 'Examples:', ...examples, '', 'Options:', ...options].join(
    '\n'
  )
}

function optionLine([name, { placeholder, meaning, path }]: [string, Flag<unknown>]): string {
  const head = `  --${name}${placeholder ? ` ${placeholder}` : ''}`
  const longName = path !== undefined && path !== name ? ` In the API: ${path}.` : ''
  const gap = head.length < optionWidth ? ' '.repeat(optionWidth - head.length) : `\n${' '.repeat(optionWidth)}`
  return head + gap + wrap(meaning + longName, lineWidth - optionWidth, ' '.repeat(optionWidth))
}
