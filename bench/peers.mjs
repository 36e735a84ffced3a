/**
 * Our indexes beside those that one would take instead, in one run: recall@10 against queries a second on one thread
 * with one query a call, latencies, memory, time of the build.
 *
 *     npm run data -- mnist glove sift && npm run bench:peers -- [sets ...] [options]
 *
 *     sets                 sift-100k, glove-100k, mnist, glove-all, sift-1m; default: all
 *     --systems a,b        those whose names begin so; default: all. Names: bench/peers/systems.mjs
 *     --rounds n           default 3
 *     --rebuild            builds the chosen systems' indexes again; otherwise they are kept in .cache/peers
 *     --quick              one round and 200 queries: to see that everything works
 *
 * Every system runs in a process of its own (bench/peers/runner.mjs), bound to the last core where taskset is there to
 * do it; the systems take turns, round after round, so that their ratios hold on a machine that others use too. Writes
 * docs/peers/<set>.json and .svg; into .cache/peers/docs what is not complete, for --quick or --systems.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cacheFolder, ensurePeers } from '../scripts/peers-env.mjs'
import { printTable } from './data.mjs'
import {
  frontier,
  fullRecall,
  median,
  nearestTo,
  rateAt,
  summarize,
  targets,
  worthMeasuring
} from './peers/figures.mjs'
import { ensureIndex } from './peers/indexes.mjs'
import { metrics, prepareSet, recallOf } from './peers/prepare.mjs'
import { startRunner } from './peers/runner.mjs'
import { systems } from './peers/systems.mjs'

const script = (path) => fileURLToPath(new URL(path, import.meta.url))
const log = (text) => process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`)
const core = spawnSync('taskset', ['--version']).status === 0 ? cpus().length - 1 : undefined
/** Each point is measured for so long in a round, but in so many passes at least, as a median of two hides nothing, and at most. */
const [secondsPerPoint, leastPasses, mostPasses] = [0.25, 3, 10]
const scoutPasses = 3

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      systems: { type: 'string', default: '' },
      rounds: { type: 'string', default: '3' },
      rebuild: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false }
    }
  })
  const sets = positionals.length > 0 ? positionals : Object.keys(metrics)
  const unknown = sets.find((set) => !Object.hasOwn(metrics, set))
  if (unknown !== undefined) throw new Error(`${unknown} is none of ${Object.keys(metrics).join(', ')}`)
  const prefixes = values.systems.split(',').filter(Boolean)
  const chosen = systems.filter(
    ({ name }) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix))
  )
  if (chosen.length === 0) throw new Error(`--systems: none of ${systems.map(({ name }) => name).join(', ')}`)
  const rounds = values.quick ? 1 : Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: expected a positive integer`)
  const complete = chosen.length === systems.length && !values.quick
  return { sets, chosen, rounds, rebuild: values.rebuild, quick: values.quick, complete }
}

/** Starts the system, hands it to `work` with what it said first, and stops it. */
async function withRunner({ system, job, tools }, work) {
  const runner = await startRunner(system.command('serve', job, tools), { core })
  try {
    return await work(runner)
  } finally {
    await runner.stop()
  }
}

/** A pass is short, and the machine may be busy meanwhile: the fastest of a query's calls counts, and of those the median. */
function quickRate(nanoseconds, count) {
  const passes = nanoseconds.length / count
  const fastest = Array.from({ length: count }, (_, query) =>
    Math.min(...Array.from({ length: passes }, (_, pass) => nanoseconds[pass * count + query]))
  )
  return 1e9 / median(fastest)
}

/** Asks for each of the searches, and finds out which are worth measuring. */
async function scout(entry, recall) {
  await withRunner(entry, async ({ ask, started }) => {
    const points = []
    const finished = new Set()
    for (const search of entry.system.search(entry.job.set)) {
      const parameters = Object.keys(search).join()
      if (finished.has(parameters)) continue
      const { ids, nanoseconds, candidates } = await ask({ passes: scoutPasses, ...search })
      const point = { search, recall: recall(ids), candidates, qps: quickRate(nanoseconds, entry.job.count) }
      points.push(point)
      // They rise, unless there are several parameters.
      if (point.recall >= fullRecall && !parameters.includes(',')) finished.add(parameters)
    }
    Object.assign(entry, { started, memories: [], points: worthMeasuring(points) })
    for (const point of entry.points) Object.assign(point, { rounds: [], nativeRounds: [] })
  })
}

async function measureRound(entry) {
  await withRunner(entry, async ({ ask, started }) => {
    entry.memories.push(started.memoryBytes)
    for (const point of entry.points) {
      const wanted = Math.ceil((secondsPerPoint * point.qps) / entry.job.count)
      const passes = Math.max(leastPasses, Math.min(mostPasses, wanted))
      const { nanoseconds, nativeNanoseconds } = await ask({ passes, ...point.search })
      point.rounds.push(nanoseconds)
      if (nativeNanoseconds) point.nativeRounds.push(nativeNanoseconds)
    }
  })
}

/**
 * A system's curves: as it was called, and, where that tells, what it would be without the call: our own in the engine's
 * loop, faiss without what an empty call from Python takes.
 */
function curvesOf({ system, points, started, job }) {
  const curve = (name, roundsOf) => {
    const measured = points.map((point) => {
      const { search, recall, candidates } = point
      return { search, recall, candidates, ...summarize(roundsOf(point), job.count) }
    })
    return { name, points: frontier(measured), rates: targets.map((target) => rateAt(measured, target)) }
  }
  const called = curve(system.ours ? 'searchSync' : 'called', ({ rounds }) => rounds)
  if (system.ours) return [curve('native', ({ nativeRounds }) => nativeRounds), called]
  const { callNanoseconds } = started
  if (callNanoseconds === undefined) return [called]
  const withoutCall = (times) => times.map((time) => time - callNanoseconds)
  return [called, curve('without the call', ({ rounds }) => rounds.map(withoutCall))]
}

/** The best of our configurations at each target, { native: [...], searchSync: [...] }. */
function bestOf(results) {
  const best = (name) =>
    targets.map((_, i) => {
      const rates = results.flatMap(({ ours, curves }) =>
        ours ? curves.filter((curve) => curve.name === name).map(({ rates }) => rates[i]) : []
      )
      return rates.reduce((most, rate) => Math.max(most ?? 0, rate ?? 0) || undefined, undefined)
    })
  return { native: best('native'), searchSync: best('searchSync') }
}

/** The ways to ask each of our indexes near recall .95, the best first: { system, search, ways: queries/s by each }. */
function otherRates(entries, results) {
  const near = results
    .map(({ ours, curves: [curve] }, i) => ours && { entry: entries[i], rate: curve.rates[1], points: curve.points })
    .filter((candidate) => candidate?.rate)
  return near
    .toSorted((a, b) => b.rate - a.rate)
    .map(({ entry, points }) => {
      const { search } = nearestTo(points, 0.95)
      const job = JSON.stringify({ ...entry.job, search })
      const output = execFileSync(process.execPath, [script('peers/neural-lsh.mjs'), 'rates', job], {
        encoding: 'utf8'
      })
      return { system: entry.system.name, search, ways: JSON.parse(output) }
    })
}

async function compare(set, tools, { chosen, rounds, rebuild, quick }) {
  const prepared = await prepareSet(set)
  const count = quick ? 200 : prepared.count
  const recall = recallOf(prepared, count)
  const entries = []
  for (const system of chosen) {
    log(`${set}: ${system.name}`)
    try {
      const { job, report } = await ensureIndex(system, prepared, tools, { rebuild })
      const entry = { system, tools, report, job: { ...job, count } }
      await scout(entry, recall)
      entries.push(entry)
    } catch (error) {
      log(`${set}: ${system.name} left out: ${error.message}`)
      process.exitCode = 1
    }
  }
  for (let round = 1; round <= rounds; round++) {
    log(`${set}: round ${round} of ${rounds}`)
    for (const entry of entries) await measureRound(entry)
  }
  const results = entries.map((entry) => {
    const { system, report, job, memories } = entry
    const { name, label, version, ours = false } = system
    const memoryBytes = median(memories)
    return { name, label, version, ours, options: job.build, ...report, memoryBytes, curves: curvesOf(entry) }
  })
  log(`${set}: other ways to ask`)
  const machine = { cpu: cpus()[0].model, cores: cpus().length, node: process.version }
  const { metric, rows, dimensions } = prepared
  const about = { set, metric, rows, dimensions, queries: count, rounds, machine, targets }
  return { ...about, best: bestOf(results), systems: results, rates: otherRates(entries, results) }
}

/** Five digits are more than is known. */
const rounded = (_, value) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value

const inThousands = (rate) => (rate === undefined ? '-' : `${(rate / 1000).toFixed(rate < 9950 ? 2 : 1)}k`)
const joined = (values) => values.join(' / ')
const ratios = (best, rates) => joined(best.map((rate, i) => (rate && rates[i] ? (rate / rates[i]).toFixed(2) : '-')))

function printReport({ set, rows, dimensions, queries, rounds, best, systems: results, rates }) {
  console.log(`\n${set}: ${rows} x ${dimensions}, ${queries} queries, k = 10, one thread, ${rounds} rounds`)
  const rawBytes = rows * dimensions * 4
  const table = results.flatMap(({ label, ours, curves, buildSeconds, buildCpuSeconds, load, memoryBytes }) =>
    curves.map(({ name, points, rates }, i) => {
      const title = name === 'called' ? label : `${label} (${name})`
      const near = nearestTo(points, 0.95)
      const speeds = [
        joined(rates.map(inThousands)),
        ...[best.native, best.searchSync].map((ourRates) => (ours ? '' : ratios(ourRates, rates)))
      ]
      const latency = near
        ? [
            near.recall.toFixed(3),
            joined([near.p50, near.p95, near.p99].map((time) => time.toFixed(1))),
            (near.p99 / near.p50).toFixed(2),
            near.callP99.toFixed(1)
          ]
        : ['', '', '', '']
      const size = `${(memoryBytes / 1e6).toFixed(0)} (${(memoryBytes / rawBytes).toFixed(2)}x)`
      // Beside other work only the CPU seconds mean something, and even they are too many.
      const wall = buildSeconds.toFixed(1) + (load > cpus().length + 0.5 ? '*' : '')
      return [title, ...speeds, ...latency, ...(i === 0 ? [`${wall} (${buildCpuSeconds.toFixed(1)})`, size] : ['', ''])]
    })
  )
  const shares = joined(targets.map((target) => target.toFixed(2).slice(1)))
  const titles = [
    '',
    `queries/s at ${shares}`,
    'our native / it',
    'our searchSync / it',
    'near .95',
    'p50 / p95 / p99 us',
    'p99/p50',
    'p99 of calls',
    'build s (CPU s)',
    'MB (x raw)'
  ]
  printTable(titles, table)
  console.log('* built while the machine had other work: neither of the two figures is worth reporting')
  printOtherRates(rates)
}

function printOtherRates(rates) {
  if (rates.length === 0) return
  const [best] = rates
  const table = rates.map(({ system, search, ways }) => [
    system,
    JSON.stringify(search),
    ...Object.values(ways).map(inThousands),
    ...[best.ways, ways].map(({ native }) => (ways.searchBatch2 / native).toFixed(2))
  ])
  console.log('\nWays to ask, queries/s (not bound to a core):')
  printTable(['', 'near .95', ...Object.keys(best.ways), 'searchBatch2 / best native', '/ own native'], table)
}

const options = readArguments()
const tools = ensurePeers()
for (const set of options.sets) {
  const result = await compare(set, tools, options)
  printReport(result)
  const complete = options.complete && result.systems.length === systems.length
  const folder = complete ? script('../docs/peers') : join(cacheFolder, 'docs')
  mkdirSync(folder, { recursive: true })
  const [data, chart] = ['json', 'svg'].map((type) => join(folder, `${set}.${type}`))
  writeFileSync(data, JSON.stringify(result, rounded, 1))
  execFileSync(tools.python, [script('peers/chart.py'), data, chart], { stdio: 'inherit' })
}
