/** The package's door for browsers: in Node.js, by what it imports, and in a browser. Reads dist/, which `npm test` builds. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import puppeteer from 'puppeteer-core'
import { openIndex, type SearchableIndex } from '../lib/browser.js'
import { ArgumentError, FileError, NeuralLSH } from '../lib/index.js'
import { findChromium } from '../scripts/chromium.js'
import { temporaryFolder } from './formats/temporary-folder.js'
import { rejectsArgument } from './support/rejection.js'
import { clustered } from './support/vectors.js'

const dist = new URL('../dist/', import.meta.url)
const folder = temporaryFolder()
test.after.always(() => folder.remove())

const [rows, dimensions] = [1200, 10]

/** Two indexes: floats with words, and bytes with codes; both with vectors of their own kind to ask for. */
const samples = Promise.all(
  (['cosine', 'euclidean'] as const).map(async (metric) => {
    const inThisUnit = (x: number) =>
      metric === 'euclidean' ? Math.max(0, Math.min(255, Math.round(60 * x + 128))) : x
    const all = clustered(rows + 40, dimensions, 30).map(inThisUnit)
    const [base, queries] = [all.slice(0, rows * dimensions), all.slice(rows * dimensions)]
    const index = await NeuralLSH.build(base, {
      dimensions,
      metric,
      bins: 16,
      partition: { method: 'kmeans' },
      classifier: { hidden: [32], epochs: 2 },
      ...(metric === 'euclidean' && { scan: 'pq4' as const })
    })
    const path = folder.path(`${metric}.nlsh`)
    await index.save(path, { words: Array.from({ length: rows }, (_, i) => `wörd ${i}`) })
    index.close()
    return { path, queries, bytes: await readFile(path) }
  })
)

test('an index that is opened from bytes answers as one that is opened from its file', async (t) => {
  for (const { path, queries, bytes } of await samples) {
    const fromFile = await NeuralLSH.open(path, { engine: 'typescript' })
    // Where it begins must not matter, nor whether it is alone.
    const shifted = new Uint8Array(bytes.length + 3)
    shifted.set(bytes, 3)
    for (const given of [bytes, shifted.subarray(3), Uint8Array.from(bytes).buffer]) {
      const index = await openIndex(given)
      for (const field of ['size', 'dimensions', 'bins', 'metric', 'words'] as const)
        t.deepEqual(index[field], fromFile[field])
      const one = queries.subarray(0, dimensions)
      const { radius } = { radius: (await fromFile.search(one)).distances[4] as number }
      const answers = (index: SearchableIndex) =>
        Promise.all([
          index.search(one),
          index.searchSync(one, { k: 3, probes: 2 }),
          index.searchBatch(queries, { k: 5, mass: 0.9 }),
          index.searchRadius(one, { radius, probes: 3 }),
          index.searchRadiusBatch(queries, { radius, probes: 3 }),
          index.route(one, { probes: 4 }),
          index.vector(17)
        ])
      t.deepEqual(await answers(index), await answers(fromFile))
      index.close()
      await t.throwsAsync(() => index.search(one), { code: 'ERR_NLSH_CLOSED' })
    }
    fromFile.close()
  }
})

test('what is wrong is said as everywhere', async (t) => {
  const [{ bytes, queries } = await Promise.reject()] = await samples
  await rejectsArgument(t, () => openIndex('index.nlsh' as never), 'bytes', /must be a Uint8Array, but is "index.nlsh"/)
  await rejectsArgument(t, () => openIndex(new Uint8Array(new SharedArrayBuffer(8)) as never), 'bytes')
  await rejectsArgument(t, () => openIndex(bytes, { nome: 'x' } as never), 'nome', /did you mean name\?/)
  const reason = new Error('enough')
  await t.throwsAsync(openIndex(bytes, { signal: AbortSignal.abort(reason) }), { is: reason })
  const damaged = Uint8Array.from(bytes)
  damaged.fill(1, bytes.length - 9)
  const error = await t.throwsAsync(openIndex(damaged, { name: 'https://example.org/words' }), {
    instanceOf: FileError,
    message: /^https:\/\/example.org\/words: is damaged: the checksum of tensor words.bytes is wrong/
  })
  t.is(error?.path, 'https://example.org/words')
  await t.throwsAsync(openIndex(new Uint8Array(0)), { instanceOf: FileError, message: 'index: is empty' })
  const index = await openIndex(bytes)
  t.throws(() => index.searchSync(queries.subarray(0, dimensions), { probes: 17 }), { instanceOf: ArgumentError })
  t.throws(() => index.searchSync(new Float32Array(dimensions)), { message: /^query: row 0 is all zeros/ })
  t.throws(() => index.searchSync([1] as never), { message: /^query: must be a Float32Array, but is an array of 1/ })
})

