/**
 * Which recall each of several indexes of the same vectors needs for a recall of their merged answer.
 *
 * What each index finds of the neighbors of vectors that its router was not trained on, it has learned (recall.ts). What
 * the merged answer finds depends besides on how often they miss the same neighbor. That is learned from rows of the
 * vectors themselves, and few of these are held out of the training of all indexes. So both are measured on the same rows:
 * the recall of each index by itself and that of the merged answer. A row that a router was trained on is found better in
 * both, that is further along the curve, not off it. What remains assumed: that indexes which find equally much miss the same
 * neighbors as often for rows that they know as for others. (Asked for .95 in this way, two indexes of SIFT with an
 * overtrained router find .955 for queries from elsewhere; by the recall asked for in place of the one measured, .914.)
 */
import type { JobOptions } from '../engines/engine.js'
import { eachRow } from '../rows.js'
import type { HeldOut } from './recall.js'

/** Entries that belong together, both rising to 1. */
export interface MergeCurve {
  /** Recall of each index by itself, on average. */
  single: readonly number[]
  /** Recall of the merged answer. */
  merged: readonly number[]
}

/** What an index is asked here, and the ids that it answers with: queries x k. */
interface Index {
  searchBatch(
    queries: Float32Array,
    options: Pick<JobOptions, 'threads' | 'signal'> & { k: number; recall: number }
  ): Promise<{ ids: Int32Array }>
}

/** Recalls that the indexes are asked for; denser where that of the merged answer is close to 1. */
const levels = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.99, 0.995, 0.999]

/** Learns the curve from rows of the indexes' own vectors. */
export async function learnMergedRecall(
  indexes: readonly Index[],
  asks: HeldOut,
  job: JobOptions
): Promise<MergeCurve> {
  const single: number[] = []
  const merged: number[] = []
  for (const recall of levels) {
    const finders = await countFinders(indexes, asks, recall, job)
    const some = finders.reduce((sum, count) => sum + Math.min(count, 1), 0)
    const all = finders.reduce((sum, count) => sum + count, 0)
    // More never finds less: what falls is noise.
    single.push(Math.max(single.at(-1) ?? 0, all / (indexes.length * finders.length)))
    merged.push(Math.max(merged.at(-1) ?? 0, some / finders.length))
    job.onProgress?.(merged.length, levels.length)
  }
  return { single: [...single, 1], merged: [...merged, 1] }
}

/** By how many of the indexes each true neighbor is found, where each is asked for a recall. */
async function countFinders(
  indexes: readonly Index[],
  { queries, truth, k }: HeldOut,
  recall: number,
  { threads, signal }: JobOptions
): Promise<Uint8Array> {
  const finders = new Uint8Array(truth.length)
  // The row itself is found, too.
  const width = k + 1
  for (const index of indexes) {
    const { ids } = await index.searchBatch(queries, { k: width, recall, threads, signal })
    await eachRow(truth.length / k, signal, (query) => {
      const found = new Set(ids.subarray(query * width, (query + 1) * width))
      for (let place = query * k; place < (query + 1) * k; place++)
        if (found.has(truth[place] as number)) finders[place] = (finders[place] as number) + 1
    })
  }
  return finders
}

/** What to ask each index for to reach a recall of the merged answer, between the curve's points in proportion. */
export function singleRecallFor({ single, merged }: MergeCurve, wanted: number): number {
  const above = merged.findIndex((one) => one >= wanted)
  const [to, high] = [merged[above], single[above]] as [number, number]
  if (above === 0) return high
  const [from, low] = [merged[above - 1], single[above - 1]] as [number, number]
  return low + ((wanted - from) / (to - from)) * (high - low)
}
