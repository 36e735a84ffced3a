import { relative } from 'node:path'
import type { CurvePoint } from '../evaluation/evaluate.js'
import { packageVersion } from '../version.js'
import { type Context, defineCommand } from './command.js'
import { buildDemo, type DemoIndex, demoFolder, keepDemo, openDemo, readDemoWords } from './demo-index.js'
import { curveTable } from './evaluate.js'
import { apiOptions, runFlags, type ValuesOf, wordFlag } from './flags.js'
import { formatCount, formatSeconds, table } from './text.js'
import { findWord, lookedAt, neighborsOfWord, unknownWord, type WordNeighbors } from './words.js'

const flags = { ...wordFlag, ...runFlags }

const k = 10
const probes = [1, 2, 4, 8]
const shownWords = ['piano', 'paris', 'computer', 'happy', 'seven', 'doctor', 'river', 'football']

const meaningOf: { [stage: string]: string } = {
  prepare: 'checked the numbers and scaled every vector to length 1',
  'knn-graph': 'found the nearest words of every word, by comparing all pairs',
  'similarity-graph': 'joined every word with its nearest words into one graph',
  partition: 'KaHIP cut the graph into bins of like size, parting as few neighbors as it could',
  classifier: 'trained a neural network to tell, from a vector, the bins of its neighbors',
  bins: 'moved the vectors of each bin to one place in memory'
}

export const demoCommand = defineCommand({
  name: 'demo',
  summary: 'see it work on real word vectors',
  usage: 'neural-lsh demo [--word WORD,WORD…]',
  explanation: [
    'Builds an index of some ten thousand English words with their vectors, which come with the package, asks it for the neighbors of a few words, and measures how often it is right and how little it reads for that. The index is kept: the second run starts at once.'
  ],
  examples: [
    { line: 'neural-lsh demo', meaning: 'The whole tour.' },
    { line: 'neural-lsh demo --word guitar', meaning: 'Only the neighbors of a word of yours.' }
  ],
  flags,
  positionals: 0,
  async run(values, context) {
    const { demo, folder, reused } = await prepareDemo(values, context)
    const { index, words, stages } = demo
    try {
      if (reused)
        context.print(`The index of ${formatCount(index.size)} words was built by an earlier run (${folder}).`)
      const neighbors: WordNeighbors[] = []
      for (const word of values.word ?? shownWords.filter((one) => words.includes(one))) {
        const found = lookUp(demo, word)
        neighbors.push(await neighborsOfWord(index, words, found.word, found.vector, { k, probes: 4 }))
      }
      printNeighbors(neighbors, demo, context)
      const evaluation = values.word ? undefined : await measure(demo, values, context)
      if (evaluation) printStages(stages, reused, context)
      const { engine, size: n, dimensions, bins } = index
      context.printJson({
        engine,
        n,
        dimensions,
        bins,
        reused,
        stages,
        neighbors,
        ...(evaluation && { curve: evaluation })
      })
    } finally {
      index.close()
    }
  }
})

async function prepareDemo(values: ValuesOf<typeof flags>, context: Context) {
  const { signal, print } = context
  const job = { ...apiOptions(runFlags, values), signal }
  const folder = await demoFolder(packageVersion())
  const shownFolder = relative('', folder)
  const kept = await openDemo(folder, job)
  if (kept) return { demo: kept, folder: shownFolder, reused: true }
  print('Building an index of real English words; the next run will start at once.')
  const words = await readDemoWords(shownWords, signal)
  print(
    `${formatCount(words.stored.words.length)} words, each with a vector of ${words.dimensions} numbers: words that are used alike point alike.`
  )
  print(`${formatCount(words.heldOut.words.length)} more words are held out, to be asked for later.\n`)
  const { onProgress, follow } = context.progress((stage, seconds) =>
    print(`  ${formatSeconds(seconds).padStart(7)}  ${stage.padEnd(17)} ${meaningOf[stage] ?? ''}`)
  )
  const demo = await follow(buildDemo(words, { ...job, onProgress }))
  try {
    await keepDemo(folder, demo, signal)
    print(`\nKept in ${shownFolder}.`)
  } catch (error) {
    signal.throwIfAborted()
    print(`\nThe index could not be kept for the next run: ${(error as Error).message}`)
  }
  return { demo, folder: shownFolder, reused: false }
}

/** Any word of the list may be asked for, the held-out ones included. */
function lookUp({ index, words, heldOut }: DemoIndex, asked: string) {
  const row = findWord(words, asked)
  if (row >= 0) return { word: words[row] as string, vector: index.vector(row) }
  const place = findWord(heldOut.words, asked)
  if (place < 0) throw unknownWord(asked, words.length + heldOut.words.length)
  const vector = heldOut.vectors.subarray(place * index.dimensions, (place + 1) * index.dimensions)
  return { word: heldOut.words[place] as string, vector }
}

function printNeighbors(results: WordNeighbors[], { index }: DemoIndex, { print }: Context): void {
  print('\nNearest words, from the 4 bins that the network thinks best:\n')
  for (const { word, neighbors, candidates } of results) {
    print(`  ${word.padEnd(10)} ${neighbors.map((one) => one.word).join(', ')}`)
    print(`  ${''.padEnd(10)} ${lookedAt(candidates, index.size)}\n`)
  }
}

async function measure(
  { index, heldOut }: DemoIndex,
  { threads }: ValuesOf<typeof flags>,
  context: Context
): Promise<CurvePoint[]> {
  const { curve, queries, routerDistances } = await index.evaluate(heldOut.vectors, {
    k,
    probes,
    threads,
    signal: context.signal
  })
  context.print(
    `How right is it? The ${queries} held-out words are asked for, and the answers compared with the exact ones.`
  )
  context.print(
    `Acc@${k}: the share of a word's true ${k} nearest that lie in the bins that were read. Candidates: words looked at.\n`
  )
  context.print(curveTable(curve, k, index.size))
  context.print(`\nChoosing the bins costs as much as looking at ${formatCount(routerDistances)} more words.`)
  return curve
}

function printStages(stages: DemoIndex['stages'], reused: boolean, { print }: Context): void {
  print(`\nTime of each stage${reused ? ', when the index was built' : ''}:\n`)
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0)
  const rows = [...stages, { name: 'all', seconds: total }].map(({ name, seconds }) => [name, formatSeconds(seconds)])
  print(table(['stage', 'time'], rows))
  const demo = process.env.npm_lifecycle_event === 'demo' ? 'npm run demo --' : 'neural-lsh demo'
  print(`\nAsk for any word: ${demo} --word guitar`)
}
