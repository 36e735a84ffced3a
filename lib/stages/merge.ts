/** One answer of the answers that several indexes of the same vectors give to the same query. */
import type { SearchBatchResult, SearchResult } from '../engines/engine.js'
import { eachRow } from '../rows.js'

type Ranking = Pick<SearchResult, 'ids' | 'distances'>

/** The k nearest of answers of k each, every vector once, ties by smaller id; candidates and probes add up. */
export function mergeAnswers(answers: readonly SearchResult[]): SearchResult {
  const k = answers[0]?.ids.length ?? 0
  const merged = { ids: new Int32Array(k), distances: new Float32Array(k) }
  mergeRow(answers, 0, k, merged)
  return { ...merged, candidates: total(answers, 'candidates'), probes: total(answers, 'probes') }
}

/** As `mergeAnswers`, for answers of k each to a batch of queries. */
export async function mergeBatches(
  answers: readonly SearchBatchResult[],
  k: number,
  signal: AbortSignal | undefined
): Promise<SearchBatchResult> {
  const queries = answers[0]?.candidates.length ?? 0
  const merged = {
    ids: new Int32Array(queries * k),
    distances: new Float32Array(queries * k),
    candidates: new Int32Array(queries),
    probes: new Int32Array(queries)
  }
  await eachRow(queries, signal, (query) => {
    mergeRow(answers, query * k, (query + 1) * k, merged)
    for (const name of ['candidates', 'probes'] as const)
      merged[name][query] = answers.reduce((sum, answer) => sum + (answer[name][query] as number), 0)
  })
  return merged
}

const total = (answers: readonly SearchResult[], name: 'candidates' | 'probes') =>
  answers.reduce((sum, answer) => sum + answer[name], 0)

/** Merges the entries from `begin` to `end` of each ranking into the same entries of `merged`. No ranking runs dry before
 * these are full: the ids in it are all different, and as many. */
function mergeRow(rankings: readonly Ranking[], begin: number, end: number, merged: Ranking): void {
  const next = rankings.map(() => begin)
  const taken = new Set<number>()
  for (let place = begin; place < end; ) {
    const from = nearest(rankings, next)
    const { ids, distances } = rankings[from] as Ranking
    const entry = next[from] as number
    next[from] = entry + 1
    const id = ids[entry] as number
    if (taken.has(id)) continue
    taken.add(id)
    merged.ids[place] = id
    merged.distances[place++] = distances[entry] as number
  }
}

/** The ranking whose next entry is nearest. */
function nearest(rankings: readonly Ranking[], next: readonly number[]): number {
  let best = 0
  let [bestDistance, bestId] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (const [i, { ids, distances }] of rankings.entries()) {
    const entry = next[i] as number
    const [distance, id] = [distances[entry] as number, ids[entry] as number]
    if (distance > bestDistance || (distance === bestDistance && id >= bestId)) continue
    best = i
    bestDistance = distance
    bestId = id
  }
  return best
}
