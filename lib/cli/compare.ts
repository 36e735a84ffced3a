/** The comparing half of `neural-lsh evaluate`: reads files, has the methods compared, writes what came of it. */
import type { Comparison } from '../evaluation/comparison.js'
import { comparisonCsv } from '../evaluation/csv.js'
import { mapPoints } from '../evaluation/map.js'
import { wantedAccuracies } from '../evaluation/needed.js'
import { type CompareOptions, type ComparisonProgress, resolveComparison } from '../evaluation/options.js'
import { renderReport } from '../evaluation/report.js'
import { holdOutRows } from '../evaluation/sampling.js'
import { replaceFile } from '../formats/replace-file.js'
import { compareMethods, readVectors } from '../index.js'
import { titles } from '../methods.js'
import { seed } from '../options.js'
import { buildFlags } from './build-flags.js'
import { type Context, required } from './command.js'
import { type EvaluateValues, readQuestions } from './evaluate.js'
import { apiOptions, comparisonFlags, evaluateFlags, runFlags, UsageError } from './flags.js'
import { formatCount, table, wrap } from './text.js'
import { keptTruth } from './truth-cache.js'

/** Without a file of queries: so many rows of the base, but no more than this share of them. */
const heldOut = { rows: 1000, share: 0.1 }
const shortNames: { readonly [name: string]: string } = { cplsh: 'cross-polytope' }
const lineWidth = 100

/** What is said of one index only. */
const ofOneIndex = ['index', 'probes', 'mass', 'recall'] as const

export async function compareFiles(values: EvaluateValues, context: Context): Promise<void> {
  checkUsage(values)
  const base = required(values.base, 'base', 'the file of the vectors to index')
  const { signal } = context
  const { onProgress, follow } = context.progress()
  onProgress({ stage: 'read', done: 0, total: 1 })
  const data = await follow(readData(base, values, context))
  const { vectors, queries, dimensions } = data
  const options = { ...optionsOf(values), dimensions, signal }
  const { metric, k } = resolveComparison(vectors, queries, options)
  const task = { vectors, queries, dimensions, metric, k }
  const truth = data.truth ?? (await follow(keptTruth(base, task, { ...options, onProgress }, context.print)))
  const show = (progress: ComparisonProgress) => onProgress({ ...progress, stage: stageOf(progress) })
  const comparison = await follow(compareMethods(vectors, queries, { ...options, truth, onProgress: show }))
  if (values.report !== undefined) onProgress({ stage: 'map', done: 0, total: 1 })
  await follow(writeFiles(comparison, vectors, values, context))
  context.printJson(comparison)
  const source = values.queries === undefined ? 'rows of the base, held out as queries,' : 'queries'
  context.print(`${formatCount(comparison.queries)} ${source} against ${formatCount(comparison.rows)} vectors:\n`)
  printComparison(comparison, context)
}

function checkUsage(values: EvaluateValues): void {
  const useless = ofOneIndex.find((name) => values[name] !== undefined)
  if (useless !== undefined) throw new UsageError(`--${useless} cannot be given together with --methods`)
  if (values.truth !== undefined && values.queries === undefined)
    throw new UsageError('--truth belongs to --queries, whose neighbors it holds')
}

async function readData(base: string, values: EvaluateValues, context: Context) {
  const { format, limit } = values
  const { signal } = context
  const { vectors, dimensions, rows } = await readVectors(base, { format, limit, signal })
  if (values.queries !== undefined) {
    const { queries, truth } = await readQuestions(values.queries, dimensions, values, context)
    return { vectors, queries, dimensions, truth: truth?.truth }
  }
  const count = Math.min(heldOut.rows, Math.ceil(heldOut.share * rows))
  const drawn = { seed: seed.read(values.seed, 'seed'), signal }
  return { ...(await holdOutRows(vectors, dimensions, count, drawn)), dimensions, truth: undefined }
}

function optionsOf(values: EvaluateValues): Omit<CompareOptions, 'dimensions'> {
  const methods = values.methods?.map((name) => shortNames[name] ?? name)
  const flags = { ...buildFlags, ...runFlags, ...comparisonFlags, k: evaluateFlags.k }
  return apiOptions(flags, { ...values, methods }) as unknown as CompareOptions
}

const stageOf = ({ stage, method, bins }: ComparisonProgress) => (method ? `${method} ${bins}: ${stage}` : stage)

async function writeFiles(comparison: Comparison, vectors: Float32Array, values: EvaluateValues, context: Context) {
  const { signal, print } = context
  if (values.csv !== undefined) {
    await replaceFile(values.csv, encoded(comparisonCsv(comparison)), signal)
    print(`Curves: ${values.csv}`)
  }
  if (values.report !== undefined) {
    const { dimensions, metric, seed, sample: rows } = comparison
    const map = await mapPoints(vectors, { dimensions, metric, seed, rows, signal })
    await replaceFile(values.report, [Buffer.from(await renderReport(comparison, map))], signal)
    print(`Report: ${values.report}`)
  }
}

function* encoded(lines: Iterable<string>): Generator<Uint8Array> {
  for (const line of lines) yield Buffer.from(line)
}

function printComparison({ verdict, results, failures, k }: Comparison, { print }: Context): void {
  print(wrap(verdict, lineWidth, ''))
  for (const { method, bins, message } of failures)
    print(`\n${wrap(`${titles[method]} with ${bins} bins is left out: ${message}.`, lineWidth, '')}`)
  for (const { meaning, figure, ratio } of neededFigures) {
    print(`\n${meaning} for an Acc@${k}, beside k-means with as many bins and a fixed number of them read:\n`)
    const lines = results.flatMap(({ method, bins, curves, needed }) =>
      curves.map(({ probing }) => [
        titles[method],
        formatCount(bins),
        probing,
        ...wantedAccuracies.map((wanted) => {
          const found = needed.find((one) => one.probing === probing && one.accuracy === wanted)
          return found ? formatCount(found[figure]) + formatRatio(found[ratio]) : ''
        })
      ])
    )
    print(table(['method', 'bins', 'by', ...wantedAccuracies.map((wanted) => wanted.toFixed(2))], lines))
  }
}

const neededFigures = [
  { meaning: 'Candidates on average', figure: 'candidatesMean', ratio: 'meanToKmeans' },
  { meaning: "Candidates' 0.95-quantile", figure: 'candidatesQ95', ratio: 'q95ToKmeans' }
] as const

const formatRatio = (ratio: number | undefined) => (ratio === undefined ? '' : ` ×${ratio.toFixed(2)}`)
