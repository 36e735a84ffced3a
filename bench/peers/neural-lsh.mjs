/**
 * Our own index: its configurations as data, and, when started, a runner (runner.mjs) of one of them, which times each
 * query twice: through `searchSync` with a Float32Array, and in the engine's own loop (nativeNanoseconds). As
 * `neural-lsh.mjs rates <job>` it measures the other ways to ask, without being bound to one core.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { NeuralLSH } from 'neural-lsh'
import { selectEngine } from '../../dist/engines/select.js'
import { readIndexFile } from '../../dist/formats/index-file.js'
import { SearchArguments } from '../../dist/search-arguments.js'
import { readFloats, runSystem, timeBuild } from './runner.mjs'

/** Small bins where the partition and its router are cheap; the paper's 256 where they are not; none: as many as the
 * package makes by itself. */
const fineBins = { 'sift-100k': 1024, 'sift-1m': 4096, 'glove-100k': 1024, 'glove-all': 2048, mnist: 512 }
/** Half as many where codes of word vectors are scanned: each bin costs a query a fixed time, and memory, too. */
const codedBins = { ...fineBins, 'glove-100k': 512, 'glove-all': 1024 }
const graphBins = { 'sift-100k': 256, 'sift-1m': 256, 'glove-100k': 256, 'glove-all': 256, mnist: 256 }
const ownBins = {}

const masses = [
  0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998
]
const probes = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192]
const recalls = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998]
const allWays = () => [
  ...masses.map((mass) => ({ mass })),
  ...probes.map((count) => ({ probes: count })),
  ...recalls.map((recall) => ({ recall }))
]

const kmeans = { partition: { method: 'kmeans' } }
const centroids = { ...kmeans, router: 'centroids' }
/** Soft labels over 50 neighbors are what helps a router most. Three passes over a million are 30 over 100,000. */
const learned = (hidden, largest) => (set) => ({
  partition: { method: 'kmeans', largest },
  graph: { neighbors: 50 },
  classifier: { softLabels: 50, hidden, ...(set === 'sift-1m' && { epochs: 3 }) }
})
const [linear, network] = [learned([]), learned([128])]
const [balancedLinear, balancedNetwork] = [learned([], 1.05), learned([128], 1.05)]
const short = (set) => (set === 'sift-1m' ? { epochs: 3 } : {})
/** KaHIP's bins as it cuts them. */
const kahip = (set) => ({
  partition: { method: 'kahip' },
  graph: { neighbors: 10 },
  assignment: 'partition',
  classifier: { softLabels: 10, ...short(set) }
})
const defaults = () => ({})

const variants = [
  ['kmeans-centroids-exact', 'k-means, centroids, exact', fineBins, () => centroids, 'exact'],
  ['kmeans-centroids-int8', 'k-means, centroids, int8', codedBins, () => centroids, 'int8'],
  ['kmeans-centroids-pq4', 'k-means, centroids, pq4', codedBins, () => centroids, 'pq4'],
  ['kmeans-linear-int8', 'k-means, linear router, int8', codedBins, linear, 'int8'],
  ['kmeans-linear-pq4', 'k-means, linear router, pq4', codedBins, linear, 'pq4'],
  ['kmeans-network-int8', 'k-means, network, int8', codedBins, network, 'int8'],
  ['kmeans-network-pq4', 'k-means, network, pq4', codedBins, network, 'pq4'],
  ['balanced-linear-int8', 'balanced k-means, linear router, int8', codedBins, balancedLinear, 'int8'],
  ['balanced-linear-pq4', 'balanced k-means, linear router, pq4', codedBins, balancedLinear, 'pq4'],
  ['balanced-network-int8', 'balanced k-means, network, int8', codedBins, balancedNetwork, 'int8'],
  ['balanced-network-pq4', 'balanced k-means, network, pq4', codedBins, balancedNetwork, 'pq4'],
  ['default', 'the defaults', ownBins, defaults, 'auto'],
  ['kahip-network-int8', 'KaHIP, network, int8', graphBins, kahip, 'int8'],
  ['kahip-network-pq4', 'KaHIP, network, pq4', graphBins, kahip, 'pq4']
]

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** name; label; options of NeuralLSH.build for a set; options of searchSync that are tried. */
export const configurations = variants.map(([name, label, bins, options, scan]) => ({
  name: `neural-lsh-${name}`,
  label,
  version,
  build: (set) => ({ bins: bins[set], scan, ...options(set) }),
  search: allWays
}))

