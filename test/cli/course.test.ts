/** The course's programs: what they read and write, and that it is right. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import test from 'ava'
import type { Context } from '../../lib/cli/command.js'
import { checkData } from '../../lib/cli/course/agreement.js'
import { courseBuild } from '../../lib/cli/course/build.js'
import { withTwoDashes } from '../../lib/cli/course/flags.js'
import { averageFactor, type Neighbors, recall } from '../../lib/cli/course/measures.js'
import { courseSearch } from '../../lib/cli/course/search.js'
import { NeuralLSH, readVectors, writeFvecs } from '../../lib/index.js'
import { encodeVecs } from '../formats/encode.js'
import { leastMilliseconds } from '../support/times.js'
import { ranking } from '../support/vectors.js'
import { interrupted, programs, runProgram, wordsFile } from './run.js'

const rows = 1500
const asked = 150
const images = fileURLToPath(new URL('../formats/samples/fashion-mnist-20-idx3-ubyte.gz', import.meta.url))

let folder: string
let data: string
let queries: string
let index: string
let built: Awaited<ReturnType<typeof runProgram>>

const inFolder = (name: string) => join(folder, name)
const build = (...args: string[]) => runProgram('nlsh_build', ...args)
const search = (...args: string[]) => runProgram('nlsh_search', ...args)

/** Real vectors of words, as fvecs; the queries are not among the data. */
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'neural-lsh-course-'))
  ;[data, queries, index] = [inFolder('data.fvecs'), inFolder('queries.fvecs'), inFolder('words.nlsh')]
  const { vectors, dimensions } = await readVectors(wordsFile, { limit: rows + asked })
  await writeFvecs(data, vectors.slice(0, rows * dimensions), dimensions)
  await writeFvecs(queries, vectors.slice(rows * dimensions), dimensions)
  built = await build('-d', data, '-i', index, '-type', 'sift', '--m', '12', '--epochs', '4', '--nodes', '32')
})

test.after.always(() => rm(folder, { recursive: true, force: true }))

interface Section {
  ids: number[]
  approximate: number[]
  truth: number[]
  within: number[] | undefined
}

const last = <T>(values: T[]) => values[values.length - 1] as T

/** Reads the course's file of answers, line by line; anything unexpected throws. */
function readOutput(text: string) {
  const [title, ...lines] = text.trimEnd().split('\n')
  const sections: Section[] = []
  const summary: Record<string, number> = {}
  for (const line of lines) {
    const [, name = '', value = ''] = /^(?:(.+): ?)?(\S*)$/.exec(line) ?? []
    if (name === 'Query' && Number(value) === sections.length)
      sections.push({ ids: [], approximate: [], truth: [], within: undefined })
    else if (name === `Nearest neighbor-${last(sections).ids.length + 1}`) last(sections).ids.push(Number(value))
    else if (name === 'distanceApproximate') last(sections).approximate.push(Number(value))
    else if (name === 'distanceTrue') last(sections).truth.push(Number(value))
    else if (name === 'R-near neighbors' && value === '') last(sections).within = []
    else if (name === '' && last(sections).within && /^\d+$/.test(value)) last(sections).within?.push(Number(value))
    else if (name !== '' && value !== '' && !Number.isNaN(Number(value))) summary[name] = Number(value)
    else throw new Error(`what does this line say? ${JSON.stringify(line)}`)
  }
  return { title, sections, summary }
}

const withoutTimes = (text: string) => text.replace(/^(QPS|tApproximateAverage|tTrueAverage): .*$/gm, '$1')

const summaryNames = ['Average AF', 'Recall@N', 'QPS', 'tApproximateAverage', 'tTrueAverage']

