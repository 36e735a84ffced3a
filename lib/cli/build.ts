import { stat } from 'node:fs/promises'
import { type BuildOptions, NeuralLSH, type ReadVectorsOptions, readVectors } from '../index.js'
import { buildFlags } from './build-flags.js'
import { type Context, defineCommand, required } from './command.js'
import { apiOptions, baseFlags, formatFlag, outFlag, runFlags, type ValuesOf } from './flags.js'
import { printReport } from './report.js'
import { formatBytes, formatCount } from './text.js'

const flags = { ...baseFlags, ...formatFlag, ...outFlag('Where to write the index.'), ...buildFlags, ...runFlags }

/** Builds an index of the base with all options of the command. */
export function buildFromFile(values: Omit<ValuesOf<typeof flags>, 'out'>, context: Context) {
  const base = required(values.base, 'base', 'the file of the vectors to index')
  const { format, limit } = values
  return readAndBuild(base, { format, limit }, apiOptions(flags, values), context)
}

/** Reads the base and builds an index of it, showing progress. */
export async function readAndBuild(
  base: string,
  reading: ReadVectorsOptions,
  options: Record<string, unknown>,
  context: Context
) {
  const { signal } = context
  const { onProgress, follow } = context.progress()
  onProgress({ stage: 'read', done: 0, total: 1 })
  const { vectors, dimensions, words } = await follow(readVectors(base, { ...reading, signal }))
  const building = { ...options, dimensions, signal, onProgress } as BuildOptions
  return { index: await follow(NeuralLSH.build(vectors, building)), words }
}

/** Writes the index, says what it is and how it came to be, and closes it. */
export async function keep(index: NeuralLSH, words: string[] | undefined, out: string, context: Context) {
  try {
    await index.save(out, { signal: context.signal, words })
    const { size: bytes } = await stat(out)
    const { engine, size: n, dimensions, bins, report } = index
    const { stages, balance, edgeCut, bestEpoch, calibration } = report
    const summary = { engine, n, dimensions, bins, stages, balance, edgeCut, bestEpoch, calibration }
    context.printJson({ ...summary, index: out, bytes })
    context.print(
      `${out}: ${formatCount(n)} vectors of ${dimensions} numbers in ${formatCount(bins)} bins, ${formatBytes(bytes)}.`
    )
    printReport(index, context)
  } finally {
    index.close()
  }
}

export const buildCommand = defineCommand({
  name: 'build',
  summary: 'build an index of a file of vectors',
  usage: 'neural-lsh build --base FILE --out INDEX [options]',
  explanation: [
    'Finds the nearest neighbors of every vector, cuts the graph of neighbors into bins that are about equally large, and trains a small neural network (the router) that tells which bins a query should look into. The index file holds all of it, the vectors included.',
    'More bins make each search cheaper and the training longer. A cut that keeps neighbors together (--mode ecosocial) and a graph of more neighbors (--neighbors 50 --softLabels 50) cost build time and save search time.'
  ],
  examples: [
    { line: 'neural-lsh build --base vectors.fvecs --out vectors.nlsh', meaning: 'With the defaults.' },
    {
      line: 'neural-lsh build --base glove.txt.gz --metric cosine --bins 256 --out glove.nlsh',
      meaning: 'Word vectors, by the angle between them; the index knows the words.'
    },
    {
      line: 'neural-lsh build --base vectors.npy --out vectors.nlsh --json',
      meaning: 'Prints the times and the peak memory of the stages as JSON.'
    }
  ],
  flags,
  positionals: 0,
  async run(values, context) {
    const out = required(values.out, 'out', 'where to write the index')
    const { index, words } = await buildFromFile(values, context)
    await keep(index, words, out, context)
  }
})