async function build(job) {
  const base = readFloats(job.base)
  const { dimensions, metric } = job
  let index
  const report = await timeBuild(async () => {
    index = await NeuralLSH.build(base, { dimensions, metric, ...job.build })
    const { stages, choices, balance } = index.report
    return { stages, choices, balance }
  })
  await index.save(job.index)
  return report
}

/** A function that gives the nanoseconds of each query in the engine's own loop on one thread, asked as searchSync asks. */
async function openNative(job) {
  const { state, description } = await readIndexFile(job.index, {})
  const shape = { size: state.bins.ids.length, dimensions: job.dimensions, bins: state.bins.offsets.length - 1 }
  const asks = new SearchArguments(shape, description.curve)
  const engine = await selectEngine('native')
  const searcher = await engine.openSearcher(state, { threads: 1 })
  const queries = readFloats(job.queries).subarray(0, job.count * job.dimensions)
  return async (search) => {
    const { request } = asks.forBatch(queries, { k: job.k, ...search })
    const { seconds } = await searcher.searchTimed(queries, request, { threads: 1 })
    return seconds.map((time) => time * 1e9)
  }
}

async function open(job) {
  const index = await NeuralLSH.open(job.index, { threads: 1 })
  let native
  return (search) => {
    const options = { k: job.k, ...search }
    return {
      search: (query) => index.searchSync(query, options),
      idsOf: ({ ids }) => ids,
      candidatesOf: ({ candidates }) => candidates,
      async timeNative() {
        if (native === undefined) {
          native = await openNative(job)
          await native(search)
        }
        return native(search)
      }
    }
  }
}

const rounds = 5
const inFlight = 32

/** Queries a second in several ways, by turns; the medians. */
async function measureRates(job) {
  const { dimensions, count, k } = job
  const numbers = readFloats(job.queries).subarray(0, count * dimensions)
  const queries = Array.from({ length: count }, (_, i) => numbers.slice(i * dimensions, (i + 1) * dimensions))
  const index = await NeuralLSH.open(job.index)
  const native = await openNative(job)
  const options = { k, ...job.search }
  const secondsOf = async (work) => {
    const start = performance.now()
    await work()
    return (performance.now() - start) / 1000
  }
  const ways = {
    native: async () => (await native(job.search)).reduce((sum, time) => sum + time, 0) / 1e9,
    searchSync: () =>
      secondsOf(() => {
        for (const query of queries) index.searchSync(query, options)
      }),
    search: () =>
      secondsOf(async () => {
        for (const query of queries) await index.search(query, options)
      }),
    searchInFlight: () =>
      secondsOf(async () => {
        let next = 0
        const worker = async () => {
          while (next < count) await index.search(queries[next++], options)
        }
        await Promise.all(Array.from({ length: inFlight }, worker))
      }),
    searchBatch1: () => secondsOf(() => index.searchBatch(numbers, { ...options, threads: 1 })),
    searchBatch2: () => secondsOf(() => index.searchBatch(numbers, { ...options, threads: 2 }))
  }
  const rates = Object.fromEntries(Object.keys(ways).map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      let [seconds, passes] = [0, 0]
      for (; seconds < 0.2; passes++) seconds += await run()
      // The first round warms up.
      if (round > 0) rates[name].push((passes * count) / seconds)
    }
  }
  return Object.fromEntries(
    Object.entries(rates).map(([name, values]) => [name, values.sort((a, b) => a - b)[rounds >> 1]])
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === 'rates') console.log(JSON.stringify(await measureRates(JSON.parse(process.argv[3]))))
  else await runSystem({ build, open })
}
