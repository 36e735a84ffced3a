import type { Command } from './command.js'
import { commonFlags, type Flag, type Flags, withoutRoot } from './flags.js'
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
  return [`Usage: ${command.usage}`, '', ...explanation, 'Examples:', ...examples, ...optionLines(command)].join('\n')
}

/** The options under their headings, in the order of these; those without one first. */
function optionLines(command: Command): string[] {
  const flags = Object.entries({ ...command.flags, ...commonFlags } as Flags)
  const titles = flags.map(([, { section }]) =>
    section ? `${section.heading} (in the API: ${section.root})` : 'Options'
  )
  return [...new Set(['Options', ...titles])].flatMap((title) => [
    '',
    `${title}:`,
    ...flags.filter((_, i) => titles[i] === title).map(optionLine)
  ])
}

function optionLine([name, flag]: [string, Flag<unknown>]): string {
  const { valueName, meaning, spelling = `--${name}` } = flag
  const head = `  ${spelling}${valueName ? ` ${valueName}` : ''}`
  const gap = head.length < optionWidth ? ' '.repeat(optionWidth - head.length) : `\n${' '.repeat(optionWidth)}`
  return head + gap + wrap(meaning + longName(name, flag), lineWidth - optionWidth, ' '.repeat(optionWidth))
}

/** What it is called in the API, where that does not follow from its own name and its heading. */
function longName(name: string, { path = name, section }: Flag<unknown>): string {
  const rest = section ? withoutRoot(path, section.root) : path
  return rest === name || path === `classifier.${name}` ? '' : ` In the API: ${rest}.`
}
