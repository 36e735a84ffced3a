/** Tables of options as data, and how they are read: nothing here knows any particular option. */
import { ArgumentError } from '../errors.js'

/** What a name in a table stands for: what is right, and what holds when nothing is said. */
export abstract class Entry<T> {
  /** `name` is the option as the caller wrote it. Throws ArgumentError. */
  abstract read(value: unknown, name: string): T
}

/** A single value: what is right, how that is told from what is wrong, and what holds when nothing is said. */
export class Field<T> extends Entry<T> {
  readonly #expected: string
  readonly #accepts: (value: unknown) => boolean
  readonly #fallback: T | undefined

  constructor(expected: string, accepts: (value: unknown) => boolean, fallback?: T) {
    super()
    this.#expected = expected
    this.#accepts = accepts
    this.#fallback = fallback
  }

  read(value: unknown, name: string): T {
    if (value === undefined && this.#fallback !== undefined) return this.#fallback
    if (value === undefined) throw new ArgumentError(name, `is required: ${this.#expected}`)
    if (!this.#accepts(value)) throw new ArgumentError(name, `must be ${this.#expected}, but is ${describe(value)}`)
    return (Array.isArray(value) ? Object.freeze([...value]) : value) as T
  }
}

/** What need not be said, and has no default. */
export class Optional<T> extends Entry<T | undefined> {
  readonly #entry: Entry<T>

  constructor(entry: Entry<T>) {
    super()
    this.#entry = entry
  }

  read(value: unknown, name: string): T | undefined {
    return value === undefined ? undefined : this.#entry.read(value, name)
  }
}

/** A table as an entry, for what wraps entries; inside a table it can stand by itself. */
export class Section<T extends Table> extends Entry<Resolved<T>> {
  readonly #table: T

  constructor(table: T) {
    super()
    this.#table = table
  }

  read(value: unknown, name: string): Resolved<T> {
    return read(this.#table, value, `${name}.`)
  }
}

/** Several kinds of a thing, each with a table of its own, told apart by their `type`. */
export class Variants<T extends Tables> extends Entry<ResolvedVariant<T>> {
  readonly #tables: T
  readonly #type: Field<string>

  /** `fallback`: the type where none is given; without it there must be one. */
  constructor(tables: T, fallback?: keyof T & string) {
    super()
    this.#tables = tables
    this.#type = oneOf(Object.keys(tables), fallback)
  }

  read(value: unknown, name: string): ResolvedVariant<T> {
    if (typeof value === 'string') {
      throw new ArgumentError(name, `must be an object such as { type: ${describe(value)} }, but is a string`)
    }
    const type = this.#type.read(asRecord(value, name).type, `${name}.type`)
    const table: Table = { type: this.#type, ...this.#tables[type] }
    return { ...read(table, value, `${name}.`, type), type } as ResolvedVariant<T>
  }
}

/** An array of at most `most` entries of one kind. */
export class List<T> extends Entry<readonly T[]> {
  readonly #entry: Entry<T>
  readonly #array: Field<readonly unknown[]>

  constructor(entry: Entry<T>, most: number) {
    super()
    this.#entry = entry
    this.#array = new Field<readonly unknown[]>(
      `an array of at most ${most} entries`,
      (value) => Array.isArray(value) && value.length <= most
    )
  }

  read(value: unknown, name: string): readonly T[] {
    return Object.freeze(this.#array.read(value, name).map((one, i) => this.#entry.read(one, `${name}[${i}]`)))
  }
}

export interface Table {
  readonly [name: string]: Entry<unknown> | Table
}

/** A table for each type. */
export interface Tables {
  readonly [type: string]: Table
}

export type Resolved<T extends Table> = {
  -readonly [K in keyof T]: T[K] extends Entry<infer V> ? V : T[K] extends Table ? Resolved<T[K]> : never
}

export type ResolvedVariant<T extends Tables> = { [K in keyof T]: { type: K } & Resolved<T[K]> }[keyof T]

export const isNumber = (value: unknown): value is number => typeof value === 'number'

export const isIntegerWithin = (low: number, high: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= low && (value as number) <= high

export const integer = (low: number, high: number, fallback?: number, why = '') =>
  new Field<number>(`an integer from ${low} to ${high}${why && ` (${why})`}`, isIntegerWithin(low, high), fallback)

export const real = (low: number, high: number, fallback?: number) =>
  new Field<number>(
    `a number from ${low} to ${high}`,
    (value) => isNumber(value) && value >= low && value <= high,
    fallback
  )

/** From 0 to below 1. */
export const share = (fallback: number) =>
  new Field<number>('a number from 0 to below 1', (value) => isNumber(value) && value >= 0 && value < 1, fallback)

export const isPositive = (value: unknown) => isNumber(value) && value > 0 && Number.isFinite(value)

export const positive = (fallback?: number) => new Field<number>('a finite number above 0', isPositive, fallback)

export const nonNegative = (fallback: number) =>
  new Field<number>('a finite number from 0', (value) => value === 0 || isPositive(value), fallback)

export const finite = (fallback: number) => new Field<number>('a finite number', Number.isFinite, fallback)

export const boolean = (fallback?: boolean) =>
  new Field<boolean>('true or false', (value) => typeof value === 'boolean', fallback)

export const oneOf = <T extends string>(names: readonly T[], fallback?: T) =>
  new Field<T>(names.map((name) => `'${name}'`).join(' or '), (value) => names.includes(value as T), fallback)

export const optional = <T>(expected: string, accepts: (value: unknown) => boolean) =>
  new Optional(new Field<T>(expected, accepts))

export const listOf = (expected: string, accepts: (value: unknown) => boolean) =>
  optional<readonly number[]>(expected, (value) => Array.isArray(value) && value.length > 0 && value.every(accepts))

/** Reads `values` by `table`: every option is there afterwards, and nothing else. `owner`: whose options they are. */
export function read<T extends Table>(table: T, values: unknown, prefix = '', owner = ''): Resolved<T> {
  const given = asRecord(values, prefix.slice(0, -1) || 'options')
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(table, key)) throw unknownOption(prefix, key, Object.keys(table), owner)
  }
  const entries = Object.entries(table).map(([key, entry]) => [
    key,
    entry instanceof Entry ? entry.read(given[key], prefix + key) : read(entry, given[key], `${prefix}${key}.`)
  ])
  return Object.fromEntries(entries) as Resolved<T>
}

export function asRecord(values: unknown, name: string): Record<string, unknown> {
  if (values === undefined) return {}
  if (typeof values !== 'object' || values === null || Array.isArray(values) || ArrayBuffer.isView(values)) {
    throw new ArgumentError(name, `must be an object, but is ${describe(values)}`)
  }
  return values as Record<string, unknown>
}

function unknownOption(prefix: string, key: string, known: string[], owner: string): ArgumentError {
  const meant = closest(key, known)
  const help = meant === undefined ? `there are ${known.join(', ')}` : `did you mean ${prefix}${meant}?`
  return new ArgumentError(prefix + key, `is not an option${owner && ` of ${owner}`}; ${help}`)
}

/** The name that `word` is most likely a misspelling of, if any: at most a third of its letters differ. */
export function closest(word: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => ({ name, distance: editDistance(word.toLowerCase(), name.toLowerCase()) }))
  const best = distances.sort((a, b) => a.distance - b.distance)[0]
  return best && best.distance <= Math.ceil(word.length / 3) ? best.name : undefined
}

/** Levenshtein's distance, one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 0; j < b.length; ++j) {
      const [diagonal, above, left] = [row[j], row[j + 1], next[j]] as [number, number, number]
      next.push(Math.min(above + 1, left + 1, diagonal + (letter === b[j] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] as number
}

/** A value in a few words, for messages. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (Array.isArray(value))
    return value.length > 8 ? `an array of ${value.length}` : `[${value.map(describeEntry).join(', ')}]`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) {
    const name: unknown = value.constructor?.name
    return name === undefined || name === 'Object' ? 'an object' : `of type ${String(name)}`
  }
  return typeof value === 'bigint' ? `${value}n` : String(value)
}

/** Not deeper: a hostile value may nest as deep as it likes. */
const describeEntry = (value: unknown) => (Array.isArray(value) ? `an array of ${value.length}` : describe(value))
