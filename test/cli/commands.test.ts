import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { exactSearch, NeuralLSH, readIds, readVectors, writeFvecs, writeIvecs } from '../../lib/index.js'
import { leastMilliseconds } from '../support/times.js'
import { interrupted, run, temporaryFolder, wordsFile } from './run.js'

const rows = 1500
const asked = 40
const evaluationKeys = ['engine', 'n', 'dimensions', 'bins', 'curve', 'stages', 'balance', 'edgeCut', 'routerDistances']
const pointKeys = [
  'probes',
  'accuracy',
  'recall',
  'candidatesMean',
  'candidatesMedian',
  'candidatesQ95',
  'queriesPerSecond'
]
const stageNames = [
  'prepare',
  'knn-graph',
  'similarity-graph',
  'partition',
  'assignment',
  'classifier',
  'exact-search',
  'bins',
  'recall'
]
const buildOptions = ['--bins', '8', '--metric', 'cosine', '--hidden', '32', '--epochs', '4', '--threads', '1']

interface EvaluationOutput {
  n: number
  dimensions: number
  bins: number
  curve: { probes: number; accuracy: number; recall: number; candidatesMean: number; queriesPerSecond: number }[]
  stages: { name: string; seconds: number; peakBytes: number }[]
}

interface SearchOutput {
  k: number
  results: { ids: number[]; distances: number[]; candidates: number; probes: number }[]
}

let folder: string
let index: string
let queries: string
let built: Awaited<ReturnType<typeof run>>

/** The first 1,500 words are indexed, the next 40 are asked for. */
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'neural-lsh-cli-'))
  index = join(folder, 'words.nlsh')
  queries = join(folder, 'queries.fvecs')
  const { vectors, dimensions } = await readVectors(wordsFile, { limit: rows + asked })
  await writeFvecs(queries, vectors.slice(rows * dimensions), dimensions)
  built = await run('build', '--base', wordsFile, '--limit', String(rows), '--out', index, ...buildOptions)
})

test.after.always(() => rm(folder, { recursive: true, force: true }))

/** The true neighbors by comparing in full, and from another part of the library. */
async function truth(k: number) {
  const { vectors, dimensions } = await readVectors(wordsFile, { limit: rows })
  const { vectors: questions } = await readVectors(queries)
  return exactSearch(vectors, questions, { dimensions, k, metric: 'cosine' })
}

test('build says what it has built, and what each stage took, in plain lines', async (t) => {
  const { code, stdout, stderr } = built
  t.is(code, 0, stderr)
  t.regex(stdout, /words\.nlsh: 1,500 vectors of 100 numbers in 8 bins/)
  for (const stage of stageNames) {
    t.regex(stdout, new RegExp(`\n  ${stage} +[\\d.]+ m?s +[\\d.]+ MB`))
    t.regex(stderr, new RegExp(`^${stage}: [\\d.]+ m?s$`, 'm'))
  }
  t.regex(stdout, /\nExpected calibration error of its probabilities: [\d.]+ %, at temperature \d+\.\d\d [\d.]+ %\.\n/)
  t.notRegex(stdout, /was the best/)
  t.false(
    stdout.includes('\x1b') || stderr.includes('\x1b') || stderr.includes('\r'),
    'no control characters in a pipe'
  )
})

test('build --json prints one object and nothing else; long names are accepted; the same seed gives the same file', async (t) => {
  const out = join(folder, 'again.nlsh')
  const longNames = [
    '--bins',
    '8',
    '--metric',
    'cosine',
    '--classifier.hidden',
    '32',
    '--classifier.epochs',
    '4',
    '--threads',
    '1'
  ]
  const { code, stdout, stderr } = await run(
    'build',
    '--base',
    wordsFile,
    '--limit',
    String(rows),
    '--out',
    out,
    ...longNames,
    '--json'
  )
  t.is(code, 0, stderr)
  t.is(stderr, '')
  const output = JSON.parse(stdout) as EvaluationOutput & { index: string; bytes: number }
  t.is(stdout.trim().split('\n').length, 1)
  t.deepEqual([output.n, output.dimensions, output.bins, output.index], [rows, 100, 8, out])
  t.deepEqual(
    output.stages.map(({ name }) => name),
    stageNames
  )
  t.true(output.stages.every(({ seconds, peakBytes }) => seconds >= 0 && peakBytes > 1e6))
  t.true((await readFile(out)).equals(await readFile(index)))
  t.is(output.bytes, (await stat(index)).size)
})