/** All modules that can be reached, with their text. */
async function reachable(entry: URL, seen = new Map<string, string>()): Promise<Map<string, string>> {
  if (seen.has(entry.href)) return seen
  const text = await readFile(entry, 'utf8')
  seen.set(entry.href, text)
  for (const [, specifier = ''] of text.matchAll(/^(?:import|export)\s(?:[\w\s{},*]+\sfrom\s)?['"]([^'"]+)['"]/gm)) {
    if (specifier.startsWith('.')) await reachable(new URL(specifier, entry), seen)
    else seen.set(specifier, '')
  }
  return seen
}

test('nothing of Node.js is imported for browsers, nor taken from the globals', async (t) => {
  const { exports } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
  t.is(
    fileURLToPath(new URL(`../${exports['./browser'].default}`, import.meta.url)),
    fileURLToPath(new URL('browser.js', dist))
  )
  const modules = await reachable(new URL('browser.js', dist))
  t.true(modules.size > 25)
  t.deepEqual(
    [...modules.keys()].filter((name) => !name.startsWith(dist.href)),
    []
  )
  for (const [name, text] of modules) t.notRegex(text, /\b(?:process|Buffer|require|import)\s*[.(]/, name)
  // What builds an index is not loaded to search one.
  t.deepEqual(
    [...modules.keys()].filter((name) => /\/typescript\/(?:training\/|(?:kmeans|partition|knn-graph)\.js)/.test(name)),
    []
  )
  // So that the walk is seen to find what there is.
  t.true((await reachable(new URL('index.js', dist))).has('node:fs/promises'))
})

/** Reported as skipped where there is none: CHROMIUM may name its path. */
const chromium = findChromium()
const inBrowser = chromium === undefined ? test.skip : test

/** Serves dist/ and the indexes to pages that may run nothing else. */
async function serve() {
  const server = createServer(async ({ url = '' }, response) => {
    const isIndex = url.endsWith('.nlsh')
    const type = url === '/' ? 'text/html' : isIndex ? 'application/octet-stream' : 'text/javascript'
    const body = async () => {
      if (url === '/') return '<!doctype html><link rel="icon" href="data:,">'
      return readFile(isIndex ? folder.path(url.slice(1)) : new URL(`.${url}`, dist))
    }
    const policy = "default-src 'self'; img-src data:"
    response.setHeader('content-type', type).setHeader('content-security-policy', policy)
    response.end(await body().catch(() => ''))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

/** Runs in the browser; `stopped` says what a batch rejected with that a timer aborted. */
const inPage = (file: string, queries: number[]) => `(async () => {
  const { openIndex } = await import('/browser.js')
  const index = await openIndex(await (await fetch('/${file}')).arrayBuffer())
  const queries = Float32Array.from(${JSON.stringify(queries)})
  const { ids, distances, candidates } = await index.searchBatch(queries, { k: 5, probes: 3 })
  const single = await index.search(queries.subarray(0, index.dimensions), { k: 5, probes: 3 })
  const route = await index.route(queries.subarray(0, index.dimensions))
  const controller = new AbortController()
  setTimeout(() => controller.abort('by a timer'), 5)
  const many = new Float32Array(50_000 * index.dimensions).fill(1)
  const stopped = await index.searchBatch(many, { signal: controller.signal }).catch((reason) => reason)
  const damaged = await openIndex(new Uint8Array(9)).catch(({ name, message }) => name + ': ' + message)
  const plain = (array) => Array.from(array)
  return {
    ids: plain(ids), distances: plain(distances), candidates: plain(candidates), first: plain(single.ids),
    bins: plain(route.bins), probabilities: plain(route.probabilities), word: index.words[7], stopped, damaged
  }
})()`

interface Answers extends Record<'ids' | 'distances' | 'candidates' | 'first' | 'bins' | 'probabilities', number[]> {
  word: string
  stopped: string
  damaged: string
}

inBrowser('in a browser, from its own modules, the answers are the same', async (t) => {
  const { server, url } = await serve()
  // Without the sandbox, which containers do not allow: the page is our own.
  const browser = await puppeteer.launch({ executablePath: chromium as string, args: ['--no-sandbox'] })
  t.teardown(async () => {
    await browser.close()
    server.close()
  })
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(url)
  for (const { path, queries, bytes } of await samples) {
    const name = path.slice(path.lastIndexOf('/') + 1)
    const found = (await page.evaluate(inPage(name, Array.from(queries)))) as Answers
    const index = await openIndex(bytes)
    const right = await index.searchBatch(queries, { k: 5, probes: 3 })
    t.deepEqual(found.ids, Array.from(right.ids))
    t.deepEqual(found.first, found.ids.slice(0, 5))
    t.deepEqual(found.distances, Array.from(right.distances))
    t.deepEqual(found.candidates, Array.from(right.candidates))
    const { bins, probabilities } = await index.route(queries.subarray(0, dimensions))
    t.deepEqual(found.bins, Array.from(bins))
    t.true(found.probabilities.every((one, i) => Math.abs(one - (probabilities[i] as number)) < 1e-6))
    t.is(found.word, 'wörd 7')
    t.is(found.stopped, 'by a timer')
    t.regex(found.damaged, /^FileError: index: is not an index/)
  }
  t.deepEqual(complaints, [])
})
