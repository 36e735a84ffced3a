import { parseArgs } from 'node:util'
import { closest } from '../checks/fields.js'
import { vectorFormats } from '../formats/read.js'
import { methodNames } from '../methods.js'

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {}

/** One option of a command. */
export interface Flag<T> {
  /** Stands for the value in the help, e.g. FILE; a switch takes none. */
  valueName?: string
  /** What it means and what holds without it. */
  meaning: string
  /** Where the value goes in the API's options, e.g. 'graph.neighbors'; this whole name is accepted, too, as is what
   * follows 'classifier.'. */
  path?: string
  /** Where the help lists it. */
  section?: Section
  /** How the help writes it, where that is not --name. */
  spelling?: string
  parse: (value: string, name: string) => T
}

export interface Section {
  heading: string
  /** What the options under this heading lie in: 'classifier'. */
  root: string
}

export type Flags = { readonly [name: string]: Flag<unknown> }

export type ValuesOf<F extends Flags> = { [K in keyof F]?: F[K] extends Flag<infer T> ? T : never }

export const text = (valueName: string, meaning: string, path?: string): Flag<string> => ({
  valueName,
  meaning,
  ...(path && { path }),
  parse: (value) => value
})

export const number = (valueName: string, meaning: string, path?: string): Flag<number> => ({
  valueName,
  meaning,
  ...(path && { path }),
  parse: parseNumber
})

export const choice = <T extends string>(names: readonly T[], meaning: string, valueName = 'NAME'): Flag<T> => ({
  valueName,
  meaning,
  parse(value, name) {
    const chosen = names.find((one) => one === value)
    if (chosen === undefined)
      throw new UsageError(`--${name} takes one of ${names.join(', ')}, not ${JSON.stringify(value)}`)
    return chosen
  }
})

export const numbers = (valueName: string, meaning: string, path?: string): Flag<number[]> => ({
  valueName,
  meaning,
  ...(path && { path }),
  parse: (value, name) => (value === '' ? [] : value.split(',').map((part) => parseNumber(part, name)))
})

/** A switch; --no-NAME turns it off. */
export const toggle = (meaning: string, path?: string): Flag<boolean> => ({
  meaning,
  ...(path && { path }),
  parse: (value) => value === 'true'
})

const words = (valueName: string, meaning: string, path?: string): Flag<string[]> => ({
  valueName,
  meaning,
  ...(path && { path }),
  parse: (value) => value.split(',').filter((word) => word !== '')
})

export function parseNumber(value: string, name: string): number {
  const parsed = Number(value)
  if (value.trim() === '' || Number.isNaN(parsed))
    throw new UsageError(`--${name} takes a number, not ${JSON.stringify(value)}`)
  return parsed
}

export const inSection = <F extends Flags>(section: Section, flags: F) =>
  Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, { ...flag, section }])) as F

export const commonFlags = {
  json: toggle('Print one JSON object instead of text, for machines.'),
  help: toggle('Show this help.')
}

export const runFlags = {
  engine: text(
    'NAME',
    'Who computes: auto, native, typescript (slow, needs no binary) or cuda (on an NVIDIA GPU, in part). Default: auto, native or else typescript.',
    'engine'
  ),
  device: number('N', 'The GPU of the engine cuda. Default: 0.', 'device'),
  threads: number('N', 'Threads to use. Default: 0, all cores.', 'threads')
}

export const formatFlag = {
  format: choice(
    vectorFormats,
    `What kind of file the vectors are in: ${vectorFormats.join(', ')}. Default: told from the name.`
  )
}

export const baseFlags = {
  base: text(
    'FILE',
    'The vectors to index: .fvecs, .bvecs, .ivecs, .npy, .idx (or -ubyte), or words with their vectors (.txt, .vec); each also .gz.'
  ),
  limit: number('ROWS', 'Take only the first ROWS of the base. Default: all.')
}

export const indexFlag = { index: text('FILE', 'An index file that `neural-lsh build` wrote.') }

export const outFlag = (meaning: string) => ({ out: text('FILE', meaning) })

