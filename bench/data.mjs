/** The benchmarks' data: what `npm run data` put into data/, or lies in the folder that NEURAL_LSH_DATA names. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readVectors } from 'neural-lsh'

export const wordsFile = fileURLToPath(new URL('../demo/words.txt.gz', import.meta.url))
const dataFolder = fileURLToPath(new URL('../data', import.meta.url))

/** Of the files of a set, the first that is there. */
export function findFile(set, ...names) {
  const folders = [join(dataFolder, set), process.env.NEURAL_LSH_DATA].filter(Boolean)
  const found = folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path))
  if (found === undefined)
    throw new Error(`${names.join(' or ')} not found in ${folders.join(' or ')}: run npm run data -- ${set}`)
  return found
}

export const mnistImages = () => findFile('mnist', 'train-images-idx3-ubyte')

const sizes = {
  mnist: ['mnist', 60_000],
  glove: ['glove', 100_000],
  'glove-100k': ['glove', 100_000],
  'glove-all': ['glove', Number.POSITIVE_INFINITY],
  sift: ['sift', 100_000],
  'sift-100k': ['sift', 100_000],
  'sift-1m': ['sift', 1_000_000]
}
const files = {
  mnist: () => [mnistImages(), findFile('mnist', 't10k-images-idx3-ubyte')],
  glove: () => [findFile('glove', 'base.fvecs'), findFile('glove', 'query.fvecs')],
  sift: () => [findFile('sift', 'sift1m_base.bvecs.gz'), findFile('sift', 'sift1m_query.bvecs.gz')]
}

/** The sets in the sizes that the reference figures were measured with, and 1,000 queries each. */
export async function readSet(name) {
  const [source, limit] = sizes[name]
  const [base, queries] = files[source]()
  const { vectors, dimensions, rows } = await readVectors(base, { limit })
  const { vectors: questions } = await readVectors(queries, { limit: 1000 })
  return { vectors, rows, dimensions, queries: questions }
}

/** Columns under their titles. */
export function printTable(titles, rows) {
  const lines = [titles, ...rows].map((line) => line.map(String))
  const widths = titles.map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  for (const line of lines)
    console.log(line.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '))
}
