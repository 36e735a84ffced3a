/**
 * What a router is worth: for each way to make the bins, and for each router over them, what a query costs when it reads
 * one bin (that is nearly all routing), and how many candidates and microseconds it takes to find a share of the true 10
 * nearest neighbors of queries that the index has not seen. From this table the defaults are chosen.
 *
 *     npm run data -- glove sift && node bench/routers.mjs [sift-100k | glove-100k | mnist | sift-1m ...]
 *
 * Searches run on one thread, one query a call, through searchSync; the median of five rounds.
 */
import { exactSearch, NeuralLSH } from 'neural-lsh'
import { printTable, readSet } from './data.mjs'

const k = 10
const rounds = 5
const recalls = [0.9, 0.95, 0.99]

const partitions = [
  { name: 'KaHIP', options: { partition: { method: 'kahip' }, assignment: 'partition' }, bins: [256, 1024] },
  { name: 'k-means', options: { partition: { method: 'kmeans' } }, bins: [256, 1024] }
]
const network = (hidden) => ({ graph: { neighbors: 50 }, classifier: { softLabels: 50, hidden } })
const routers = [
  { name: 'centroids', options: { router: 'centroids' }, needs: 'k-means' },
  { name: 'linear', options: network([]) },
  { name: 'one layer of 128', options: network([128]) },
  { name: 'one layer of 512', options: network([512]) },
  { name: 'two layers of 512', options: network([512, 512]) }
]
const scan = 'pq4'

/** { recall, candidates, microseconds } of searches that are asked so. */
function measure(index, queries, truth, options) {
  const found = []
  const times = []
  let candidates = 0
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now()
    for (const [i, query] of queries.entries()) {
      const result = index.searchSync(query, { k, ...options })
      if (round > 0) continue
      candidates += result.candidates / queries.length
      const right = new Set(truth.subarray(i * k, (i + 1) * k))
      for (const id of result.ids) if (right.has(id)) found.push(id)
    }
    if (round > 0) times.push(((performance.now() - start) * 1000) / queries.length)
  }
  const microseconds = times.sort((a, b) => a - b)[rounds >> 1]
  return { recall: found.length / truth.length, candidates, microseconds }
}

async function compare(set) {
  const { vectors, dimensions, queries } = await readSet(set)
  const metric = set.startsWith('glove') ? 'cosine' : 'euclidean'
  const { ids: truth } = await exactSearch(vectors, queries, { dimensions, metric, k })
  const rows = Array.from({ length: queries.length / dimensions }, (_, i) =>
    queries.slice(i * dimensions, (i + 1) * dimensions)
  )
  const lines = []
  for (const partition of partitions) {
    for (const bins of partition.bins) {
      for (const router of routers) {
        if (router.needs !== undefined && router.needs !== partition.name) continue
        const start = performance.now()
        const options = { dimensions, metric, bins, scan, ...partition.options, ...router.options }
        const index = await NeuralLSH.build(vectors.slice(), options)
        const seconds = (performance.now() - start) / 1000
        const route = measure(index, rows, truth, { probes: 1 })
        const points = recalls.map((recall) => measure(index, rows, truth, { recall }))
        lines.push([
          `${partition.name}, m = ${bins}, ${router.name}`,
          seconds.toFixed(1),
          route.recall.toFixed(3),
          route.microseconds.toFixed(1),
          ...points.map(
            ({ recall, candidates, microseconds }) =>
              `${recall.toFixed(3)}: ${candidates.toFixed(0)}, ${microseconds.toFixed(1)}`
          )
        ])
        await index.close()
      }
    }
  }
  console.log(`\n${set}, scan ${scan}`)
  const asked = recalls.map((recall) => `recall ${recall}: candidates, us`)
  printTable(['', 'build s', 'Acc@10 of one bin', 'us', ...asked], lines)
}

for (const set of process.argv.slice(2).length > 0 ? process.argv.slice(2) : ['sift-100k', 'glove-100k'])
  await compare(set)
