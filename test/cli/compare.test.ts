import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Comparison, exactSearch, readIds, readVectors, writeFvecs, writeIvecs } from '../../lib/index.js'
import { run, start, temporaryFolder, wordsFile } from './run.js'

const rows = 700
const asked = 40
const quick = ['--methods', 'kmeans', '--bins', '8']

/** A folder with the first words as base and the next ones as queries. */
async function makeFiles(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const { vectors, dimensions } = await readVectors(wordsFile, { limit: rows + asked })
  const [base, queries] = [vectors.slice(0, rows * dimensions), vectors.slice(rows * dimensions)]
  const files = { base: join(folder, 'base.fvecs'), queries: join(folder, 'queries.fvecs') }
  await writeFvecs(files.base, base, dimensions)
  await writeFvecs(files.queries, queries, dimensions)
  const arguments_ = ['evaluate', '--base', files.base, '--queries', files.queries, ...quick]
  const truths = async () => (await readdir(folder)).filter((name) => name.startsWith('base.fvecs.truth-'))
  return { folder, base, queries, dimensions, arguments_, truths }
}

const searchesAgain = (stderr: string) => /^exact-search: /m.test(stderr)

test('one command compares: verdict and table in words, curves as CSV, all of it as JSON and as a page', async (t) => {
  const { folder, arguments_ } = await makeFiles(t)
  const [csv, report] = [join(folder, 'curves.csv'), join(folder, 'report.html')]
  const small = ['--methods', 'neural-lsh,kmeans', '--bins', '8,16', '--epochs', '3', '--hidden', '32', '--k', '5']
  const people = await run(...arguments_, ...small, '--csv', csv, '--report', report)
  t.is(people.code, 0, people.stderr)
  t.regex(people.stdout, /\n40 queries against 700 vectors:\n\nBy candidates on average the best\sis /)
  t.regex(people.stdout, /\n {2}Neural LSH +16 +probes( +\d+ ×\d\.\d\d){4}\n/)
  t.regex(people.stderr, /^neural-lsh 16: partition: /m)
  t.regex(people.stderr, /^map: /m)
  t.regex(await readFile(report, 'utf8'), /^<!doctype html>/)

  const json = await run(...arguments_, ...small, '--csv', csv, '--json')
  t.is(json.code, 0, json.stderr)
  t.is(json.stderr, '')
  const comparison = JSON.parse(json.stdout) as Comparison
  t.deepEqual(
    comparison.results.map(({ method, bins }) => `${method} ${bins}`),
    ['neural-lsh 8', 'kmeans 8', 'neural-lsh 16', 'kmeans 16']
  )
  t.is(comparison.k, 5)
  t.is(comparison.results[0]?.options.classifier.epochs, 3)

  const [titles, ...lines] = (await readFile(csv, 'utf8')).trim().split('\n')
  t.is(titles, 'method,bins,probing,asked,accuracy,candidates_mean,candidates_q95,router_distances')
  const expected = comparison.results.flatMap(({ method, bins, curves, routerDistances }) =>
    curves.flatMap(({ probing, points }) =>
      points.map((one) => [
        ...[method, bins, probing, one.asked],
        ...[one.accuracy, one.candidatesMean, one.candidatesQ95, routerDistances]
      ])
    )
  )
  const parsed = lines.map((line) => line.split(',').map((cell) => (Number.isNaN(Number(cell)) ? cell : Number(cell))))
  t.deepEqual(parsed, expected)
})

