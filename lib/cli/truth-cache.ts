/** The true neighbors of queries, kept beside the base: finding them is the same long work in every comparison. */
import { createHash, type Hash } from 'node:crypto'
import { FileError } from '../errors.js'
import { type ExactSearchOptions, exactSearch, type Metric, readIds, writeIvecs } from '../index.js'
import { eachRow } from '../rows.js'

export interface TruthTask {
  vectors: Float32Array
  queries: Float32Array
  dimensions: number
  metric: Metric
  k: number
}

/** Hashed in one turn of the event loop: less than a millisecond. */
const sliceBytes = 1 << 18

/** The file beside `base` for this task: another base, other queries, metric or k have another name. */
async function truthPath(base: string, task: TruthTask, signal: AbortSignal | undefined): Promise<string> {
  const { vectors, queries, dimensions, metric, k } = task
  const hash = createHash('sha256').update(JSON.stringify({ dimensions, metric, k, rows: vectors.length / dimensions }))
  for (const values of [vectors, queries]) await addValues(hash, values, signal)
  return `${base}.truth-${hash.digest('hex').slice(0, 16)}.ivecs`
}

async function addValues(hash: Hash, values: Float32Array | Int32Array, signal: AbortSignal | undefined) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  await eachRow(Math.ceil(bytes.length / sliceBytes), signal, (slice) => {
    hash.update(bytes.subarray(slice * sliceBytes, (slice + 1) * sliceBytes))
  })
}

/** What the file holds, if it is whole and has not been altered. */
async function readTruth(path: string, task: TruthTask, signal: AbortSignal | undefined) {
  try {
    const { ids, columns } = await readIds(path, { signal })
    const known = (task.queries.length / task.dimensions) * task.k
    if (columns !== task.k || ids.length !== known + task.k) return undefined
    const truth = ids.subarray(0, known)
    const seal = await sealOf(truth, task.k, signal)
    return seal.every((number, i) => number === ids[known + i]) ? truth : undefined
  } catch (error) {
    if (error instanceof FileError) return undefined
    throw error
  }
}

/** Writes the truth as ivecs, a row a query, and one more row that tells damage: readers that know the number of queries
 * need not know of it. */
async function writeTruth(path: string, truth: Int32Array, k: number, signal: AbortSignal | undefined) {
  const sealed = new Int32Array(truth.length + k)
  sealed.set(truth)
  sealed.set(await sealOf(truth, k, signal), truth.length)
  await writeIvecs(path, sealed, k, { signal })
}

/** A checksum as k row numbers, which are 31 bits wide. */
async function sealOf(truth: Int32Array, k: number, signal: AbortSignal | undefined): Promise<Int32Array> {
  const hash = createHash('sha256')
  await addValues(hash, truth, signal)
  const digest = hash.digest()
  return Int32Array.from({ length: k }, (_, i) => digest.readInt32LE((4 * i) % digest.length) & 0x7fffffff)
}

/** The truth that was left beside the base, or else found now and left there; where that cannot be done, `note` is told. */
export async function keptTruth(
  base: string,
  task: TruthTask,
  run: Pick<ExactSearchOptions, 'engine' | 'device' | 'threads' | 'signal' | 'onProgress'>,
  note: (text: string) => void
): Promise<Int32Array> {
  const { engine, device, threads, signal, onProgress } = run
  const path = await truthPath(base, task, signal)
  const kept = await readTruth(path, task, signal)
  if (kept !== undefined) return kept
  const { vectors, queries, ...asked } = task
  const { ids } = await exactSearch(vectors, queries, { ...asked, engine, device, threads, signal, onProgress })
  try {
    await writeTruth(path, ids, task.k, signal)
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    note(`The true neighbors could not be kept for the next time: ${error.message}`)
  }
  return ids
}
