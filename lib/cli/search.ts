import { ArgumentError } from '../errors.js'
import { NeuralLSH, type RadiusBatchResult, readVectors, type SearchBatchOptions, writeIvecs } from '../index.js'
import { type Context, defineCommand, required } from './command.js'
import {
  apiOptions,
  formatFlag,
  indexFlag,
  outFlag,
  queryFlags,
  radiusFlag,
  runFlags,
  searchFlags,
  UsageError,
  type ValuesOf,
  wordFlag
} from './flags.js'
import { formatCount, formatSeconds, table } from './text.js'
import { findWord, lookedAt, neighborsOfWord, unknownWord, wordsWithin } from './words.js'

const probingFlags = { ...searchFlags, ...radiusFlag }
const flags = {
  ...indexFlag,
  ...queryFlags,
  ...formatFlag,
  ...wordFlag,
  ...probingFlags,
  ...outFlag('Write the ids to this .ivecs file (one row a query) instead of printing them.'),
  ...runFlags
}
type Values = ValuesOf<typeof flags>

/** The k nearest, or all within the radius. */
type Asked = SearchBatchOptions & { radius?: number }

/** Query by query, as for a radius; `asked` is told to machines. */
type Found = Omit<RadiusBatchResult, 'offsets'> & { asked: object; offsets: ArrayLike<number> }

export const searchCommand = defineCommand({
  name: 'search',
  summary: 'ask an index for the nearest neighbors of queries or words',
  usage: 'neural-lsh search --index INDEX (--queries FILE | --word WORD,WORD…) [options]',
  explanation: [
    'Prints the ids (row numbers of the indexed file, from 0) and the distances of the nearest vectors, or their words where the index knows them. Distances are squared Euclidean, cosine (1 - cos) or negated inner products: smaller is nearer.',
    'The more bins are read, the more of the true neighbors are found and the longer it takes: --recall says which share of the true neighbors to find, --probes reads the same number of bins for every query, --mass more for the doubtful ones.'
  ],
  examples: [
    { line: 'neural-lsh search --index glove.nlsh --word piano,paris', meaning: 'The words nearest to these two.' },
    {
      line: 'neural-lsh search --index vectors.nlsh --queries queries.fvecs --k 10 --probes 4 --out found.ivecs',
      meaning: 'All queries at once, into a file.'
    },
    {
      line: 'neural-lsh search --index vectors.nlsh --queries queries.npy --recall 0.99 --json',
      meaning: 'As JSON, and thoroughly.'
    },
    {
      line: 'neural-lsh search --index vectors.nlsh --queries queries.fvecs --radius 40000 --probes 8',
      meaning: 'All vectors within the Euclidean distance 200 that are in the 8 most probable bins.'
    }
  ],
  flags,
  positionals: 0,
  async run(values, context) {
    const path = required(values.index, 'index', 'the index file to ask')
    if ((values.queries === undefined) === (values.word === undefined))
      throw new UsageError('give either --queries or --word')
    if (values.word !== undefined && values.out !== undefined) throw new UsageError('--out goes with --queries')
    checkRadius(values)
    const index = await NeuralLSH.open(path, { ...apiOptions(runFlags, values), signal: context.signal })
    try {
      await (values.word
        ? searchWords(index, path, values.word, values, context)
        : searchQueries(index, values, context))
    } finally {
      index.close()
    }
  }
})

function checkRadius({ radius, k, out }: Values): void {
  if (radius === undefined) return
  if (k !== undefined) throw new UsageError('give either --k or --radius')
  if (out !== undefined) throw new UsageError('--out goes with --k: the rows of an .ivecs file have one length')
}

async function searchWords(index: NeuralLSH, path: string, asked: string[], values: Values, context: Context) {
  const { words } = index
  if (words === undefined) throw new ArgumentError('word', `${path} knows no words: it was not built from word vectors`)
  const { radius, ...options }: Asked = apiOptions(probingFlags, values)
  const results = []
  for (const word of asked) {
    const row = findWord(words, word)
    if (row < 0) throw unknownWord(word, words.length)
    const known = [index, words, words[row] as string, index.vector(row)] as const
    results.push(
      await (radius === undefined ? neighborsOfWord(...known, options) : wordsWithin(...known, { ...options, radius }))
    )
  }
  context.printJson({ results })
  for (const { word, neighbors, candidates } of results) {
    const rows = neighbors.map((one) => [one.word, one.distance.toFixed(4)])
    context.print(`${table([word, 'distance'], rows)}\n  ${lookedAt(candidates, index.size)}\n`)
  }
}

async function searchQueries(index: NeuralLSH, values: Values, context: Context) {
  const { signal } = context
  const path = values.queries as string
  const { vectors, dimensions } = await readVectors(path, { format: values.format, limit: values.limitQueries, signal })
  if (dimensions !== index.dimensions) {
    throw new ArgumentError(
      'queries',
      `the rows of ${path} must hold ${index.dimensions} numbers, as the index does, not ${dimensions}`
    )
  }
  const { onProgress, follow } = context.progress()
  const { threads } = runFlags
  const options: Asked = { ...apiOptions({ ...probingFlags, threads }, values), signal, onProgress }
  const started = performance.now()
  const { asked, offsets, ids, distances, candidates, probes } = await follow(find(index, vectors, options))
  const seconds = (performance.now() - started) / 1000
  const results = Array.from(candidates, (compared, query) => ({
    ids: Array.from(ids.subarray(offsets[query], offsets[query + 1])),
    distances: Array.from(distances.subarray(offsets[query], offsets[query + 1])),
    candidates: compared,
    probes: probes[query] as number
  }))
  if (values.out === undefined) {
    context.printJson({ ...asked, results })
    for (const [query, result] of results.entries()) context.print(resultLine(query, result, index.words))
  } else {
    const k = ids.length / results.length
    await writeIvecs(values.out, ids, k, { signal })
    context.printJson({ ...asked, queries: results.length, out: values.out, seconds })
    context.print(`${values.out}: ${k} neighbors of ${formatCount(results.length)} queries.`)
  }
  const mean = candidates.reduce((sum, one) => sum + one, 0) / candidates.length
  context.print(
    `${formatCount(results.length)} queries in ${formatSeconds(seconds)}; on average ${lookedAt(mean, index.size)}.`
  )
}

async function find(index: NeuralLSH, queries: Float32Array, { k, radius, ...options }: Asked): Promise<Found> {
  if (radius !== undefined)
    return { asked: { radius }, ...(await index.searchRadiusBatch(queries, { ...options, radius })) }
  const { k: each, ...found } = await index.searchBatch(queries, { ...options, k })
  return {
    asked: { k: each },
    offsets: Array.from({ length: found.probes.length + 1 }, (_, query) => query * each),
    ...found
  }
}

/** `query 0: 17 (0.1250), 4 (0.2500)` */
function resultLine(
  query: number,
  { ids, distances }: { ids: number[]; distances: number[] },
  words: readonly string[] | undefined
): string {
  const found = ids.map((id, place) => `${words?.[id] ?? id} (${distances[place]?.toPrecision(5)})`)
  return `query ${query}: ${found.length > 0 ? found.join(', ') : 'none'}`
}