test('nlsh_build makes the index of the recipe, with the options that were given', async (t) => {
  t.is(built.code, 0, built.stderr)
  t.regex(built.stdout, /words\.nlsh: 1,500 vectors of 100 numbers in 12 bins/)
  const { options } = await NeuralLSH.open(index)
  t.like(options, {
    bins: 12,
    metric: 'euclidean',
    graph: { neighbors: 10 },
    partition: { method: 'kahip', mode: 'fastsocial', imbalance: 0.03 },
    seed: 1
  })
  t.like(options.classifier, {
    hidden: [32, 32, 32],
    softLabels: 0,
    epochs: 4,
    batchSize: 128,
    optimizer: { type: 'adam', learningRate: 0.001 },
    schedule: { type: 'constant' }
  })
})

test('nlsh_build: the same vectors as bvecs, every option set, with one dash and with two', async (t) => {
  const bytes = inFolder('data.bvecs')
  const { vectors, dimensions } = await readVectors(data, { limit: 300 })
  const rowsOf = Array.from({ length: 300 }, (_, row) =>
    Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions), (x) =>
      Math.min(255, Math.max(0, Math.round(24 * x + 128)))
    )
  )
  await writeFile(bytes, encodeVecs('u1', rowsOf))
  const out = inFolder('bytes.nlsh')
  const given = ['--knn', '7', '-m', '6', '--imbalance', '0.1', '--kahip_mode', '0', '-layers', '2', '--nodes', '16']
  const training = ['--epochs', '3', '--batch_size=64', '--lr', '5e-3', '--seed', '9']
  const { code, stderr } = await build('--d', bytes, '-i', out, '--type', 'sift', ...given, ...training)
  t.is(code, 0, stderr)
  const { options, size } = await NeuralLSH.open(out)
  t.is(size, 300)
  t.like(options, {
    bins: 6,
    graph: { neighbors: 7 },
    partition: { mode: 'fast', imbalance: 0.1 },
    seed: 9
  })
  const { hidden, epochs, batchSize, optimizer } = options.classifier
  t.deepEqual([hidden, epochs, batchSize, optimizer.learningRate], [[16, 16], 3, 64, 0.005])
  const again = inFolder('again.nlsh')
  await build('-d', bytes, '-i', again, '-type', 'sift', ...given, ...training)
  t.true((await readFile(out)).equals(await readFile(again)), 'the same seed, the same index')
})

test('nlsh_build takes the modes of KaHIP by number and by name', (t) => {
  const { parse } = courseBuild.flags.kahip_mode as (typeof courseBuild.flags)[string]
  const names = ['fast', 'eco', 'strong', 'fastsocial', 'ecosocial', 'strongsocial']
  for (const [number, name] of names.entries()) {
    t.is(parse(String(number), 'kahip_mode'), name)
    t.is(parse(name, 'kahip_mode'), name)
  }
})

test('in all bins, nlsh_search writes what brute force finds', async (t) => {
  const [N, R] = [4, 5]
  const out = inFolder('all.txt')
  const args = ['-d', data, '-q', queries, '-i', index, '-o', out, '-type', 'sift', '-N', String(N), '-R', String(R)]
  const { code, stdout, stderr } = await search(...args, '-T', '12', '-range', 'true')
  t.is(code, 0, stderr)
  t.regex(stdout, /all\.txt: 4 neighbors of 150 queries\.\nAverage AF: 1\nRecall@N: 1\n/)
  const { title, sections, summary } = readOutput(await readFile(out, 'utf8'))
  t.is(title, 'METHOD NAME: Neural LSH')
  t.is(sections.length, asked)
  t.deepEqual(Object.keys(summary), summaryNames)
  t.is(summary['Average AF'], 1)
  t.is(summary['Recall@N'], 1)
  t.true(summaryNames.slice(2).every((name) => (summary[name] as number) > 0))
  t.true(Math.abs((summary.QPS as number) * (summary.tApproximateAverage as number) - 1) < 1e-9)
  const { vectors, dimensions } = await readVectors(data)
  const { vectors: questions } = await readVectors(queries)
  let within = 0
  for (const [query, section] of sections.entries()) {
    const ranked = ranking(vectors, questions, query, dimensions, 'euclidean').map((one) => ({
      ...one,
      distance: Math.sqrt(one.distance)
    }))
    const right = ranked.slice(0, N)
    t.deepEqual(
      section.ids,
      right.map(({ id }) => id)
    )
    for (const written of [section.approximate, section.truth])
      t.deepEqual(
        written,
        right.map(({ distance }) => distance)
      )
    const near = ranked.filter(({ distance }) => distance <= R).map(({ id }) => id)
    t.deepEqual(section.within, near)
    within += near.length
  }
  t.true(within > asked, `${within} within ${R} of some query: enough to tell`)
})

