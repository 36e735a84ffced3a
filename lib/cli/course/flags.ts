/** The options of the course's programs, which write some of them with one dash. */
import { largestId } from '../../checks/arrays.js'
import { isIntegerWithin } from '../../checks/fields.js'
import { readVectors, type VectorFormat } from '../../index.js'
import { choice, type Flag, parseNumber, text, UsageError } from '../flags.js'

/** The course's data: what its files are, and how far it looks in range searches. */
export const dataSets = {
  sift: { formatOf: (path: string): VectorFormat => (/\.bvecs(\.gz)?$/i.test(path) ? 'bvecs' : 'fvecs'), radius: 2800 },
  mnist: { formatOf: (): VectorFormat => 'idx', radius: 2000 }
}
export type DataSet = keyof typeof dataSets

const withOneDash = <T>(name: string, flag: Flag<T>): Flag<T> => ({ ...flag, spelling: `-${name}` })

export const fileFlag = (name: string, meaning: string) => withOneDash(name, text('FILE', meaning))

export const choiceFlag = <T extends string>(name: string, names: readonly T[], meaning: string) =>
  withOneDash(name, choice(names, meaning, names.join('|')))

interface IntegerRange {
  low: number
  high?: number
}

/** An integer; the API judges it further where it has a `path` there. */
export const integerFlag = (
  valueName: string,
  { low, high = largestId }: IntegerRange,
  meaning: string,
  path?: string
): Flag<number> => ({
  valueName,
  meaning,
  ...(path && { path }),
  parse(value, name) {
    const parsed = parseNumber(value, name)
    if (isIntegerWithin(low, high)(parsed)) return parsed
    throw new UsageError(`--${name} takes an integer from ${low} to ${high}, not ${JSON.stringify(value)}`)
  }
})

export const countFlag = (name: string, meaning: string, path: string) =>
  withOneDash(name, integerFlag('COUNT', { low: 1 }, meaning, path))

/** A distance of the course, not squared. */
export const distanceFlag = (name: string, meaning: string): Flag<number> =>
  withOneDash(name, {
    valueName: 'DISTANCE',
    meaning,
    parse(value) {
      const parsed = parseNumber(value, name)
      if (parsed >= 0 && Number.isFinite(parsed ** 2)) return parsed
      throw new UsageError(`--${name} takes a distance from 0, not ${JSON.stringify(value)}`)
    }
  })

export const typeFlag = choiceFlag(
  'type',
  Object.keys(dataSets) as DataSet[],
  'What the data are: sift (.fvecs or .bvecs) or mnist (idx, also -ubyte); each also .gz.'
)

/** `-type sift` as `--type sift`; what both spellings mean is the same. */
export const withTwoDashes = (args: readonly string[]) => args.map((arg) => (/^-[a-z]/i.test(arg) ? `-${arg}` : arg))

export const readData = (path: string, type: DataSet, signal: AbortSignal) =>
  readVectors(path, { format: dataSets[type].formatOf(path), signal })
