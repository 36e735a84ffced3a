import { ArgumentError } from '../errors.js'
import type { CurvePoint } from '../evaluation/evaluate.js'
import { NeuralLSH, readIds, readVectors } from '../index.js'
import { buildFromFile } from './build.js'
import { buildFlags } from './build-flags.js'
import { type Context, defineCommand, required } from './command.js'
import { compareFiles } from './compare.js'
import {
  apiOptions,
  baseFlags,
  comparisonFlags,
  evaluateFlags,
  formatFlag,
  indexFlag,
  numbers,
  queryFlags,
  runFlags,
  UsageError,
  type ValuesOf
} from './flags.js'
import { printReport } from './report.js'
import { formatCount, formatPercent, formatShare, table } from './text.js'

const binsFlag = {
  bins: numbers('M,M…', `${buildFlags.bins.meaning} With --methods as many as you like.`, 'bins')
}
const flags = {
  ...baseFlags,
  ...formatFlag,
  ...indexFlag,
  ...queryFlags,
  ...evaluateFlags,
  ...comparisonFlags,
  ...buildFlags,
  ...binsFlag,
  ...runFlags
}
export type EvaluateValues = ValuesOf<typeof flags>

export const evaluateCommand = defineCommand({
  name: 'evaluate',
  summary: 'measure accuracy, candidates and speed against the exact answers',
  usage:
    'neural-lsh evaluate (--base FILE | --index INDEX) --queries FILE [options]\n       neural-lsh evaluate --base FILE --methods NAME,NAME… [--report FILE] [options]',
  explanation: [
    'Builds an index (--base), or opens one (--index), and asks it for the neighbors of the queries with each number of probed bins. For each it prints Acc@k, the share of the true k nearest that lie in the bins that were read; the recall of the result; the candidates, which are the vectors compared with a query (mean, median and 0.95-quantile); and the queries answered per second.',
    'The last line says what the router itself costs for one query, counted in distance computations: add it to the candidates when you compare with other methods.',
    'With --methods, builds an index by each of them with each number of --bins and compares: candidates that it takes for an accuracy, sizes of the bins, what building took, speed; in words, as a table, and with --report as a page of pictures. Without --queries some rows of the base are held out and asked for. The true neighbors are kept beside the base for the next time (FILE.truth-….ivecs).'
  ],
  examples: [
    {
      line: 'neural-lsh evaluate --base base.fvecs --queries queries.fvecs --bins 256 --probes 1,2,4,8',
      meaning: 'Builds an index and measures it; the true neighbors are found by comparing with every vector.'
    },
    {
      line: 'neural-lsh evaluate --index vectors.nlsh --queries q.fvecs --truth t.ivecs --mass 0.9,0.95 --json',
      meaning:
        'Measures an index file against known neighbors, reading bins until their probabilities add up; prints JSON.'
    },
    {
      line: 'neural-lsh evaluate --base base.fvecs --methods neural-lsh,kmeans --bins 16,64 --report page.html',
      meaning: 'Compares two methods, each with two numbers of bins, and writes a page that shows the comparison.'
    }
  ],
  flags,
  positionals: 0,
  async run(values, context) {
    if (values.methods !== undefined) return compareFiles(values, context)
    checkNoComparison(values)
    const queryPath = required(values.queries, 'queries', 'the file of the vectors to look for')
    const index = await subject(values, context)
    try {
      const { queries, truth } = await readQuestions(queryPath, index.dimensions, values, context)
      const { onProgress, follow } = context.progress()
      const { signal } = context
      const options = apiOptions({ ...evaluateFlags, threads: runFlags.threads }, values)
      const evaluation = await follow(index.evaluate(queries, { ...options, ...truth, signal, onProgress }))
      const { curve, routerDistances } = evaluation
      const { engine, size: n, dimensions, bins, report } = index
      const { stages, balance, edgeCut } = report
      context.printJson({ engine, n, dimensions, bins, curve, stages, balance, edgeCut, routerDistances })
      context.print(
        `${formatCount(evaluation.queries)} queries against ${formatCount(n)} vectors in ${formatCount(bins)} bins:\n`
      )
      context.print(curveTable(curve, evaluation.k, n))
      context.print(`\nThe router costs as much as ${formatCount(routerDistances)} distance computations a query.`)
      printReport(index, context)
    } finally {
      index.close()
    }
  }
})

async function subject(values: EvaluateValues, context: Context): Promise<NeuralLSH> {
  if ((values.base === undefined) === (values.index === undefined)) {
    throw new UsageError('give either --base, to build an index, or --index, to open one')
  }
  const { bins: [bins] = [], ...others } = values
  if (values.index === undefined)
    return (await buildFromFile({ ...others, ...(bins !== undefined && { bins }) }, context)).index
  const useless = Object.keys(buildFlags).find((name) => values[name as keyof typeof buildFlags] !== undefined)
  if (useless !== undefined) throw new UsageError(`--${useless} belongs to --base: the index is built already`)
  return NeuralLSH.open(values.index, { ...apiOptions(runFlags, values), signal: context.signal })
}

function checkNoComparison({ report, csv, bins = [] }: EvaluateValues): void {
  if (report !== undefined || csv !== undefined)
    throw new UsageError(`--${report === undefined ? 'csv' : 'report'} needs --methods: it shows a comparison`)
  if (bins.length > 1) throw new UsageError('several --bins need --methods: there is one index else')
}

/** The queries and, where they are known, their true neighbors. Truth files often cover only the first queries, and then
 * so do we. */
export async function readQuestions(
  path: string,
  dimensions: number,
  values: EvaluateValues,
  { signal, print }: Context
) {
  const {
    vectors,
    rows,
    dimensions: found
  } = await readVectors(path, { format: values.format, limit: values.limitQueries, signal })
  if (found !== dimensions)
    throw new ArgumentError(
      'queries',
      `the rows of ${path} must hold ${dimensions} numbers, as the index does, not ${found}`
    )
  if (values.truth === undefined) return { queries: vectors }
  const truth = await readIds(values.truth)
  const known = Math.min(rows, truth.rows)
  if (known < rows)
    print(`${values.truth} knows the neighbors of the first ${formatCount(known)} queries only: these are measured.`)
  return {
    queries: vectors.subarray(0, known * dimensions),
    truth: { truth: truth.ids.subarray(0, known * truth.columns) }
  }
}

/** One row for each point of the curve. */
export function curveTable(curve: readonly CurvePoint[], k: number, size: number): string {
  const titles = ['bins read', `Acc@${k}`, 'recall', 'candidates', 'of all', 'median', '0.95-quantile', 'queries/s']
  const rows = curve.map((point) => [
    nameOf(point),
    formatShare(point.accuracy),
    formatShare(point.recall),
    formatCount(point.candidatesMean),
    formatPercent(point.candidatesMean / size),
    formatCount(point.candidatesMedian),
    formatCount(point.candidatesQ95),
    formatCount(point.queriesPerSecond)
  ])
  return table(titles, rows)
}

function nameOf({ probes, mass, askedRecall }: CurvePoint): string {
  if (probes !== undefined) return String(probes)
  return mass === undefined ? `recall ${askedRecall}` : `mass ${mass}`
}