test('in few bins, what nlsh_search writes is what the API finds; the measures follow from it', async (t) => {
  const [N, T, R] = [3, 2, 6]
  const out = inFolder('few.txt')
  const args = ['--d', data, '--q', queries, '--i', index, '--o', out, '--type', 'sift', '--N', String(N)]
  const { code, stdout, stderr } = await search(...args, '--R', String(R), '--T', String(T), '--json')
  t.is(code, 0, stderr)
  t.is(stderr, '')
  const { sections, summary } = readOutput(await readFile(out, 'utf8'))
  const opened = await NeuralLSH.open(index)
  const { vectors: questions } = await readVectors(queries)
  const { ids } = await opened.searchBatch(questions, { k: N, probes: T })
  const within = await opened.searchRadiusBatch(questions, { radius: R * R, probes: T })
  t.deepEqual(
    sections.flatMap((section) => section.ids),
    [...ids]
  )
  t.deepEqual(
    sections.flatMap((section) => section.within ?? []),
    [...within.ids]
  )
  const factors = sections.flatMap(({ approximate, truth }) => approximate.map((found, i) => found / Number(truth[i])))
  const mean = factors.reduce((sum, factor) => sum + factor, 0) / factors.length
  t.true(mean > 1 && factors.every((factor) => factor >= 1))
  t.true(Math.abs(mean - Number(summary['Average AF'])) < 1e-12)
  const { vectors, dimensions } = await readVectors(data)
  const found = sections.flatMap((section, query) => {
    const truth = ranking(vectors, questions, query, dimensions, 'euclidean').slice(0, N)
    return truth.filter(({ id }) => section.ids.includes(id))
  })
  const share = found.length / (N * asked)
  t.true(share < 1)
  t.is(summary['Recall@N'], share)
  t.like(JSON.parse(stdout), { out, queries: asked, N, recall: share, averageFactor: summary['Average AF'] })
})

test('images, without a range; twice the same but for the times', async (t) => {
  const raw = inFolder('images-idx3-ubyte')
  await writeFile(raw, gunzipSync(await readFile(images)))
  const out = inFolder('images.nlsh')
  const small = ['--m', '4', '--knn', '5', '--nodes', '8', '--epochs', '2']
  const made = await build('-d', images, '-i', out, '-type', 'mnist', ...small)
  t.is(made.code, 0, made.stderr)
  const texts = []
  for (const [data, name] of [
    [raw, 'one.txt'],
    [images, 'two.txt']
  ] as const) {
    const args = ['-d', data, '-q', raw, '-i', out, '-o', inFolder(name), '-type', 'mnist', '-T', '1']
    const { code, stderr } = await search(...args, '-range', 'false')
    t.is(code, 0, stderr)
    texts.push(await readFile(inFolder(name), 'utf8'))
  }
  const [one = '', two = ''] = texts
  t.is(withoutTimes(one), withoutTimes(two))
  const { sections } = readOutput(one)
  t.is(sections.length, 20)
  t.true(sections.every(({ ids, within }) => ids.length === 1 && within === undefined))

  // By default there is a range, 2000 around each, and one neighbor in as many bins as there are below 5.
  const args = ['-d', raw, '-q', raw, '-i', out, '-o', inFolder('default.txt'), '-type', 'mnist']
  t.is((await search(...args)).code, 0)
  const { sections: usual, summary } = readOutput(await readFile(inFolder('default.txt'), 'utf8'))
  const { vectors } = await readVectors(raw)
  for (const [query, { ids, approximate, within }] of usual.entries()) {
    t.deepEqual([ids, approximate], [[query], [0]])
    const near = ranking(vectors, vectors, query, 784, 'euclidean').filter(({ distance }) => distance <= 2000 ** 2)
    t.deepEqual(
      within,
      near.map(({ id }) => id)
    )
  }
  t.is(summary['Average AF'], 1, '0 / 0 counts as 1')
})