test('the options of the router are those of the API; early stopping names the epoch that it kept', async (t) => {
  const out = join(folder, 'stopped.nlsh')
  const stopping = ['--epochs', '60', '--earlyStopping.patience', '1', '--validationFraction', '0.3']
  const network = [
    '--batchNorm',
    '--activation',
    'gelu',
    '--optimizer',
    'sgd',
    '--learningRate',
    '0.5',
    '--no-calibrate'
  ]
  const args = ['build', '--base', wordsFile, '--limit', '1000', '--bins', '8', '--out', out, '--batchSize', '64']
  const { code, stdout, stderr } = await run(...args, ...stopping, ...network)
  t.is(code, 0, stderr)
  const [, epochs, best] = /Of its (\d+) epochs, number (\d+) was the best/.exec(stdout) ?? []
  t.is(Number(epochs), Number(best) + 2)
  t.notRegex(stdout, /calibration/)
  const index = await NeuralLSH.open(out)
  t.teardown(() => index.close())
  t.is(index.report.bestEpoch, Number(best))
  t.is(index.report.calibration, undefined)
  t.like(index.options.classifier, {
    activation: 'gelu',
    batchNorm: true,
    calibrate: false,
    optimizer: { type: 'sgd', learningRate: 0.5, momentum: 0.9, nesterov: false },
    earlyStopping: { monitor: 'validation-loss', patience: 1 }
  })
})

test('evaluate --json prints exactly the object that machines expect', async (t) => {
  const args = ['evaluate', '--base', wordsFile, '--limit', String(rows), '--queries', queries, ...buildOptions]
  const { code, stdout, stderr } = await run(...args, '--probes', '1,2,8', '--k', '5', '--json')
  t.is(code, 0, stderr)
  t.is(stderr, '')
  const output = JSON.parse(stdout) as EvaluationOutput
  t.deepEqual(Object.keys(output), evaluationKeys)
  t.deepEqual(
    output.curve.map((point) => Object.keys(point)),
    Array(3).fill(pointKeys)
  )
  t.deepEqual(
    output.curve.map(({ probes }) => probes),
    [1, 2, 8]
  )
  t.deepEqual(
    output.stages.map((stage) => Object.keys(stage)),
    Array(stageNames.length).fill(['name', 'seconds', 'peakBytes'])
  )
  const [one, two, all] = output.curve
  t.true(one && two && all && one.accuracy > 0.2 && one.accuracy <= two.accuracy && two.accuracy < all.accuracy)
  t.is(all?.accuracy, 1)
  t.is(all?.candidatesMean, rows)
})