test('the truth is kept beside the base, found again, and not believed once it is damaged', async (t) => {
  const { folder, arguments_, truths, base, queries, dimensions } = await makeFiles(t)
  const first = await run(...arguments_)
  t.is(first.code, 0, first.stderr)
  t.true(searchesAgain(first.stderr))
  const [name = '', ...others] = await truths()
  t.regex(name, /^base\.fvecs\.truth-[0-9a-f]{16}\.ivecs$/)
  t.deepEqual(others, [])
  const kept = join(folder, name)
  const whole = await readFile(kept)
  const { ids } = await exactSearch(base, queries, { dimensions, k: 10 })
  t.deepEqual((await readIds(kept)).ids.subarray(0, ids.length), ids)

  const second = await run(...arguments_)
  t.false(searchesAgain(second.stderr))
  t.is(second.stdout.replace(/[\d,]+ queries\/s/g, ''), first.stdout.replace(/[\d,]+ queries\/s/g, ''))

  const damaged = Buffer.from(whole)
  // A neighbor of the fourth query: still a row number.
  damaged.writeInt32LE(damaged.readInt32LE(3 * 44 + 8) ^ 1, 3 * 44 + 8)
  for (const damage of [() => writeFile(kept, damaged), () => truncate(kept, 100), () => writeFile(kept, 'no ivecs')]) {
    await damage()
    const again = await run(...arguments_)
    t.is(again.code, 0, again.stderr)
    t.true(searchesAgain(again.stderr))
    t.deepEqual(await readFile(kept), whole)
  }
})

test('other data, another k and another metric have a truth of their own', async (t) => {
  const { arguments_, truths } = await makeFiles(t)
  for (const other of [[], ['--k', '3'], ['--metric', 'cosine'], ['--limit', '600'], ['--limitQueries', '30']]) {
    const { stderr, code } = await run(...arguments_, ...other)
    t.is(code, 0, stderr)
    t.true(searchesAgain(stderr), other.join())
  }
  t.is((await truths()).length, 5)
})

test('where the truth cannot be kept, the comparison goes on and says so', async (t) => {
  const { folder, arguments_, truths } = await makeFiles(t)
  await run(...arguments_)
  const [name = ''] = await truths()
  await rm(join(folder, name))
  await mkdir(join(folder, name))
  const { code, stdout } = await run(...arguments_)
  t.is(code, 0)
  t.regex(stdout, /could not be kept for the next time: .*truth-/)
  t.true((await stat(join(folder, name))).isDirectory())
})

test('without queries some rows are held out, the same ones for the same seed', async (t) => {
  const { folder, truths } = await makeFiles(t)
  const arguments_ = ['evaluate', '--base', join(folder, 'base.fvecs'), ...quick]
  const { code, stdout, stderr } = await run(...arguments_)
  t.is(code, 0, stderr)
  t.regex(stdout, /^70 rows of the base, held out as queries, against 630 vectors:\n/)
  t.false(searchesAgain((await run(...arguments_)).stderr))
  await run(...arguments_, '--seed', '2')
  t.is((await truths()).length, 2)
})

test('a file of true neighbors is taken instead, and nothing is kept', async (t) => {
  const { folder, arguments_, base, queries, dimensions, truths } = await makeFiles(t)
  const truth = join(folder, 'truth.ivecs')
  await writeIvecs(truth, (await exactSearch(base, queries, { dimensions, k: 10 })).ids, 10)
  const [given, found] = [await run(...arguments_, '--truth', truth, '--json'), await run(...arguments_, '--json')]
  t.is(given.code, 0, given.stderr)
  const curves = ({ stdout }: typeof given) => (JSON.parse(stdout) as Comparison).results.map((one) => one.curves)
  t.deepEqual(curves(given), curves(found))
  t.is((await truths()).length, 1, 'of the second run')
})

test.serial('Ctrl-C stops a comparison with 130, and no page is written', async (t) => {
  const { folder, arguments_ } = await makeFiles(t)
  const long = ['--methods', 'neural-lsh', '--epochs', '10000', '--report', join(folder, 'report.html')]
  const { child, outcome } = start([...arguments_, ...long])
  child.stderr.on('data', (text: string) => text.includes('partition: ') && child.kill('SIGINT'))
  t.is((await outcome).code, 130)
  t.false((await readdir(folder)).some((name) => name.includes('report')))
})