test('the measures where the true distance is 0', (t) => {
  const neighbors = (distances: number[], ids: number[]): Neighbors => ({
    ids: Int32Array.from(ids),
    distances: Float64Array.from(distances),
    seconds: 1
  })
  const truth = neighbors([0, 2, 0, 4], [1, 2, 3, 4])
  t.is(averageFactor(neighbors([0, 3, 5, 4], [1, 9, 8, 4]), truth), (1 + 1.5 + 1) / 3)
  t.is(recall(neighbors([0, 3, 5, 4], [1, 9, 8, 4]), truth, 2), 0.5)
  t.is(recall(neighbors([0, 2, 4, 4], [2, 1, 4, 9]), truth, 2), 0.75, 'whatever the rank')
})

test('data that the index was not built from are refused', async (t) => {
  const opened = await NeuralLSH.open(index)
  const own = await readVectors(data)
  const { signal } = new AbortController()
  await t.notThrowsAsync(checkData(opened, own, data, signal))
  const swapped = { ...own, vectors: own.vectors.slice().reverse() }
  await t.throwsAsync(checkData(opened, swapped, data, signal), { message: /^d: row 0 of .* is not what the index/ })
  const args = ['-i', index, '-o', inFolder('never.txt'), '-type', 'sift']
  const shorter = await search('-d', queries, '-q', queries, ...args)
  t.is(shorter.code, 2, shorter.stderr)
  t.regex(shorter.stderr, /^nlsh_search: d: .*holds 150 vectors of 100 numbers, the index 1500 of 100: name the file/m)
  const cosine = await NeuralLSH.build(own.vectors, { dimensions: 100, metric: 'cosine', ...quick })
  await t.throwsAsync(checkData(cosine, own, data, signal), { message: /Euclidean/ })
})

const quick = { bins: 4, partition: { method: 'kmeans' }, router: 'centroids' } as const

const wrongUsage: [string, 'nlsh_build' | 'nlsh_search', string[], RegExp][] = [
  ['no options', 'nlsh_build', [], /--d is missing: the file of the vectors/],
  ['no type', 'nlsh_build', ['-d', 'x', '-i', 'y'], /--type is missing: what the data are, sift or mnist/],
  ['another type', 'nlsh_build', ['-type', 'glove'], /--type takes one of sift, mnist, not "glove"/],
  ['a misspelled option', 'nlsh_build', ['-knm', '5'], /--knm is not an option of this command; did you mean --knn\?/],
  [
    'a mode that there is not',
    'nlsh_build',
    ['--kahip_mode', '6'],
    /--kahip_mode takes 0 \(fast\), 1 \(eco\), .*not "6"/
  ],
  ['part of a layer', 'nlsh_build', ['--layers', '1.5'], /--layers takes an integer from 0 to 64, not "1\.5"/],
  ['a value too many', 'nlsh_build', ['100'], /does not know what to do with "100"/],
  ['a missing output', 'nlsh_search', ['-d', 'x'], /--o is missing: where to write the answers/],
  ['neither true nor false', 'nlsh_search', ['-range', 'yes'], /--range takes one of true, false, not "yes"/],
  ['a negative radius', 'nlsh_search', ['-R=-5'], /--R takes a distance from 0, not "-5"/],
  ['no neighbors', 'nlsh_search', ['-N', '0'], /--N takes an integer from 1 to 2147483647, not "0"/]
]

for (const [what, program, args, message] of wrongUsage) {
  test(`wrong usage exits with 2 and says why: ${program}, ${what}`, async (t) => {
    const { code, stdout, stderr } = await runProgram(program, ...args)
    t.is(code, 2, stderr)
    t.is(stdout, '')
    t.regex(stderr, message)
    t.true(stderr.includes(`\n${program} --help explains the options.\n`))
    t.notRegex(stderr, /\n\s+at /, 'no stack')
  })
}