test('evaluate --index measures a file, against a truth file that may be wider than k and shorter than the queries', async (t) => {
  const known = 25
  const truthFile = join(folder, 'truth.ivecs')
  const { ids } = await truth(12)
  await writeIvecs(truthFile, ids.slice(0, known * 12), 12)
  const given = await run(
    'evaluate',
    '--index',
    index,
    '--queries',
    queries,
    '--truth',
    truthFile,
    '--probes',
    '2',
    '--json'
  )
  const computed = await run(
    'evaluate',
    '--index',
    index,
    '--queries',
    queries,
    '--limitQueries',
    String(known),
    '--probes',
    '2',
    '--json'
  )
  t.is(given.code, 0, given.stderr)
  t.is(computed.code, 0, computed.stderr)
  const [a, b] = [given, computed].map(({ stdout }) => (JSON.parse(stdout) as EvaluationOutput).curve[0])
  t.deepEqual({ ...a, queriesPerSecond: 0 }, { ...b, queriesPerSecond: 0 })

  const people = await run(
    'evaluate',
    '--index',
    index,
    '--queries',
    queries,
    '--truth',
    truthFile,
    '--mass',
    '0.5,0.99'
  )
  t.is(people.code, 0, people.stderr)
  t.regex(people.stdout, /first 25 queries only/)
  t.regex(people.stdout, /25 queries against 1,500 vectors in 8 bins/)
  t.regex(people.stdout, /\n {2}mass 0\.5 +0\.\d{3} +0\.\d{3} +\d+ +\d+\.\d %/)
})

test('search prints neighbors, writes them, and agrees with the library', async (t) => {
  const opened = await NeuralLSH.open(index)
  t.teardown(() => opened.close())
  const { vectors } = await readVectors(queries)
  const expected = await opened.searchBatch(vectors, { k: 3, probes: 2 })

  const json = await run('search', '--index', index, '--queries', queries, '--k', '3', '--probes', '2', '--json')
  t.is(json.code, 0, json.stderr)
  const { k, results } = JSON.parse(json.stdout) as SearchOutput
  t.is(k, 3)
  t.deepEqual(
    results.flatMap(({ ids }) => ids),
    Array.from(expected.ids)
  )
  t.deepEqual(
    results.flatMap(({ distances }) => distances),
    Array.from(expected.distances)
  )
  t.deepEqual(
    results.map(({ candidates }) => candidates),
    Array.from(expected.candidates)
  )

  const out = join(folder, 'found.ivecs')
  const written = await run('search', '--index', index, '--queries', queries, '--k', '3', '--probes', '2', '--out', out)
  t.is(written.code, 0, written.stderr)
  t.deepEqual((await readIds(out)).ids, expected.ids)

  const people = await run('search', '--index', index, '--queries', queries, '--k', '3', '--limitQueries', '2')
  t.is(people.code, 0, people.stderr)
  t.regex(people.stdout, /^query 0: \S+ \(0\.\d+\), \S+ \(0\.\d+\), \S+ \(0\.\d+\)\nquery 1: /)
})

test('search --word finds words of like meaning, the word itself left out', async (t) => {
  const { code, stdout, stderr } = await run(
    'search',
    '--index',
    index,
    '--word',
    'seven,Three',
    '--mass',
    '0.99',
    '--json'
  )
  t.is(code, 0, stderr)
  const { results } = JSON.parse(stdout) as { results: { word: string; neighbors: { word: string }[] }[] }
  t.deepEqual(
    results.map(({ word }) => word),
    ['seven', 'three']
  )
  const near = results[0]?.neighbors.map(({ word }) => word) as string[]
  t.is(near.length, 10)
  t.true(
    ['six', 'eight', 'five'].every((word) => near.includes(word)),
    near.join()
  )
  t.false(near.includes('seven'))

  const people = await run('search', '--index', index, '--word', 'seven')
  t.regex(people.stdout, /seven +distance\n {2}\w+ +0\.\d{4}\n/)
  const unknown = await run('search', '--index', index, '--word', 'xyzzy')
  t.is(unknown.code, 2)
  t.regex(unknown.stderr, /"xyzzy" is not among the 1,500 words/)
})

