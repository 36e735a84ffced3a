/**
 * The TypeScript engine beside the native one, stage by stage on images of MNIST, as Markdown tables, on all cores unless it is said:
 *
 *     npm run data -- mnist && node bench/typescript-engine.mjs [10000 60000]
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
  { title: 'TypeScript', engine: 'typescript' }
]
/** Above so many rows nothing is done twice. */
const mostRowsTwice = 10_000

const { vectors: queries } = await readVectors(findFile('mnist', 't10k-images-idx3-ubyte'), { limit: 1000 })

/** What each engine does, and what comes of its seconds. An epoch's do not depend on what is learned in it. */
async function stagesOf({ vectors, dimensions }) {
  const knn = await buildKnnGraph(vectors, { dimensions, neighbors: 10 })
  const graph = await buildSimilarityGraph(knn)
  const { labels } = await partitionGraph(graph, { bins })
  const recipe = { dimensions, labels, bins, hidden: [512, 512], softLabels: 0, validationFraction: 0, epochs: 1 }
  const exact = { dimensions, neighbors: 10, method: 'exact' }
  return [
    ['exact 10-NN graph, s', (engine) => buildKnnGraph(vectors, { ...exact, ...engine })],
    ['similarity graph, s', (engine) => buildSimilarityGraph(knn, engine)],
    [`partition into ${bins} bins, s`, (engine) => partitionGraph(graph, { bins, ...engine })],
    ...[32, 512].map((batchSize) => [
      `epoch of 784-512-512-${bins}, batches of ${batchSize}, s`,
      (engine) => trainClassifier(vectors, { ...recipe, batchSize, ...engine })
    ])
  ]
}

async function secondsOf(work) {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** The better of two runs, as the first compiles what the second runs. */
const best = async (work) => Math.min(await secondsOf(work), await secondsOf(work))

/** Of 1,000 queries in the most probable bins. */
async function queriesPerSecond(file, dimensions, options) {
  const opened = await NeuralLSH.open(file, options)
  const seconds = await best(() => opened.searchBatch(queries, asked))
  opened.close()
  return queries.length / dimensions / seconds
}

async function indexFile({ vectors, dimensions }, folder) {
  const index = await NeuralLSH.build(vectors, { dimensions, bins, partition: { method: 'kahip' }, scan: 'exact' })
  const file = join(folder, 'mnist.nlsh')
  await index.save(file)
  index.close()
  return file
}

const printRow = (cells) => console.log(`| ${cells.join(' | ')} |`)

async function compare(limit, folder) {
  const data = await readVectors(mnistImages(), { limit })
  const rows = data.vectors.length / data.dimensions
  const measure = rows > mostRowsTwice ? secondsOf : best
  printRow([`${rows.toLocaleString('en-US')} images of MNIST`, ...engines.map(({ title }) => title)])
  printRow(['---', ...engines.map(() => '---:')])
  for (const [name, stage] of await stagesOf(data)) {
    const seconds = []
    for (const { title, ...engine } of engines)
      seconds.push(Number((await measure(() => stage(engine))).toPrecision(2)))
    printRow([name, ...seconds])
  }
  const file = await indexFile(data, folder)
  const rates = []
  for (const { title, ...engine } of engines) {
    const rate = await queriesPerSecond(file, data.dimensions, engine)
    rates.push(Math.round(rate).toLocaleString('en-US'))
  }
  printRow([`queries a second, ${asked.probes} of ${bins} bins, ${asked.k} neighbors`, ...rates])
  console.log()
}

const limits = process.argv.slice(2).map(Number)
const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-'))
for (const limit of limits.length > 0 ? limits : [10_000, 60_000]) await compare(limit, folder)
rmSync(folder, { recursive: true })
