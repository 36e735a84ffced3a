/** The course's file of answers. */
import type { NeuralLSH } from '../../index.js'
import type { Neighbors, Questions, Watch } from './measures.js'

/** Queries whose vectors within the radius are looked for together. */
const queriesTogether = 64

export interface Summary {
  averageFactor: number
  recall: number
  queriesPerSecond: number
  approximateSeconds: number
  trueSeconds: number
}

export interface Answers {
  questions: Questions
  approximate: Neighbors
  truth: Neighbors
  summary: Summary
}

/** Where range searches look: Euclidean, not squared. */
export interface Range {
  radius: number
  probes: number
}

export function summaryLines(summary: Summary): string[] {
  return [
    `Average AF: ${summary.averageFactor}`,
    `Recall@N: ${summary.recall}`,
    `QPS: ${summary.queriesPerSecond}`,
    `tApproximateAverage: ${summary.approximateSeconds}`,
    `tTrueAverage: ${summary.trueSeconds}`
  ]
}

/** The file, query by query. `range`: without it, no range is searched. */
export async function* outputOf(
  index: NeuralLSH,
  answers: Answers,
  range: Range | undefined,
  { signal, onProgress }: Watch
): AsyncGenerator<Uint8Array> {
  const { queries, dimensions } = answers.questions
  const total = queries.length / dimensions
  yield encode(['METHOD NAME: Neural LSH'])
  for (let first = 0; first < total; first += queriesTogether) {
    onProgress({ stage: range ? 'range-search' : 'write', done: first, total })
    const block = queries.subarray(first * dimensions, (first + queriesTogether) * dimensions)
    const rowsWithin = range && (await findWithin(index, block, range, signal))
    for (let query = first; query < Math.min(total, first + queriesTogether); query++)
      yield encode([...neighborLines(answers, query), ...rangeLines(rowsWithin?.(query - first))])
  }
  yield encode(summaryLines(answers.summary))
}

const encode = (lines: string[]) => Buffer.from(`${lines.join('\n')}\n`)

/** For each of the queries the row numbers within the radius. */
async function findWithin(index: NeuralLSH, queries: Float32Array, { radius, probes }: Range, signal: AbortSignal) {
  const { offsets, ids } = await index.searchRadiusBatch(queries, { radius: radius ** 2, probes, signal })
  return (query: number) => ids.subarray(offsets[query], offsets[query + 1])
}

function neighborLines({ questions, approximate, truth }: Answers, query: number): string[] {
  const { count } = questions
  const places = Array.from({ length: count }, (_, rank) => query * count + rank)
  return [
    `Query: ${query}`,
    ...places.flatMap((place, rank) => [
      `Nearest neighbor-${rank + 1}: ${approximate.ids[place]}`,
      `distanceApproximate: ${approximate.distances[place]}`,
      `distanceTrue: ${truth.distances[place]}`
    ])
  ]
}

const rangeLines = (ids: Int32Array | undefined) => (ids ? ['R-near neighbors:', ...Array.from(ids, String)] : [])
