/** Which partition suits the vectors: both are tried on a sample, as no rule of thumb tells. */
import type { BuiltIndex } from '../build.js'
import type { Choice } from '../choices.js'
import type { Engine, JobOptions } from '../engines/engine.js'
import type { IndexOptions } from '../options.js'
import { eachRow, gatherRows } from '../rows.js'
import { probingFor } from '../stages/recall.js'

type Tried = 'kahip' | 'kmeans'

/** Both make bins of bounded size. */
export const partitionAs = (partition: IndexOptions['partition'], method: Tried): IndexOptions['partition'] =>
  method === 'kmeans'
    ? { ...partition, method, largest: partition.largest ?? 1 + partition.imbalance }
    : { ...partition, method }

/** Vectors that are tried; so many of them again are asked for. */
const mostVectors = 20_000
const fewestVectors = 2000
const askedShare = 0.05
/** A bin of the sample holds as many vectors as one of the index would, but there are as many bins as this. */
const fewestBins = 16
const mostEpochs = 5
const neighbors = 10
const goal = 0.95
const recalls = [0.8, 0.9, 0.94, 0.97, 0.99]

/** Builds an index of the sample: see buildIndex. */
type Build = (vectors: Float32Array, options: IndexOptions, job: JobOptions) => Promise<BuiltIndex>

const option = 'partition.method'

/** What is taken of few vectors without a trial; of many, nothing. */
export const withoutTrial = (rows: number): Choice<Tried> | undefined =>
  rows < fewestVectors
    ? { option, value: 'kahip', reason: `${rows} vectors are too few to compare partitions by.` }
    : undefined

/** `vectors` are prepared ones. */
export async function choosePartition(
  engine: Engine,
  vectors: Float32Array,
  options: IndexOptions,
  job: JobOptions,
  build: Build
): Promise<Choice<Tried>> {
  const { dimensions, metric, bins } = options
  const rows = vectors.length / dimensions
  const count = Math.min(rows, mostVectors)
  const asked = Math.floor(askedShare * count)
  const [base, queries] = await drawSample(vectors, dimensions, count, asked, job.signal)
  const truth = await engine.exactSearch(base, queries, dimensions, metric, neighbors, {
    ...job,
    onProgress: undefined
  })
  const tried = Math.min(bins, Math.max(fewestBins, Math.round((bins * count) / rows)))
  const candidates: Record<Tried, number> = { kahip: 0, kmeans: 0 }
  for (const [i, method] of (['kahip', 'kmeans'] as const).entries()) {
    job.onProgress?.(i, 2)
    const classifier = { ...options.classifier, epochs: Math.min(options.classifier.epochs, mostEpochs) }
    const graph = { ...options.graph, method: 'exact' as const }
    const partition = partitionAs(options.partition, method)
    const trial = { ...options, bins: tried, groups: 1, graph, partition, classifier, scan: 'exact' as const }
    const built = await build(base, trial, { ...job, onProgress: undefined })
    try {
      candidates[method] = await candidatesFor(built, queries, truth.ids, job)
    } finally {
      built.searcher.close()
    }
  }
  const value = candidates.kahip <= candidates.kmeans ? 'kahip' : 'kmeans'
  const [byKahip, byKmeans] = [candidates.kahip, candidates.kmeans].map((one) =>
    Math.round(one).toLocaleString('en-US')
  )
  const reason = `In ${tried} bins of ${base.length / dimensions} sampled vectors, 95 % of the neighbors took ${byKahip} candidates with KaHIP's bins and ${byKmeans} with those of balanced k-means.`
  return { option, value, reason }
}

/** `count` rows, evenly; of these every so manieth, `asked` in all, are queries. */
async function drawSample(
  vectors: Float32Array,
  dimensions: number,
  count: number,
  asked: number,
  signal: AbortSignal | undefined
) {
  const rows = vectors.length / dimensions
  const isAsked = (i: number) => Math.floor(((i + 1) * asked) / count) > Math.floor((i * asked) / count)
  const base = new Int32Array(count - asked)
  const queries = new Int32Array(asked)
  let [stored, questions] = [0, 0]
  await eachRow(count, signal, (i) => {
    const row = Math.floor((i * rows) / count)
    if (isAsked(i)) queries[questions++] = row
    else base[stored++] = row
  })
  return [
    await gatherRows(vectors, dimensions, base, signal),
    await gatherRows(vectors, dimensions, queries, signal)
  ] as const
}

/** Mean candidates at the goal, linear between the recalls that are asked for. */
async function candidatesFor(
  { searcher, curve }: BuiltIndex,
  queries: Float32Array,
  truth: Int32Array,
  job: JobOptions
) {
  let [before, last] = [
    { recall: 0, candidates: 0 },
    { recall: 0, candidates: 0 }
  ]
  for (const wanted of recalls) {
    const request = { k: neighbors, probing: probingFor(curve, wanted), reranked: 0 }
    const { ids, candidates } = await searcher.searchBatch(queries, request, { ...job, onProgress: undefined })
    let found = 0
    await eachRow(candidates.length, job.signal, (query) => {
      const returned = new Set(ids.subarray(query * neighbors, (query + 1) * neighbors))
      for (let place = query * neighbors; place < (query + 1) * neighbors; place++)
        if (returned.has(truth[place] as number)) found++
    })
    before = last
    last = {
      recall: found / truth.length,
      candidates: candidates.reduce((sum, one) => sum + one, 0) / candidates.length
    }
    if (last.recall >= goal) break
  }
  const rise = last.recall - before.recall
  if (rise <= 0) return last.candidates
  return before.candidates + ((last.candidates - before.candidates) * (goal - before.recall)) / rise
}
