/**
 * Our partition beside the classical ones and the published ones: what docs/comparison.md shows.
 *
 *     npm run data -- mnist glove sift && node bench/comparison.mjs [sets …]
 *
 * Sets: mnist, sift-100k, glove-all, sift-1m; default: all. Writes docs/comparison/<set>.html, the report, and prints the
 * tables in Markdown. Progress goes to standard error.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { mapPoints } from '../dist/evaluation/map.js'
import { neededCandidates } from '../dist/evaluation/needed.js'
import { renderReport } from '../dist/evaluation/report.js'
import { verdictOf } from '../dist/evaluation/verdict.js'
import { compareMethods, exactSearch } from '../dist/index.js'
import { titles } from '../dist/methods.js'
import { readSet } from './data.mjs'

const folder = fileURLToPath(new URL('../docs/comparison/', import.meta.url))
const log = (text) => process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`)
const k = 10
const bins = [16, 64, 256]
const methods = [
  'neural-lsh',
  'two-level',
  'kmeans',
  'two-level-kmeans',
  'balanced-kmeans',
  'itq',
  'pca-tree',
  'rp-tree'
]
const further = ['lecture', 'regression-lsh', 'cross-polytope', 'kd-tree']

/** What is built for a set: options of compareMethods, one object for each call. Three passes over a million vectors are
 * 30 over 100,000. The recipe as published is trained for long, in small batches. */
const sets = {
  mnist: [
    { methods: [...methods, ...further], bins },
    { methods: ['paper'], bins: [16] }
  ],
  'sift-100k': [
    { methods: [...methods, ...further], bins },
    { methods: ['paper'], bins: [16] }
  ],
  'glove-all': [{ methods: [...methods, 'cross-polytope'], bins, metric: 'cosine' }],
  'sift-1m': [{ methods, bins, classifier: { epochs: 3 } }]
}

const count = (value) => Math.round(value).toLocaleString('en-US')
const printRow = (cells) => console.log(`| ${cells.join(' | ')} |`)

/** The better of a fixed number of bins and of bins by their probability, and how many times less than k-means. */
function cellOf({ needed }, accuracy, figure, ratio) {
  const reached = needed.filter((one) => one.accuracy === accuracy)
  if (reached.length === 0) return '–'
  const best = reached.reduce((a, b) => (b[figure] < a[figure] ? b : a))
  return `${count(best[figure])} (${(1 / best[ratio]).toFixed(2)})`
}

function printTables({ results, k }) {
  for (const size of bins) {
    console.log(`\n${size} bins:\n`)
    const columns = [0.8, 0.9, 0.95].map((accuracy) => `Acc@${k} ${accuracy}`)
    printRow(['method', ...columns, ...columns.slice(1).map((one) => `q95, ${one}`), 'largest bin / mean', 'router'])
    printRow(['---', ...Array(7).fill('--:')])
    for (const result of results.filter((one) => one.bins === size))
      printRow([
        titles[result.method],
        ...[0.8, 0.9, 0.95].map((accuracy) => cellOf(result, accuracy, 'candidatesMean', 'meanToKmeans')),
        ...[0.9, 0.95].map((accuracy) => cellOf(result, accuracy, 'candidatesQ95', 'q95ToKmeans')),
        result.balance.toFixed(2),
        count(result.routerDistances)
      ])
  }
}

/** How many times fewer candidates than the other with as many bins, both reading the same number of bins for all. */
function gainsOver(other, { bins, needed }, results) {
  const reference = results.find((one) => one.method === other && one.bins === bins)?.needed ?? []
  const fixed = (list, wanted) => list.find((one) => one.probing === 'probes' && one.accuracy === wanted)
  return ['candidatesMean', 'candidatesQ95'].flatMap((figure) =>
    [0.8, 0.9, 0.95].map((wanted) => {
      const [theirs, ours] = [fixed(reference, wanted), fixed(needed, wanted)]
      return theirs && ours ? (theirs[figure] / ours[figure]).toFixed(2) : '–'
    })
  )
}

/** What publications tell: ratios to k-means, one level beside one and two beside two. */
function printRatios({ results }) {
  console.log('\nWith the same number of bins for all queries, k-means / it:\n')
  const accuracies = [0.8, 0.9, 0.95].map((accuracy) => `mean, ${accuracy}`)
  printRow(['method', 'bins', ...accuracies, ...accuracies.map((one) => one.replace('mean', 'q95'))])
  printRow(['---', ...Array(7).fill('--:')])
  for (const [method, other] of [
    ['neural-lsh', 'kmeans'],
    ['paper', 'kmeans'],
    ['regression-lsh', 'kmeans'],
    ['two-level', 'two-level-kmeans']
  ])
    for (const result of results.filter((one) => one.method === method))
      printRow([`${titles[method]}, beside ${titles[other]}`, result.bins, ...gainsOver(other, result, results)])
}

/** As if all had been compared in one call. */
function joined(comparisons) {
  const [{ truth, ...first }] = comparisons
  const all = comparisons.flatMap(({ results }) => results)
  const results = all.map((one) => ({ ...one, needed: neededCandidates(one, all) }))
  return { ...first, results, failures: comparisons.flatMap(({ failures }) => failures), verdict: verdictOf(results) }
}

async function compare(set) {
  const { vectors, queries, dimensions, rows } = await readSet(set)
  let last = ''
  const onProgress = ({ method, bins, stage }) => {
    const now = [set, method, bins, stage].filter(Boolean).join(' ')
    if (now !== last) log(now)
    last = now
  }
  const comparisons = []
  for (const options of sets[set]) {
    const truth =
      comparisons[0]?.truth ?? (await exactSearch(vectors, queries, { dimensions, metric: options.metric, k })).ids
    comparisons.push({
      ...(await compareMethods(vectors, queries, { dimensions, k, truth, ...options, onProgress })),
      truth
    })
  }
  const comparison = joined(comparisons)
  const { metric, seed, sample } = comparison
  const map = await mapPoints(vectors, { dimensions, metric, seed, rows: sample })
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}${set}.html`, await renderReport(comparison, map))
  console.log(`\n## ${set}: ${count(rows)} x ${dimensions}, ${count(comparison.queries)} queries`)
  console.log(`\n${comparison.verdict}`)
  for (const { method, bins, message } of comparison.failures)
    console.log(`\n${titles[method]}, ${bins} bins: ${message}`)
  printTables(comparison)
  printRatios(comparison)
}

const chosen = process.argv.slice(2)
const unknown = chosen.find((set) => !Object.hasOwn(sets, set))
if (unknown !== undefined) throw new Error(`${unknown} is none of ${Object.keys(sets).join(', ')}`)
for (const set of chosen.length > 0 ? chosen : Object.keys(sets)) await compare(set)
