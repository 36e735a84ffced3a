/** The sets as raw little-endian numbers, which a program in any language reads at once, and their exact answers. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exactSearch } from 'neural-lsh'
import { cacheFolder } from '../../scripts/peers-env.mjs'
import { readSet } from '../data.mjs'
import { readFloats, readIntegers } from './runner.mjs'

/** The sets and what "near" means in them; those with cosine are written with rows of unit length. */
export const metrics = {
  'sift-100k': 'euclidean',
  'sift-1m': 'euclidean',
  'glove-100k': 'cosine',
  'glove-all': 'cosine',
  mnist: 'euclidean'
}
export const k = 10

/** { set, metric, rows, dimensions, count, checksum, base, queries, truth }: the last three are paths. */
export async function prepareSet(set) {
  const folder = join(cacheFolder, 'data', set)
  const path = (name) => join(folder, name)
  const files = { base: path('base.f32'), queries: path('queries.f32') }
  const withPaths = (found) => ({ ...found, ...files, truth: path(`truth-${found.checksum}-${k}.i32`) })
  const description = path('set.json')
  if (existsSync(description)) return withPaths(JSON.parse(readFileSync(description, 'utf8')))

  mkdirSync(folder, { recursive: true })
  const metric = metrics[set]
  const { vectors, rows, dimensions, queries } = await readSet(set)
  if (metric === 'cosine') for (const numbers of [vectors, queries]) normalizeRows(numbers, dimensions)
  writeFileSync(files.base, vectors)
  writeFileSync(files.queries, queries)
  const checksum = createHash('sha256').update(bytesOf(vectors)).update(bytesOf(queries)).digest('hex').slice(0, 16)
  const { ids } = await exactSearch(vectors, queries, { dimensions, metric, k })
  const prepared = { set, metric, rows, dimensions, count: queries.length / dimensions, checksum }
  writeFileSync(withPaths(prepared).truth, ids)
  writeFileSync(description, JSON.stringify(prepared))
  return withPaths(prepared)
}

const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)

function normalizeRows(numbers, dimensions) {
  for (let start = 0; start < numbers.length; start += dimensions) {
    const row = numbers.subarray(start, start + dimensions)
    const length = Math.sqrt(row.reduce((sum, number) => sum + number * number, 0))
    for (let i = 0; i < dimensions; i++) row[i] /= length
  }
}

/**
 * A function that gives the recall@k of an answer to the first `count` queries: the share of the k nearest that is
 * among the ids, where any vector that is as near as the k-th is as good.
 */
export function recallOf(prepared, count) {
  const { dimensions, metric } = prepared
  const [base, queries] = [readFloats(prepared.base), readFloats(prepared.queries)]
  const truth = readIntegers(prepared.truth)
  const distance = (query, id) => {
    let sum = 0
    for (let i = 0; i < dimensions; i++) {
      const [a, b] = [queries[query * dimensions + i], base[id * dimensions + i]]
      sum += metric === 'cosine' ? -a * b : (a - b) ** 2
    }
    return sum
  }
  // Sums of whole numbers are exact; those of unit rows are not.
  const tolerance = metric === 'cosine' ? 1e-6 : 0
  const limits = Array.from({ length: count }, (_, query) => distance(query, truth[query * k + k - 1]) + tolerance)
  return (ids) => {
    let found = 0
    for (const [query, limit] of limits.entries()) {
      const answer = new Set(ids.slice(query * k, (query + 1) * k))
      for (const id of answer) if (id >= 0 && distance(query, id) <= limit) found++
    }
    return found / (count * k)
  }
}