test('search --radius prints all that are near enough, or that there are none, and agrees with the library', async (t) => {
  const opened = await NeuralLSH.open(index)
  t.teardown(() => opened.close())
  const { vectors } = await readVectors(queries)
  const { offsets, ids, distances } = await opened.searchRadiusBatch(vectors, { radius: 0.4, probes: 3 })
  const args = ['search', '--index', index, '--radius', '0.4', '--probes', '3']
  const json = await run(...args, '--queries', queries, '--json')
  t.is(json.code, 0, json.stderr)
  const { results, ...rest } = JSON.parse(json.stdout) as SearchOutput
  t.deepEqual(rest as object, { radius: 0.4 })
  for (const [query, found] of results.entries()) {
    t.deepEqual(found.ids, Array.from(ids.slice(offsets[query], offsets[query + 1])))
    t.deepEqual(found.distances, Array.from(distances.slice(offsets[query], offsets[query + 1])))
  }
  const people = await run(...args, '--queries', queries)
  t.regex(people.stdout, /^query \d+: \S+ \(0\.\d+\)/m)
  t.regex(people.stdout, /^query \d+: none$/m)

  const word = await run(...args, '--word', 'seven', '--json')
  const near = (JSON.parse(word.stdout) as { results: { neighbors: { word: string; distance: number }[] }[] })
    .results[0]
  t.true(near?.neighbors.some((one) => one.word === 'eight'))
  t.true(near?.neighbors.every(({ word, distance }) => word !== 'seven' && distance <= 0.4))
})

test('queries of another length are refused with both lengths', async (t) => {
  const other = join(folder, 'other.fvecs')
  await writeFvecs(other, new Float32Array(8).fill(1), 4)
  for (const command of ['search', 'evaluate']) {
    const { code, stderr } = await run(command, '--index', index, '--queries', other)
    t.not(code, 0)
    t.regex(stderr, /100 numbers.*not 4/)
  }
})

test('info describes the engine and the file', async (t) => {
  const json = await run('info', index, '--json')
  t.is(json.code, 0, json.stderr)
  const output = JSON.parse(json.stdout) as {
    engine: string
    n: number
    words: boolean
    metric: string
    options: { bins: number }
  }
  t.deepEqual([output.n, output.words, output.metric, output.options.bins], [rows, true, 'cosine', 8])
  const people = await run('info', index)
  t.regex(people.stdout, /1,500 vectors of 100 numbers, each with a word, in 8 bins; metric cosine/)
  t.regex((await run('info')).stdout, /^engine: native/)
})

test.serial('Ctrl-C stops a build within a second, with 130, and leaves no file', async (t) => {
  const own = await temporaryFolder(t)
  const args = ['build', '--base', wordsFile, '--out', join(own, 'never.nlsh'), '--epochs', '10000']
  const milliseconds = await leastMilliseconds(1000, async () => {
    const { code, stdout, stderr, milliseconds } = await interrupted('partition: ', args)
    t.is(code, 130, stderr)
    t.is(stdout, '')
    t.regex(stderr, /neural-lsh build: stopped\n$/)
    t.deepEqual(await readdir(own), [])
    return milliseconds
  })
  t.true(milliseconds < 1000, `${milliseconds} ms`)
})

test('the demo builds once, keeps its index, and answers for any word', async (t) => {
  // In a clone the demo keeps its index in .cache, which another run may have left: both ways must tell the same.
  const first = await run('demo', '--json')
  t.is(first.code, 0, first.stderr)
  const second = await run('demo', '--json')
  t.is(second.code, 0, second.stderr)
  const [a, b] = [first, second].map(
    ({ stdout }) => JSON.parse(stdout) as EvaluationOutput & { reused: boolean; neighbors: { word: string }[] }
  )
  t.true(b?.reused)
  t.deepEqual(a?.neighbors, b?.neighbors)
  t.deepEqual(
    b?.curve.map(({ probes }) => probes),
    [1, 2, 4, 8]
  )
  t.true((b?.curve[3]?.accuracy as number) > 0.85)
  t.deepEqual(
    b?.stages.map(({ name }) => name),
    stageNames
  )
  const people = await run('demo', '--word', 'guitar')
  t.regex(people.stdout, /guitar .*bass.*\n +[\d,]+ of [\d,]+ looked at/)
})
