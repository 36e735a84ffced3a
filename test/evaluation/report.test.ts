import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import puppeteer, { type Page } from 'puppeteer-core'
import { mapPoints, type PointMap } from '../../lib/evaluation/map.js'
import { renderReport } from '../../lib/evaluation/report.js'
import { type Comparison, compareMethods, readVectors } from '../../lib/index.js'
import { findChromium } from '../../scripts/chromium.js'
import { wordsFile } from '../cli/run.js'

const rows = 900
/** What a page must not take for its own. */
const hostile = '</script><script>document.title = "taken over"</script><!--'

let comparison: Comparison
let map: PointMap
let page: string

test.before(async () => {
  const { vectors, dimensions } = await readVectors(wordsFile, { limit: rows + 50 })
  const base = vectors.slice(0, rows * dimensions)
  const options = { dimensions, metric: 'cosine', classifier: { hidden: [32], epochs: 3 } } as const
  comparison = await compareMethods(base, vectors.slice(rows * dimensions), {
    ...options,
    methods: ['neural-lsh', 'kmeans'],
    bins: [8, 16]
  })
  map = await mapPoints(base, { ...options, seed: 1, rows: comparison.sample.slice(0, 150) })
  comparison = { ...comparison, machine: hostile, sample: comparison.sample.slice(0, 150) }
  page = await renderReport(comparison, map)
})

test('the page is one file that asks for no other, with the license of what it contains', (t) => {
  t.notRegex(page, /<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?!data:)/i)
  t.notRegex(page, /@import|<!-- @/)
  t.regex(page, /default-src 'none'/)
  t.regex(page, /Chart\.js v4[\s\S]*Released under the MIT License/)
  t.regex(page, /Permission is hereby granted, free of charge/)
  t.regex(page, /<p id="verdict">By candidates on average the best is /)
})

test('the figures are inside as JSON that cannot end its element', (t) => {
  const [, json = ''] = /<script type="application\/json" id="comparison">(.*?)<\/script>/s.exec(page) ?? []
  t.false(json.includes('<'))
  const inside = JSON.parse(json) as Comparison & { map: PointMap }
  t.is(inside.machine, hostile)
  t.deepEqual(inside.results, JSON.parse(JSON.stringify(comparison.results)))
  t.deepEqual(inside.map, map)
})

/** Opens the page in a browser, and gives what it complained of and asked for. */
async function visit(chromium: string, width: number, scheme: string, look: (page: Page) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'neural-lsh-report-'))
  const file = join(folder, 'report.html')
  await writeFile(file, page)
  // Without the sandbox, which containers do not allow: the page is our own.
  const browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox'] })
  try {
    const opened = await browser.newPage()
    const complaints: string[] = []
    const requests: string[] = []
    opened.on('console', (message) => complaints.push(message.text()))
    opened.on('pageerror', (error) => complaints.push(String(error)))
    opened.on('request', (request) => requests.push(request.url()))
    await opened.setViewport({ width, height: 900 })
    await opened.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
    await opened.goto(pathToFileURL(file).href)
    await look(opened)
    return { complaints, requests: requests.filter((url) => !url.startsWith('data:')), file: pathToFileURL(file).href }
  } finally {
    await browser.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs in the browser: the names of the charts on which next to nothing is drawn, and those that say nothing. */
const blankCharts = `[...document.querySelectorAll('canvas')].filter((canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true })
  copy.drawImage(canvas, 0, 0)
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height)
  let drawn = 0
  for (let i = 3; i < data.length; i += 4) if (data[i] > 128) drawn++
  return drawn < 300 || !canvas.getAttribute('aria-label')
}).map((canvas) => canvas.id)`

/** Reported as skipped where there is none: CHROMIUM may name its path. */
const chromium = findChromium()
const inBrowser = chromium === undefined ? test.skip : test

for (const [width, scheme] of [
  [1280, 'light'],
  [390, 'dark']
] as const) {
  inBrowser(`in a browser everything is drawn: ${width} pixels, ${scheme}`, async (t) => {
    const { complaints, requests, file } = await visit(chromium as string, width, scheme, async (page) => {
      t.is(await page.title(), 'Partitions compared · neural-lsh')
      t.true((await page.$eval('#verdict', (verdict) => verdict.textContent)).includes(comparison.verdict))
      t.is(await page.evaluate('document.querySelectorAll("canvas").length'), 9)
      t.deepEqual(await page.evaluate(blankCharts), [])
      t.is(await page.evaluate('document.documentElement.scrollWidth'), width, 'nothing sticks out')
      const cells = () => page.$$eval('#needed-table tbody tr', (rows) => rows.map((row) => row.textContent))
      const before = await cells()
      t.is(before.length, 2)
      const neural = comparison.results.find(({ method, bins }) => method === 'neural-lsh' && bins === 16)
      const needed = neural?.needed.find(({ accuracy, probing }) => accuracy === 0.9 && probing === 'probes')
      t.true(before[0]?.includes(Math.round(needed?.candidatesMean as number).toLocaleString('en-US')))
      await page.focus('#bins-choice input:checked')
      await page.keyboard.press('ArrowLeft')
      t.is(await page.$eval('#bins-choice input:checked', (input) => (input as { value?: string }).value), '8')
      t.notDeepEqual(await cells(), before, 'the keyboard chooses other bins')
      for (const choice of ['[value=recall]', '[value=pca]', '[value=kmeans]'])
        await page.$eval(`input${choice}`, (input) => (input as unknown as { click(): void }).click())
      t.deepEqual(await page.evaluate(blankCharts), [])
      t.is((await cells()).length, 1)
    })
    t.deepEqual(complaints, [])
    t.deepEqual(requests, [file])
  })
}