test('what the library refuses is wrong usage, too, under the name that the help tells', async (t) => {
  const args = ['-d', data, '-type', 'sift']
  const many = await build(...args, '-i', inFolder('never.nlsh'), '--m', '1501')
  t.is(many.code, 2, many.stderr)
  t.regex(many.stderr, /bins: must be an integer from 2 to 1500/)
  const far = await search(...args, '-q', queries, '-i', index, '-o', inFolder('never.txt'), '-T', '13')
  t.is(far.code, 2, far.stderr)
  t.regex(far.stderr, /probes: must be an integer from 1 to 12/)
  const missing = await search(...args, '-q', queries, '-i', inFolder('none.nlsh'), '-o', inFolder('never.txt'))
  t.is(missing.code, 1, missing.stderr)
  t.regex(missing.stderr, /^nlsh_search: .*none\.nlsh: /m)
  t.false((await readdir(folder)).some((name) => name.startsWith('never')))
})

for (const [program, command] of [
  ['nlsh_build', courseBuild],
  ['nlsh_search', courseSearch]
] as const) {
  test(`${program} --help teaches: usage, examples, every option as the course writes it`, async (t) => {
    const { code, stdout, stderr } = await runProgram(program, '--help')
    t.is(code, 0)
    t.is(stderr, '')
    t.true(stdout.startsWith(`Usage: ${program} -d DATA `))
    t.regex(stdout, /\nExamples:\n/)
    for (const [name, { spelling = `--${name}` }] of Object.entries(command.flags))
      t.true(stdout.includes(`\n  ${spelling} `), spelling)
    t.true(stdout.split('\n').every((line) => line.length <= 100))
  })
}

test('the package offers the programs that are tested here', async (t) => {
  const { bin } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  const sources = Object.entries(programs).map(([name, file]) => [name, `./dist/cli/${file.replace(/ts$/, 'js')}`])
  t.deepEqual(bin, Object.fromEntries(sources))
})

test('one dash or two; numbers, and what has two already, stay as they are', (t) => {
  t.deepEqual(withTwoDashes(['-type', 'sift', '-N', '-1', '--lr', '1e-3', '-range=true', '-']), [
    '--type',
    'sift',
    '--N',
    '-1',
    '--lr',
    '1e-3',
    '--range=true',
    '-'
  ])
})

for (const stage of ['search', 'exact-search', 'range-search']) {
  test(`nlsh_search that is stopped in its stage ${stage} leaves no file`, async (t) => {
    const controller = new AbortController()
    const onProgress = (progress: { stage: string }) => {
      if (progress.stage === stage) controller.abort(new Error('enough'))
    }
    const context: Context = {
      signal: controller.signal,
      positionals: [],
      print: () => undefined,
      printJson: () => undefined,
      progress: () => ({ onProgress, follow: (work) => work })
    }
    const values = { d: data, q: queries, i: index, o: inFolder(`${stage}.txt`), type: 'sift' }
    await t.throwsAsync(courseSearch.run(values, context), { message: 'enough' })
    t.false((await readdir(folder)).some((name) => name.startsWith(`${stage}.txt`)))
  })
}

test.serial('Ctrl-C stops nlsh_build within a second, with 130, and leaves no file', async (t) => {
  const args = ['-d', data, '-i', inFolder('stopped.nlsh'), '-type', 'sift', '--m', '12', '--epochs', '10000']
  const milliseconds = await leastMilliseconds(1000, async () => {
    const { code, stderr, milliseconds } = await interrupted('partition: ', args, 'nlsh_build')
    t.is(code, 130, stderr)
    t.regex(stderr, /nlsh_build: stopped\n$/)
    t.false((await readdir(folder)).some((name) => name.startsWith('stopped')))
    return milliseconds
  })
  t.true(milliseconds < 1000, `${milliseconds} ms`)
})
