/** Micro-benchmarks of the calls that services make, on the demo's word vectors: npm run bench */
import Benchmark from 'benchmark'
import { buildKnnGraph, NeuralLSH, readVectors } from 'neural-lsh'
import { wordsFile } from './data.mjs'

const { vectors, rows, dimensions } = await readVectors(wordsFile)
const index = await NeuralLSH.build(vectors, { dimensions, bins: 64, metric: 'cosine' })
console.log(`${rows} words, ${dimensions} dimensions, ${index.bins} bins, engine ${index.engine}\n`)

const batch = vectors.slice(0, 1000 * dimensions)
const options = { k: 10, probes: 4 }
let turn = 0

/** Another word each time, as real queries are. */
function nextQuery() {
  turn = (turn + 7919) % rows
  return vectors.subarray(turn * dimensions, (turn + 1) * dimensions)
}

const waiting = (call) => ({ defer: true, fn: (deferred) => call().then(() => deferred.resolve()) })

new Benchmark.Suite()
  .add('searchSync, 4 bins', () => index.searchSync(nextQuery(), options))
  .add(
    'search, 4 bins',
    waiting(() => index.search(nextQuery(), options))
  )
  .add(
    'route, all bins',
    waiting(() => index.route(nextQuery()))
  )
  .add(
    'searchBatch, 1,000 queries, 4 bins',
    waiting(() => index.searchBatch(batch, options))
  )
  .add(
    'buildKnnGraph, 10 neighbors',
    waiting(() => buildKnnGraph(vectors, { dimensions, neighbors: 10, metric: 'cosine' }))
  )
  .on('cycle', ({ target }) => console.log(`${target}; ${(1e6 * target.stats.mean).toFixed(1)} us a call`))
  .on('complete', () => index.close())
  .run({ async: true })
