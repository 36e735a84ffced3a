import { parseArgs } from 'node:util'
import { closest } from '../checks/fields.js'
import { vectorFormats } from '../formats/read.js'

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {}

/** One option of a command. */
export interface Flag<T> {
  /** Stands for the value in the help, e.g. FILE; a switch takes none. */
  placeholder?: string
  /** What it means and what holds without it. */
  meaning: string
  /** Where the value goes in the API's options, e.g. 'graph.neighbors'; this whole name is accepted, too. */
  path?: string
  parse: (value: string, name: string) => T
}

export type Flags = { readonly [name: string]: Flag<unknown> }

export type ValuesOf<F extends Flags> = { [K in keyof F]?: F[K] extends Flag<infer T> ? T : never }

const text = (placeholder: string, meaning: string, path?: string): Flag<string> => ({
  placeholder,
  meaning,
  ...(path && { path }),
  parse: (value) => value
})

const number = (placeholder: string, meaning: string, path?: string): Flag<number> => ({
  placeholder,
  meaning,
  ...(path && { path }),
  parse: parseNumber
})

const choice = <T extends string>(names: readonly T[], meaning: string): Flag<T> => ({
  placeholder: 'NAME',
  meaning,
  parse(value, name) {
    const chosen = names.find((one) => one === value)
    if (chosen === undefined)
      throw new UsageError(`--${name} takes one of ${names.join(', ')}, not ${JSON.stringify(value)}`)
    return chosen
  }
})

const numbers = (placeholder: string, meaning: string, path?: string): Flag<number[]> => ({
  placeholder,
  meaning,
  ...(path && { path }),
  parse: (value, name) => (value === '' ? [] : value.split(',').map((part) => parseNumber(part, name)))
})

const flag = (meaning: string): Flag<boolean> => ({ meaning, parse: () => true })

const words = (placeholder: string, meaning: string): Flag<string[]> => ({
  placeholder,
  meaning,
  parse: (value) => value.split(',').filter((word) => word !== '')
})

function parseNumber(value: string, name: string): number {
  const parsed = Number(value)
  if (value.trim() === '' || Number.isNaN(parsed))
    throw new UsageError(`--${name} takes a number, not ${JSON.stringify(value)}`)
  return parsed
}

export const commonFlags = {
  json: flag('Print one JSON object instead of text, for machines.'),
  help: flag('Show this help.')
}

export const runFlags = {
  engine: text('NAME', 'Who computes: auto or native. Default: auto, the first that works.', 'engine'),
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

/** Every option of NeuralLSH.build; `dimensions` comes from the file. */
export const buildFlags = {
  bins: number(
    'M',
    'Bins to partition into. Default: the power of two nearest to the square root of the rows.',
    'bins'
  ),
  metric: text('NAME', 'euclidean, cosine or inner-product. Default: euclidean.', 'metric'),
  neighbors: number(
    'K',
    'Nearest neighbors of each vector in the graph that is partitioned. Default: 10.',
    'graph.neighbors'
  ),
  'graph.method': text('NAME', 'How the graph is found: auto or exact. Default: auto.', 'graph.method'),
  mode: text(
    'NAME',
    'How hard KaHIP tries: fast, eco, strong, or fastsocial, ecosocial, strongsocial, which suit k-NN graphs. Default: fastsocial.',
    'partition.mode'
  ),
  imbalance: number('SHARE', 'How much larger than the mean a bin may be. Default: 0.03.', 'partition.imbalance'),
  'partition.method': text('NAME', 'Who partitions: kahip. Default: kahip.', 'partition.method'),
  hidden: numbers('WIDTHS', "Widths of the router's hidden layers, e.g. 512,512. Default: 512.", 'classifier.hidden'),
  epochs: number('N', 'Passes over the vectors in training. Default: 10.', 'classifier.epochs'),
  batchSize: number('N', 'Vectors in a mini-batch. Default: 512.', 'classifier.batchSize'),
  'optimizer.type': text('NAME', 'The optimizer: adam. Default: adam.', 'classifier.optimizer.type'),
  learningRate: number(
    'RATE',
    "The optimizer's first step; the steps fall to 0 along half a cosine. Default: 0.001.",
    'classifier.optimizer.learningRate'
  ),
  softLabels: number(
    'S',
    'Train on the bins of the S nearest neighbors, not only on the own bin; 0: on the own bin only. Default: 10.',
    'classifier.softLabels'
  ),
  validationFraction: number(
    'SHARE',
    'Share held out to measure the training. Default: 0.05.',
    'classifier.validationFraction'
  ),
  seed: number('N', 'The same seed, options, engine and threads give the same index. Default: 1.', 'seed')
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
  mass: number('P', 'Read bins until their probabilities add up to P. Default: 0.95, unless --probes is given.', 'mass')
}

export const evaluateFlags = {
  truth: text(
    'FILE',
    'The true neighbors of each query, .ivecs, K columns or more. Default: found by comparing with all vectors.'
  ),
  k,
  probes: numbers(
    'T,T…',
    'Numbers of bins to measure. Default: 1,2,4,8 and so on to 32, unless --mass is given.',
    'probes'
  ),
  mass: numbers('P,P…', 'Probabilities to measure: bins are read until theirs add up to P.', 'mass')
}

export const wordFlag = { word: words('WORD,WORD…', 'Words whose neighbors to show.') }

/** Reads the arguments of one command; throws UsageError. */
export function parseFlags<F extends Flags>(flags: F, args: readonly string[]) {
  const nameOf = new Map(
    Object.entries(flags).flatMap(([name, { path }]) =>
      [name, path ?? name].map((spelling) => [spelling, name] as const)
    )
  )
  const options = Object.fromEntries(
    Array.from(nameOf, ([spelling, name]) => [
      spelling,
      { type: flags[name]?.placeholder ? ('string' as const) : ('boolean' as const) }
    ])
  )
  const parsed = guardUsage(nameOf, () => parseArgs({ args: [...args], options, allowPositionals: true }))
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
