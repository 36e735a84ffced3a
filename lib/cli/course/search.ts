/** nlsh_search: asks an index as the course's program of this name does. */
import { replaceFile } from '../../formats/replace-file.js'
import { NeuralLSH } from '../../index.js'
import { type Context, defineCommand, required } from '../command.js'
import { formatCount } from '../text.js'
import { checkData, checkQueries } from './agreement.js'
import { choiceFlag, countFlag, type DataSet, dataSets, distanceFlag, fileFlag, readData, typeFlag } from './flags.js'
import { approximateNeighbors, averageFactor, recall, trueNeighbors } from './measures.js'
import { type Answers, outputOf, summaryLines } from './output.js'

const defaults = { N: 1, T: 5, range: 'true' } as const

const flags = {
  d: fileFlag('d', 'The vectors that the index was built from: the true neighbors are looked for in them.'),
  q: fileFlag('q', 'The vectors to look for, in a format of the data.'),
  i: fileFlag('i', 'An index file that nlsh_build wrote.'),
  o: fileFlag('o', 'Where to write the answers.'),
  type: typeFlag,
  N: countFlag('N', `Nearest neighbors of each query. Default: ${defaults.N}.`, 'k'),
  R: distanceFlag(
    'R',
    `Euclidean distance, not squared, of range searches. Default: ${Object.entries(dataSets)
      .map(([name, { radius }]) => `${radius} for ${name}`)
      .join(', ')}.`
  ),
  T: countFlag(
    'T',
    `Look into the T most probable bins. Default: ${defaults.T}, or all where there are fewer.`,
    'probes'
  ),
  range: choiceFlag('range', ['true', 'false'], `Whether to look for all within R, too. Default: ${defaults.range}.`)
}

export const courseSearch = defineCommand({
  name: 'nlsh_search',
  summary: "ask an index, and write the answers in the course's format",
  usage: `nlsh_search -d DATA -q QUERIES -i INDEX -o OUTPUT -type ${Object.keys(dataSets).join('|')} [options]`,
  explanation: [
    'Writes for each query its N nearest neighbors in the T most probable bins, each with its distance and the distance of the true neighbor of that rank, and with -range true the vectors in these bins that are within the distance R. Distances are Euclidean, not squared; queries and neighbors are row numbers from 0.',
    'Average AF is the mean of approximate / true distance over queries and ranks (0 / 0 counts as 1; where only the true distance is 0 there is no factor, and the pair is left out); Recall@N the share of the true N nearest that were found. Times are seconds for one query on one thread: tApproximateAverage of the search for the N nearest (QPS is its inverse), tTrueAverage of comparing all queries with all vectors.'
  ],
  examples: [
    {
      line: 'nlsh_search -d base.fvecs -q queries.fvecs -i sift.nlsh -o output.txt -type sift -N 10 -T 5',
      meaning: 'The 10 nearest, and all within 2800, in 5 bins.'
    },
    {
      line: 'nlsh_search -d train.idx -q test.idx -i mnist.nlsh -o output.txt -type mnist -range false',
      meaning: 'Only the nearest neighbor of each.'
    }
  ],
  flags,
  positionals: 0,
  async run(values, context) {
    const out = required(values.o, 'o', 'where to write the answers')
    const task = {
      data: required(values.d, 'd', 'the file of the vectors that the index was built from'),
      queries: required(values.q, 'q', 'the file of the vectors to look for'),
      type: required(values.type, 'type', `what the data are, ${Object.keys(dataSets).join(' or ')}`)
    }
    const index = await NeuralLSH.open(required(values.i, 'i', 'the index file to ask'), { signal: context.signal })
    try {
      const probes = values.T ?? Math.min(defaults.T, index.bins)
      const answers = await answer(index, { ...task, count: values.N ?? defaults.N, probes }, context)
      const radius = values.R ?? dataSets[task.type].radius
      const range = (values.range ?? defaults.range) === 'true' ? { radius, probes } : undefined
      const { signal } = context
      const { onProgress, follow } = context.progress()
      await follow(replaceFile(out, outputOf(index, answers, range, { signal, onProgress }), signal))
      tell(answers, out, context)
    } finally {
      index.close()
    }
  }
})

interface Task {
  data: string
  queries: string
  type: DataSet
  count: number
  probes: number
}

async function answer(index: NeuralLSH, { type, count, probes, ...paths }: Task, context: Context): Promise<Answers> {
  const { signal } = context
  const { onProgress, follow } = context.progress()
  onProgress({ stage: 'read', done: 0, total: 1 })
  const data = await follow(readData(paths.data, type, signal))
  await checkData(index, data, paths.data, signal)
  const asked = await follow(readData(paths.queries, type, signal))
  checkQueries(index, asked, paths.queries)
  const { vectors, dimensions } = data
  const questions = { vectors, queries: asked.vectors, dimensions, count }
  const approximate = await follow(approximateNeighbors(index, questions, probes, { signal, onProgress }))
  const truth = await follow(trueNeighbors(questions, { signal, onProgress }))
  const summary = {
    averageFactor: averageFactor(approximate, truth),
    recall: recall(approximate, truth, count),
    queriesPerSecond: asked.rows / approximate.seconds,
    approximateSeconds: approximate.seconds / asked.rows,
    trueSeconds: truth.seconds / asked.rows
  }
  return { questions, approximate, truth, summary }
}

function tell({ questions, summary }: Answers, out: string, context: Context): void {
  const { queries, dimensions, count } = questions
  const asked = queries.length / dimensions
  context.printJson({ out, queries: asked, N: count, ...summary })
  context.print(`${out}: ${formatCount(count)} neighbors of ${formatCount(asked)} queries.`)
  for (const line of summaryLines(summary)) context.print(line)
}
