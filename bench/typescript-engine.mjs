/**
 * The TypeScript engine beside the native one, stage by stage on 10,000 images of MNIST, as a Markdown table:
 *
 *     npm run data -- mnist && node bench/typescript-engine.mjs
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  buildKnnGraph,
  buildSimilarityGraph,
  NeuralLSH,
  partitionGraph,
  readVectors,
  trainClassifier
} from 'neural-lsh'
import { findFile, mnistImages } from './data.mjs'

const bins = 64
const asked = { k: 10, probes: 3 }
const engines = [
  { title: 'native', engine: 'native' },
  { title: 'native, 1 thread', engine: 'native', threads: 1 },
  { title: 'TypeScript', engine: 'typescript' },
  { title: 'TypeScript, 1 thread', engine: 'typescript', threads: 1 }
]

const { vectors, dimensions } = await readVectors(mnistImages(), { limit: 10_000 })
const { vectors: queries } = await readVectors(findFile('mnist', 't10k-images-idx3-ubyte'), { limit: 1000 })
const knn = await buildKnnGraph(vectors, { dimensions, neighbors: 10 })
const graph = await buildSimilarityGraph(knn)
const { labels } = await partitionGraph(graph, { bins })
const index = await NeuralLSH.build(vectors, { dimensions, bins, partition: { method: 'kahip' }, scan: 'exact' })
const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-'))
const file = join(folder, 'mnist.nlsh')

/** An epoch of 784-512-512-64; how long it takes does not depend on what it learns. */
const epoch = (batchSize) => (engine) => {
  const network = { hidden: [512, 512], softLabels: 0, validationFraction: 0 }
  return trainClassifier(vectors, { dimensions, labels, bins, ...network, epochs: 1, batchSize, ...engine })
}

/** What each engine does, and what comes of its seconds. */
const stages = [
  [
    'exact 10-NN graph, s',
    (engine) => buildKnnGraph(vectors, { dimensions, neighbors: 10, method: 'exact', ...engine })
  ],
  ['similarity graph, s', (engine) => buildSimilarityGraph(knn, engine)],
  [`partition into ${bins} bins, s`, (engine) => partitionGraph(graph, { bins, ...engine })],
  ['epoch of 784-512-512-64, batches of 32, s', epoch(32)],
  ['epoch of 784-512-512-64, batches of 512, s', epoch(512)]
]

async function secondsOf(work) {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** The better of two runs, as the first compiles what the second runs. */
const best = async (work) => Math.min(await secondsOf(work), await secondsOf(work))

/** The rate of 1,000 queries in the `probes` most probable bins. */
async function queriesPerSecond({ title, ...options }) {
  const opened = await NeuralLSH.open(file, options)
  const seconds = await best(() => opened.searchBatch(queries, asked))
  opened.close()
  return queries.length / dimensions / seconds
}

const printRow = (cells) => console.log(`| ${cells.join(' | ')} |`)

await index.save(file)
printRow(['10,000 images of MNIST', ...engines.map(({ title }) => title)])
printRow(['---', ...engines.map(() => '---:')])
for (const [name, stage] of stages) {
  const seconds = []
  for (const { title, ...engine } of engines) seconds.push((await best(() => stage(engine))).toPrecision(2))
  printRow([name, ...seconds])
}
const rates = []
for (const engine of engines) rates.push(Math.round(await queriesPerSecond(engine)).toLocaleString('en-US'))
printRow([`queries a second, ${asked.probes} of ${bins} bins, ${asked.k} neighbors`, ...rates])
index.close()
rmSync(folder, { recursive: true })
