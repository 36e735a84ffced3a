/**
 * How fast bins are read: gigabytes a second of what each scan reads of a candidate, on one thread, with their share of what
 * the machine reads from memory and from the L2 cache (machine.mjs). One query a call, and a thousand, for which a bin is
 * read once: there the rate is of what is compared. What a query costs otherwise, its routing above all, drops out: the
 * times are differences between many bins and few.
 *
 *     npm run data -- glove sift && node bench/scan.mjs [sift-100k | glove-100k | glove-all | sift-1m ...]
 */
import { NeuralLSH } from 'neural-lsh'
import { printTable, readSet } from './data.mjs'
import { machine } from './machine.mjs'

const chosen = process.argv.slice(2)
const [k, few, many, passes] = [10, 4, 68, 7]
const bins = { 'sift-100k': 1024, 'glove-100k': 1024, 'glove-all': 2048, 'sift-1m': 4096 }

/** Bytes of a candidate: numbers of 32 bits; a byte each and a term of 32 bits; two bits each and two terms of a byte. */
const floatBytes = (dimensions) => 4 * dimensions
const byteBytes = (dimensions) => 4 * Math.ceil(dimensions / 4) + 4
const codeBytes = (dimensions) => dimensions / 4 + 2

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Of a pass over all queries: { nanoseconds, candidates } a query. */
function oneByOne(index, queries, dimensions, probes) {
  const rows = Array.from({ length: queries.length / dimensions }, (_, i) =>
    queries.subarray(i * dimensions, (i + 1) * dimensions)
  )
  return async () => {
    const start = performance.now()
    let candidates = 0
    for (const query of rows) candidates += index.searchSync(query, { k, probes }).candidates
    return { nanoseconds: ((performance.now() - start) * 1e6) / rows.length, candidates: candidates / rows.length }
  }
}

function together(index, queries, dimensions, probes) {
  const count = queries.length / dimensions
  return async () => {
    const start = performance.now()
    const { candidates } = await index.searchBatch(queries, { k, probes, threads: 1 })
    const nanoseconds = ((performance.now() - start) * 1e6) / count
    return { nanoseconds, candidates: candidates.reduce((sum, some) => sum + some, 0) / count }
  }
}

/** Candidates a nanosecond. */
async function rate(ask, index, queries, dimensions) {
  const asks = [few, many].map((probes) => ask(index, queries, dimensions, probes))
  const found = [[], []]
  for (let pass = 0; pass <= passes; pass++) {
    for (const [i, run] of asks.entries()) {
      const result = await run()
      if (pass > 0) found[i].push(result)
    }
  }
  const [[less], [more]] = found
  const [short, long] = found.map((results) => median(results.map(({ nanoseconds }) => nanoseconds)))
  return (more.candidates - less.candidates) / (long - short)
}

const { memoryGBs, l2GBs } = machine()
const [memory, cache] = [memoryGBs[0].gbs, l2GBs[0].gbs]
console.log(`One thread at best: ${memory} GB/s from memory, ${cache} GB/s from the L2 cache`)
const percent = (value, whole) => `${((100 * value) / whole).toFixed(0)} %`
const table = []
for (const set of chosen.length ? chosen : Object.keys(bins)) {
  const { vectors, dimensions, queries } = await readSet(set)
  const areBytes = set.startsWith('sift')
  const scans = { exact: areBytes ? byteBytes : floatBytes, ...(!areBytes && { int8: byteBytes }), pq4: codeBytes }
  for (const [scan, bytesOf] of Object.entries(scans)) {
    const metric = areBytes ? 'euclidean' : 'cosine'
    const partition = { method: 'kmeans' }
    const index = await NeuralLSH.build(vectors, {
      dimensions,
      metric,
      bins: bins[set],
      partition,
      router: 'centroids',
      scan
    })
    const megabytes = (index.size * bytesOf(dimensions)) / 1e6
    for (const [way, ask] of Object.entries({ 'one a call': oneByOne, 'a thousand': together })) {
      const gbs = bytesOf(dimensions) * (await rate(ask, index, queries, dimensions))
      table.push([set, scan, megabytes.toFixed(0), way, gbs.toFixed(1), percent(gbs, memory), percent(gbs, cache)])
    }
    await index.close()
  }
}
printTable(['', 'scan', 'MB', 'queries', 'GB/s', 'of memory', 'of L2'], table)