export const queryFlags = {
  queries: text('FILE', 'The vectors to look for, in any of the formats of the base.'),
  limitQueries: number('ROWS', 'Take only the first ROWS of the queries. Default: all.')
}

const k = number('K', 'Neighbors to find for each query. Default: 10.', 'k')

export const searchFlags = {
  k,
  probes: number('T', 'Read the T most probable bins of each query.', 'probes'),
  mass: number('P', 'Read bins until their probabilities add up to P.', 'mass'),
  recall: number(
    'R',
    'Find the share R of the true neighbors. Default: 0.95, unless --probes or --mass is given.',
    'recall'
  )
}

export const radiusFlag = {
  radius: number(
    'D',
    "Find all within this distance instead of the K nearest: in the metric's own distance, which for euclidean is squared.",
    'radius'
  )
}

export const evaluateFlags = {
  truth: text(
    'FILE',
    'The true neighbors of each query, .ivecs, K columns or more. Default: found by comparing with all vectors.'
  ),
  k,
  probes: numbers(
    'T,T…',
    'Numbers of bins to measure. Default: 1,2,4,8 and so on to 32, unless --mass or --recall is given.',
    'probes'
  ),
  mass: numbers('P,P…', 'Probabilities to measure: bins are read until theirs add up to P.', 'mass'),
  recall: numbers('R,R…', 'Recalls to measure: what it takes to find that share of the true neighbors.', 'recall')
}

export const comparisonFlags = {
  methods: words(
    'NAME,NAME…',
    `Compare methods: ${methodNames.join(', ')}; cplsh is short for cross-polytope.`,
    'methods'
  ),
  report: text('FILE', 'Write the comparison as a page of pictures, one HTML file that needs no network.'),
  csv: text('FILE', 'Write the curves of the comparison as a table, a row for each point.')
}

export const wordFlag = { word: words('WORD,WORD…', 'Words whose neighbors to show.') }

export const withoutRoot = (path: string, root: string) =>
  path.startsWith(`${root}.`) ? path.slice(root.length + 1) : path

/** Reads the arguments of one command; throws UsageError. */
export function parseFlags<F extends Flags>(flags: F, args: readonly string[]) {
  const nameOf = new Map(
    Object.entries(flags).flatMap(([name, { path }]) =>
      [name, path ?? name, withoutRoot(path ?? name, 'classifier')].map((spelling) => [spelling, name] as const)
    )
  )
  const options = Object.fromEntries(
    Array.from(nameOf, ([spelling, name]) => [
      spelling,
      { type: flags[name]?.valueName ? ('string' as const) : ('boolean' as const) }
    ])
  )
  const parsed = guardUsage(nameOf, () =>
    parseArgs({ args: [...args], options, allowPositionals: true, allowNegative: true })
  )
  const values: Record<string, unknown> = {}
  for (const [spelling, value] of Object.entries(parsed.values)) {
    const name = nameOf.get(spelling) as string
    values[name] = flags[name]?.parse(String(value), name)
  }
  return { values: values as ValuesOf<F>, positionals: parsed.positionals }
}

function guardUsage<T>(names: Map<string, string>, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof TypeError) || !('code' in error)) throw error
    const unknown = error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? /'--?([^']+)'/.exec(error.message)?.[1] : undefined
    if (unknown === undefined) throw new UsageError(error.message)
    const meant = closest(unknown, [...names.keys()])
    throw new UsageError(`--${unknown} is not an option of this command${meant ? `; did you mean --${meant}?` : ''}`)
  }
}

/** The values that are options of the API, at their places: { neighbors: 5 } -> { graph: { neighbors: 5 } }. */
export function apiOptions(flags: Flags, values: { [name: string]: unknown }): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const [name, { path }] of Object.entries(flags)) {
    if (path === undefined || values[name] === undefined) continue
    place(options, path.split('.'), values[name])
  }
  return options
}

function place(options: Record<string, unknown>, [key = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    options[key] = value
    return
  }
  options[key] ??= {}
  place(options[key] as Record<string, unknown>, rest, value)
}
